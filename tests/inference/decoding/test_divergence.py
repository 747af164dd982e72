"""The margin rule: it excuses a choice between near equals and nothing else."""

import copy

import pytest
import torch

from nimblelm.inference.decoding.autoregressive import generate
from nimblelm.inference.decoding.cache import CachedModel
from nimblelm.inference.decoding.divergence import Divergence, first_divergence
from tests.inference.models import varied_pair


def test_bfloat16_and_float32_part_only_where_the_choice_is_within_noise():
    exact, _ = varied_pair()
    rounded = copy.deepcopy(exact).bfloat16()
    exact.load_state_dict(rounded.state_dict())
    parted = []
    for start in range(12):
        prompt = (torch.arange(6) * 11 + 5 * start) % 50
        sequences = [generate(CachedModel(model), prompt, 60).tolist() for model in (rounded, exact)]
        parted.append(first_divergence(rounded, exact, prompt, *sequences))
    found = [p for p in parted if p]
    assert found, "no sequence parted: the test shows nothing"
    assert all(p.within_noise for p in found)


def test_a_wrong_token_is_no_rounding():
    exact, _ = varied_pair()
    rounded = copy.deepcopy(exact).bfloat16()
    exact.load_state_dict(rounded.state_dict())
    prompt = torch.arange(6)
    sequence = generate(CachedModel(exact), prompt, 20).tolist()
    excused = 0
    for place in range(0, 20, 4):
        wrong = [*sequence[:place], (sequence[place] + 1) % 50, *sequence[place + 1 :]]
        found = first_divergence(rounded, exact, prompt, sequence, wrong)
        assert found is not None
        assert found.position == place
        excused += found.within_noise
    assert excused == 0
    assert first_divergence(rounded, exact, prompt, sequence, sequence) is None


def test_the_rule_is_twice_the_noise():
    assert Divergence(0, margin=0.5, noise=0.25).within_noise
    assert not Divergence(0, margin=0.51, noise=0.25).within_noise


def test_texts_of_different_lengths_are_refused():
    exact, _ = varied_pair()
    with pytest.raises(ValueError, match="3 and 2"):
        first_divergence(exact, exact, torch.arange(3), [1, 2, 3], [1, 2])
