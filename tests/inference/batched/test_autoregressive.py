"""The batched autoregressive decoder against the plain one, row by row."""

import pytest
import torch

from nimblelm.inference.batched.autoregressive import AutoregressiveDecoder
from nimblelm.inference.batched.device_sampling import DeviceSampler
from nimblelm.inference.batched.static_model import StaticModel
from nimblelm.inference.decoding.autoregressive import generate
from nimblelm.inference.decoding.cache import CachedModel
from nimblelm.inference.decoding.sampling import GREEDY, Sampling, probabilities
from tests.inference.models import StaticMarkov, assert_joint_distribution, random_table, varied_pair

PROMPTS = [torch.arange(length) * 7 % 50 for length in (1, 2, 9, 30)]


def greedy_decoder(eos_token: int | None = None) -> AutoregressiveDecoder:
    model = StaticModel(varied_pair()[0], len(PROMPTS), max_seq_len=100)
    return AutoregressiveDecoder(model, DeviceSampler(GREEDY, torch.Generator()), eos_token)


def test_greedy_rows_equal_single_texts_one_pass_a_token():
    target = varied_pair()[0]
    decoder = greedy_decoder()
    output = decoder.generate(PROMPTS, [40, 33, 1, 50])
    for prompt, tokens, count in zip(PROMPTS, output.tokens, [40, 33, 1, 50], strict=True):
        assert tokens == generate(CachedModel(target), prompt, count).tolist()
    assert len(set(output.tokens[3])) > 10, "a sequence that repeats itself proves little"
    assert output.draft_lengths == [0] * 49  # the first token comes from the prefill
    assert not decoder.loop.on_their_way, "a round was launched that nobody needed"
    assert decoder.generate(PROMPTS, 12).tokens == [tokens[:12] for tokens in decoder.generate(PROMPTS, 20).tokens]


def test_each_text_ends_at_its_own_end_token():
    target = varied_pair()[0]
    free = generate(CachedModel(target), PROMPTS[2], 30)
    for eos in free[:6].unique().tolist():
        output = greedy_decoder(eos).generate(PROMPTS, 30)
        expected = [generate(CachedModel(target), prompt, 30, eos_token=eos).tolist() for prompt in PROMPTS]
        assert output.tokens == expected


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(temperature=0.6, top_k=3), Sampling(top_p=0.7)])
def test_joint_distribution_of_three_tokens(sampling):
    table = random_table(4, 0)
    decoder = AutoregressiveDecoder(
        StaticMarkov(table, 20_000), DeviceSampler(sampling, torch.Generator().manual_seed(5))
    )
    output = decoder.generate([torch.tensor([2])] * 20_000, 3)
    assert_joint_distribution(output.tokens, probabilities(table.log(), sampling), first=2)
