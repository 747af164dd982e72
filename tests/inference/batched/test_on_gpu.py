"""The decoders on a GPU: graphs against eager rounds, speculative against autoregressive in bfloat16, no waiting."""

import copy

import pytest
import torch

from nimblelm.data.corpus import held_out_texts
from nimblelm.inference.batched.autoregressive import AutoregressiveDecoder
from nimblelm.inference.batched.device_sampling import DeviceSampler
from nimblelm.inference.batched.speculative import SpeculativeDecoder
from nimblelm.inference.batched.static_model import StaticModel
from nimblelm.inference.decoding.divergence import first_divergence
from nimblelm.inference.decoding.sampling import GREEDY, Sampling
from nimblelm.inference.speculative.adaptive_length import AdaptiveLength
from nimblelm.inference.speculative.pair import load_pair, load_pair_tokenizer
from tests.inference.models import StaticMarkov, assert_joint_distribution, random_table

pytestmark = pytest.mark.gpu
LENGTHS, NEW_TOKENS = [0, 1, 4, 8], 128


@pytest.fixture(scope="module")
def pair():
    return tuple(model.to("cuda", torch.bfloat16) for model in load_pair())


@pytest.fixture(scope="module")
def prompts() -> list[torch.Tensor]:
    tokenizer = load_pair_tokenizer()
    return [
        torch.tensor(tokenizer.encode(sequence.text).ids[: 40 + 7 * i]) for i, sequence in enumerate(held_out_texts())
    ]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator("cuda").manual_seed(seed)


def speculative(pair, batch_size: int, sampling: Sampling = GREEDY, seed: int = 0, **settings) -> SpeculativeDecoder:
    target, draft = (StaticModel(model, batch_size) for model in pair)
    return SpeculativeDecoder(target, draft, DeviceSampler(sampling, generator(seed)), LENGTHS, **settings)


@pytest.mark.parametrize("sampling", [GREEDY, Sampling(), Sampling(0.8, top_k=50, top_p=0.9)])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_graphs_give_the_tokens_of_eager_rounds(pair, prompts, sampling, batch_size):
    prompts = prompts[:batch_size]
    for length in LENGTHS:
        sequences = []
        for graphs in (True, False):
            decoder = speculative(pair, batch_size, sampling, graphs=graphs)
            decoder.sampler.generator.manual_seed(7)  # capturing drew some numbers
            sequences.append(decoder.generate(prompts, 64, length).tokens)
        assert sequences[0] == sequences[1]


def test_replays_draw_fresh_numbers(pair, prompts):
    decoder = speculative(pair, 1, Sampling())
    one, two = (decoder.generate(prompts[:1], 64, 4).tokens for _ in range(2))
    assert one != two


@pytest.mark.parametrize("batch_size", [1, 8])
def test_bfloat16_texts_equal_autoregressive_ones_up_to_the_margin_rule(pair, prompts, batch_size):
    target = pair[0]
    exact = copy.deepcopy(target).float()
    baseline = AutoregressiveDecoder(StaticModel(target, batch_size), DeviceSampler(GREEDY, generator()))
    decoder, tokens, shared = speculative(pair, batch_size), 0, 0
    for start in range(0, len(prompts) - batch_size + 1, batch_size):
        batch = prompts[start : start + batch_size]
        expected = baseline.generate(batch, NEW_TOKENS).tokens
        for prompt, sequence, other in zip(batch, expected, decoder.generate(batch, NEW_TOKENS, 4).tokens, strict=True):
            found = first_divergence(target, exact, prompt.cuda(), sequence, other)
            assert found is None or found.within_noise, f"wrong token: {found}"
            tokens, shared = tokens + NEW_TOKENS, shared + (NEW_TOKENS if found is None else found.position)
    assert tokens
    print(f"{shared} of {tokens} tokens before the first divergence of their sequences")


def test_float32_texts_equal_autoregressive_ones(prompts):
    pair = tuple(model.cuda() for model in load_pair())
    baseline = AutoregressiveDecoder(StaticModel(pair[0], 4), DeviceSampler(GREEDY, generator()))
    expected = baseline.generate(prompts[:4], NEW_TOKENS).tokens
    for length in (0, 4):
        got = speculative(pair, 4).generate(prompts[:4], NEW_TOKENS, length).tokens
        for prompt, sequence, other in zip(prompts, expected, got, strict=False):
            found = first_divergence(pair[0], copy.deepcopy(pair[0]).double(), prompt.cuda(), sequence, other)
            assert found is None or found.within_noise


@pytest.mark.parametrize("draft_length", [4, "adaptive"])
def test_the_round_loop_never_waits_for_the_device(pair, prompts, draft_length):
    decoder = speculative(pair, 2)
    chooser = AdaptiveLength(decoder.round_costs(200)) if draft_length == "adaptive" else draft_length
    decoder.generate(prompts[:2], 16, chooser)
    decoder.prefill(prompts[:2], [NEW_TOKENS] * 2)
    torch.cuda.set_sync_debug_mode("error")
    try:
        output = decoder.decode([NEW_TOKENS] * 2, chooser)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert [len(tokens) for tokens in output.tokens] == [NEW_TOKENS] * 2


def test_joint_distribution_of_three_tokens_from_a_graph():
    batch_size, table = 20_000, random_table(4, 0).cuda()
    target, draft = StaticMarkov(table, batch_size), StaticMarkov(random_table(4, 1).cuda(), batch_size)
    decoder = SpeculativeDecoder(target, draft, DeviceSampler(Sampling(), generator(7)), [2])
    output = decoder.generate([torch.tensor([2])] * batch_size, 3, 2)
    assert_joint_distribution(output.tokens, table.cpu(), first=2)
