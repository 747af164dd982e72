"""The Medusa decoder: tree attention path by path, greedy equality, the cache, the end of text, what is lossless."""

import pytest
import torch
import torch.nn.functional as F

from nimblelm.inference.decoding.autoregressive import generate
from nimblelm.inference.decoding.cache import CachedModel, KVCache
from nimblelm.inference.decoding.sampling import Sampling
from nimblelm.inference.medusa.decoder import keep_rows, medusa_generate, medusa_round
from nimblelm.inference.medusa.heads import MedusaHeads
from nimblelm.inference.medusa.search import best_tree
from nimblelm.inference.medusa.tree import CandidateTree, ancestor_mask, node_depths
from nimblelm.inference.medusa.tree_cache import tree_states
from nimblelm.inference.medusa.verification import Exact, Typical
from nimblelm.language.llama import Llama
from tests.inference.medusa.test_tree import random_parents
from tests.inference.models import varied_pair

PROMPTS = [torch.randint(20, (n,), generator=torch.Generator().manual_seed(n)) for n in (1, 2, 17)]
TREES = {
    "root": CandidateTree(()),
    "line": CandidateTree(((0,), (0, 0), (0, 0, 0))),
    "ragged": CandidateTree(((0,), (1,), (0, 0), (0, 1), (1, 0), (0, 1, 0))),
    "full": CandidateTree.full([4, 3, 2]),
}


@pytest.fixture(scope="module")
def model() -> Llama:
    return varied_pair()[0].requires_grad_(False)


@pytest.fixture(scope="module")
def heads(model) -> MedusaHeads:
    """Heads that guess right now and then: trained for a moment on what the model writes after some prompts."""
    heads = MedusaHeads.of_model(model, 3).requires_grad_(True)
    prompts = [*PROMPTS, *torch.randint(model.config.vocab_size, (8, 3), generator=torch.Generator().manual_seed(1))]
    rows = torch.stack([torch.cat([p[-1:], generate(CachedModel(model), p, 60)]) for p in prompts]).clone()
    states = model.states(model.embed(rows)).clone()
    optimizer = torch.optim.Adam(heads.parameters(), lr=1e-2)
    for _ in range(40):
        logits = heads(states[:, :-4]).flatten(1, 2)
        losses = [F.cross_entropy(logits[k], rows[:, 2 + k : 59 + k].flatten()) for k in range(3)]
        optimizer.zero_grad()
        torch.stack(losses).sum().backward()
        optimizer.step()
    return heads.eval().requires_grad_(False)


