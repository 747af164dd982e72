"""The margin rule: it excuses a choice between near equals and nothing else."""

import copy

import pytest
import torch

from nimblelm.inference.autoregressive import generate
from nimblelm.inference.cache import CachedModel
from nimblelm.inference.margin_rule import Parting, find_parting
from tests.inference.models import varied_pair


def test_bfloat16_and_float32_part_only_where_the_choice_is_within_noise():
    exact, _ = varied_pair()
    rounded = copy.deepcopy(exact).bfloat16()
    exact.load_state_dict(rounded.state_dict())
    parted = []
    for start in range(12):
        prompt = (torch.arange(6) * 11 + 5 * start) % 50
        texts = [generate(CachedModel(model), prompt, 60).tolist() for model in (rounded, exact)]
        parted.append(find_parting(rounded, exact, prompt, *texts))
    found = [p for p in parted if p]
    assert found, "no text parted: the test shows nothing"
    assert all(p.within_noise for p in found)


def test_a_wrong_token_is_no_rounding():
    exact, _ = varied_pair()
    rounded = copy.deepcopy(exact).bfloat16()
    exact.load_state_dict(rounded.state_dict())
    prompt = torch.arange(6)
    text = generate(CachedModel(exact), prompt, 20).tolist()
    excused = 0
    for place in range(0, 20, 4):
        wrong = [*text[:place], (text[place] + 1) % 50, *text[place + 1 :]]
        found = find_parting(rounded, exact, prompt, text, wrong)
        assert found is not None
        assert found.place == place
        excused += found.within_noise
    assert excused == 0
    assert find_parting(rounded, exact, prompt, text, text) is None


def test_the_rule_is_twice_the_noise():
    assert Parting(0, margin=0.5, noise=0.25).within_noise
    assert not Parting(0, margin=0.51, noise=0.25).within_noise


def test_texts_of_different_lengths_are_refused():
    exact, _ = varied_pair()
    with pytest.raises(ValueError, match="3 and 2"):
        find_parting(exact, exact, torch.arange(3), [1, 2, 3], [1, 2])