@pytest.mark.parametrize("size", [1, 2, 9])
def test_every_node_computes_what_its_path_alone_would(model, size):
    for seed in range(3):
        parents = random_parents(size, seed)
        rng = torch.Generator().manual_seed(seed)
        sequence, tokens = torch.randint(20, (11,), generator=rng), torch.randint(20, (size,), generator=rng)
        cached = CachedModel(model)
        cached(sequence, 0)
        cached.cache.keys[:, :, 11:], cached.cache.values[:, :, 11:] = 9.0, 9.0  # leftovers of an earlier round
        states = tree_states(cached, tokens, 11, node_depths(parents), ancestor_mask(parents))
        for node in range(size):
            line, at = [], node
            while at >= 0:
                line.insert(0, int(tokens[at]))
                at = parents[at]
            alone = model.states(model.embed(torch.cat([sequence, torch.tensor(line)])[None]))[0, -1]
            torch.testing.assert_close(states[node], alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", TREES)
@pytest.mark.parametrize("prompt", PROMPTS, ids=len)
def test_greedy_tokens_equal_autoregressive_tokens(model, heads, name, prompt):
    expected = generate(CachedModel(model), prompt, 60)
    output = medusa_generate(CachedModel(model), heads, TREES[name], prompt, 60)
    assert torch.equal(output.tokens, expected)
    if name != "root":
        assert len(output.rounds) < 59  # some guesses were kept
    assert all(len(made.tokens) == made.num_accepted + 1 for made in output.rounds)


def test_the_cache_is_that_of_a_fresh_prefill_after_every_round(model, heads):
    cached, fresh, tree = CachedModel(model), CachedModel(model), TREES["full"]
    sequence = torch.tensor([3, 1, 4])
    hidden = cached.states(sequence, 0)[-1]
    sequence = torch.cat([sequence, model.head(hidden).argmax()[None]])
    kept = set()
    for _ in range(20):
        made, hidden = medusa_round(cached, heads, tree, sequence, hidden, Exact())
        sequence = torch.cat([sequence, made.tokens])
        kept.add(made.num_accepted)
        states = fresh.states(sequence[:-1], 0)
        for ours, theirs in zip(cached.cache, fresh.cache, strict=True):
            torch.testing.assert_close(
                ours[:, :, : len(sequence) - 1], theirs[:, :, : len(sequence) - 1], atol=1e-5, rtol=1e-5
            )
        torch.testing.assert_close(hidden, states[-1], atol=1e-5, rtol=1e-5)
    assert len(kept) > 1


def test_kept_rows_close_up_and_earlier_rows_stay(model):
    cache = KVCache.allocate(model, 12)
    for part in cache:
        part.copy_(torch.arange(12.0)[:, None, None].expand(part.shape[2:]))
    keep_rows(cache, 4, torch.tensor([0, 2, 3, 7]))
    for part in cache:
        assert part[1, 0, :8, 1, 0].tolist() == [0, 1, 2, 3, 4, 6, 7, 11]


def test_sampled_text_is_that_of_plain_sampling_where_nothing_is_guessed_right(model):
    """Two decoders with the same distribution need not draw alike; with a root alone they do."""
    prompt, sampling = torch.tensor([5, 6]), Sampling(0.8)
    plain = generate(CachedModel(model), prompt, 30, sampling, torch.Generator().manual_seed(2))
    output = medusa_generate(
        CachedModel(model),
        MedusaHeads.of_model(model, 1),
        TREES["root"],
        prompt,
        30,
        Exact(sampling),
        torch.Generator().manual_seed(2),
    )
    assert torch.equal(output.tokens, plain)


def test_typical_acceptance_is_faster_and_not_lossless(model, heads):
    prompt = torch.tensor([7, 7, 2])
    expected = generate(CachedModel(model), prompt, 80)
    exact = medusa_generate(CachedModel(model), heads, TREES["full"], prompt, 80)
    typical = medusa_generate(CachedModel(model), heads, TREES["full"], prompt, 80, Typical())
    assert not torch.equal(typical.tokens, expected)
    assert len(typical.rounds) < len(exact.rounds)


def test_generation_ends_with_the_first_end_token(model, heads):
    prompt = torch.tensor([1, 2, 3])
    plain = generate(CachedModel(model), prompt, 60)
    for eos in set(plain.tolist()) | {1}:
        want = generate(CachedModel(model), prompt, 60, eos_token=eos)
        got = medusa_generate(CachedModel(model), heads, TREES["full"], prompt, 60, eos_token=eos)
        assert torch.equal(got.tokens, want)


def test_what_does_not_fit_is_refused(model, heads):
    cached, tree = CachedModel(model, 40), best_tree([[0.5, 0.3]], 3)
    assert len(medusa_generate(cached, heads, tree, torch.tensor([1, 2]), 35).tokens) == 35
    with pytest.raises(ValueError, match="36 new ones take 37 rows and 4 beyond them, the cache holds 40"):
        medusa_generate(cached, heads, tree, torch.tensor([1, 2]), 36)
    with pytest.raises(ValueError, match="at least 1"):
        medusa_generate(cached, heads, tree, torch.tensor([], dtype=torch.int64), 5)
    with pytest.raises(ValueError, match="reach position"):
        tree_states(cached, torch.arange(3), 38, tree.depths, tree.mask)
