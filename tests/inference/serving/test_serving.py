"""What each policy promises, and that no policy changes a sequence."""

import random
from itertools import pairwise

import pytest
import torch

from nimblelm.inference.decoding.autoregressive import generate
from nimblelm.inference.decoding.cache import CachedModel
from nimblelm.inference.decoding.sampling import GREEDY, Sampling
from nimblelm.inference.serving.loop import AffineCost, SimulatedBackend, serve, token_times_s
from nimblelm.inference.serving.paged_cache import PagedKVCache
from nimblelm.inference.serving.scheduler import (
    Limits,
    Request,
    Share,
    chunked_prefill,
    continuous_batching,
    static_batching,
)
from nimblelm.inference.serving.transformer_backend import TransformerBackend
from tests.inference.models import varied_pair

POLICIES = [static_batching, continuous_batching, chunked_prefill]
MODEL = varied_pair()[0]
COST = AffineCost(pass_s=1.0, token_s=0.01)


def random_requests(seed: int, count: int = 12) -> list[Request]:
    rng = random.Random(seed)
    return [Request(i, rng.randint(1, 40), rng.randint(1, 9), rng.uniform(0, 20)) for i in range(count)]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("sampling", [GREEDY, Sampling(1.0)])
def test_every_text_is_that_of_its_single_run(policy, sampling):
    rng = torch.Generator().manual_seed(3)
    lengths = [(9, 6), (30, 3), (1, 12), (17, 1), (22, 9), (5, 7)]
    prompts = {i: torch.randint(0, 50, (prompt,), generator=rng) for i, (prompt, _) in enumerate(lengths)}
    alone = {
        i: generate(CachedModel(MODEL), prompts[i], count, sampling, torch.Generator().manual_seed(i))
        for i, (_, count) in enumerate(lengths)
    }
    eos = alone[4][3].item()
    for eos_token in (None, eos):
        cache = PagedKVCache(MODEL, num_blocks=14, block_size=4)
        backend = TransformerBackend(MODEL, cache, prompts, sampling, {i: i for i in alone}, eos_token)
        requests = [Request(i, prompt, count, 1e-4 * i) for i, (prompt, count) in enumerate(lengths)]
        serve(requests, policy, Limits(3, 8), backend)
        for i, sequence in alone.items():
            ends = (sequence == eos_token).nonzero() if eos_token is not None else []
            assert torch.equal(backend.new_tokens(i), sequence[: int(ends[0]) + 1] if len(ends) else sequence)
        assert cache.allocator.num_free == 14


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("seed", range(3))
def test_every_token_is_read_once_and_in_order(policy, seed):
    requests = random_requests(seed)
    steps = serve(requests, policy, Limits(4, 16), SimulatedBackend(COST))
    for request in requests:
        shares = [share for step in steps for share in step.shares if share.name == request.name]
        assert [s.start for s in shares] == [sum(s.count for s in shares[:i]) for i in range(len(shares))]
        assert sum(s.count for s in shares) == request.num_rows
        assert sum(s.emits for s in shares) == request.max_new_tokens
        first = next(step.start_s for step in steps if any(s.name == request.name for s in step.shares))
        assert first >= request.arrival_s
    assert all(len(step.shares) <= 4 for step in steps)
    assert all(a.end_s <= b.start_s for a, b in pairwise(steps))
    times = token_times_s(steps)
    assert {name: len(t) for name, t in times.items()} == {r.name: r.max_new_tokens for r in requests}


def test_nobody_joins_a_static_batch():
    steps = serve(random_requests(1), static_batching, Limits(4), SimulatedBackend(COST))
    batch: set = set()
    for step in steps:
        names = {share.name for share in step.shares}
        assert names <= batch or not batch & names
        batch = names


@pytest.mark.parametrize("policy", [continuous_batching, chunked_prefill])
def test_a_running_request_writes_in_every_pass(policy):
    steps = serve(random_requests(2), policy, Limits(4, 16), SimulatedBackend(COST))
    left = {request.name: request.max_new_tokens for request in random_requests(2)}
    for before, after in pairwise(steps):
        wrote = {share.name for share in before.shares if share.emits}
        left = {name: count - (name in wrote) for name, count in left.items()}
        writes_on = {name for name in wrote if left[name]}
        assert writes_on <= {share.name for share in after.shares if share.emits}


def test_a_free_place_is_taken_at_once():
    requests = [Request("a", 5, 9), Request("b", 5, 2), Request("c", 5, 2)]
    steps = serve(requests, continuous_batching, Limits(2), SimulatedBackend(COST))
    assert [[s.name for s in step.shares] for step in steps[:4]] == [["a", "b"], ["a", "b"], ["a", "c"], ["a", "c"]]
    steps = serve(requests, static_batching, Limits(2), SimulatedBackend(COST))
    assert next(i for i, step in enumerate(steps) if step.shares[0].name == "c") == 9


def test_no_pass_of_chunked_prefill_is_over_budget_and_none_is_wasted():
    requests = random_requests(3)
    steps = serve(requests, chunked_prefill, Limits(4, 10), SimulatedBackend(COST))
    assert max(step.num_tokens for step in steps) == 10
    assert max(s.num_tokens for s in serve(requests, continuous_batching, Limits(4), SimulatedBackend(COST))) > 10
    for step in steps:
        cut_short = [s for s in step.shares if not s.emits]
        assert not cut_short or step.num_tokens == 10


def test_memory_holds_requests_back():
    requests = [Request(i, 10, 5) for i in range(4)]
    backend = SimulatedBackend(COST, num_rows=2 * requests[0].num_rows)
    steps = serve(requests, continuous_batching, Limits(4), backend)
    assert max(len(step.shares) for step in steps) == 2
    assert backend.reserved == 0
    with pytest.raises(ValueError, match="needs 100 rows, the cache has 50"):
        serve([Request("long", 100, 1)], continuous_batching, Limits(4), SimulatedBackend(COST, num_rows=50))


def test_the_affine_cost_counts_tokens_and_rows():
    (first, *_) = serve(
        [Request(0, 7, 1), Request(1, 3, 1)],
        continuous_batching,
        Limits(2),
        SimulatedBackend(AffineCost(1.0, 0.1, 0.01)),
    )
    assert first.end_s == pytest.approx(1.0 + 0.1 * 10 + 0.01 * 10)


def test_requests_and_limits_without_sense_are_refused():
    with pytest.raises(ValueError, match="1 or more"):
        Request("a", 0, 1)
    with pytest.raises(ValueError, match="fewer names"):
        serve([Request("a", 1, 1)] * 2, static_batching, Limits(1), SimulatedBackend(COST))
    with pytest.raises(ValueError, match="below max_running"):
        serve([Request("a", 1, 1)], chunked_prefill, Limits(4, 3), SimulatedBackend(COST))


def test_a_request_must_know_its_prompt():
    backend = TransformerBackend(MODEL, PagedKVCache(MODEL, 8), {"a": torch.zeros(3, dtype=torch.int64)})
    with pytest.raises(ValueError, match="has 3 tokens, its request says 4"):
        serve([Request("a", 4, 1)], static_batching, Limits(1), backend)


class Counting(SimulatedBackend):
    """Counts its passes."""

    passes = 0

    def run(self, shares):
        self.passes += 1
        return super().run(shares)


SHORT = varied_pair(max_seq_len=32)[0]
FIVE = torch.arange(5)


def served(requests, prompts=None, num_blocks=20, sampling=GREEDY, seeds=None, cache=None):
    """Serve on a small model; the cache, which must be empty afterwards."""
    cache = cache or PagedKVCache(SHORT, num_blocks, 4)
    prompts = {request.name: FIVE for request in requests} if prompts is None else prompts
    backend = TransformerBackend(SHORT, cache, prompts, sampling, seeds)
    try:
        serve(requests, continuous_batching, Limits(4), backend)
    finally:
        assert not backend._promised
    return backend


@pytest.mark.parametrize(
    ("request_b", "settings", "message"),
    [
        (Request("b", 5, 29), {}, "'b' needs 33 rows, the model's max_seq_len is 32"),
        (Request("b", 5, 60), {}, "'b' needs 64 rows, the model's max_seq_len is 32"),
        (Request("b", 5, 20), {"num_blocks": 5}, "'b' needs 6 blocks, the cache has 5 free"),
        (Request("b", 4, 5), {}, "the prompt of 'b' has 5 tokens, its request says 4"),
        (Request("b", 5, 5), {"prompts": {"a": FIVE}}, "the prompt of 'b' has no tokens, its request says 5"),
        (Request("b", 5, 5), {"prompts": {"a": FIVE, "b": FIVE + 46}}, "from 46 to 50 reach outside"),
        (Request("b", 5, 5), {"sampling": Sampling(1.0), "seeds": {"a": 0}}, "'b' draws its tokens and has no seed"),
    ],
)
def test_a_request_that_cannot_be_served_is_refused_before_the_first_pass(request_b, settings, message, monkeypatch):
    def run(*_):
        raise AssertionError("a pass ran")

    monkeypatch.setattr(TransformerBackend, "run", run)
    for requests in ([Request("a", 5, 10), request_b], [request_b, Request("a", 5, 10)]):
        with pytest.raises(ValueError, match=message):
            served(requests, **settings)


def test_the_last_position_of_the_model_can_be_used():
    backend = served([Request("a", 5, 28), Request("b", 5, 3)])
    assert torch.equal(backend.new_tokens("a"), generate(CachedModel(SHORT), FIVE, 28))


def test_blocks_of_other_sequences_are_not_promised():
    cache = PagedKVCache(SHORT, 8, 4)
    cache.extend("elsewhere", 16)
    with pytest.raises(ValueError, match="'a' needs 5 blocks, the cache has 4 free"):
        served([Request("a", 5, 16)], cache=cache)
    backend = served([Request("a", 5, 8), Request("b", 5, 8)], cache=cache)  # 3 blocks each: one after the other
    assert len(backend.new_tokens("b")) == 8
    assert cache.allocator.num_free == 4
    with pytest.raises(ValueError, match="holds a sequence 'elsewhere' already"):
        served([Request("elsewhere", 5, 2)], cache=cache)


def test_a_text_of_a_seed_is_the_same_when_its_requests_are_served_again(monkeypatch):
    requests, seeds = [Request("a", 5, 12), Request("b", 5, 9)], {"a": 1, "b": 2}
    backend = served(requests, sampling=Sampling(1.0), seeds=seeds)
    sequences, run, passes = dict(backend.sequences), TransformerBackend.run, []

    def fail_in_the_fourth(self, shares):
        passes.append(shares)
        return run(self, shares) if len(passes) != 4 else 1 / 0

    monkeypatch.setattr(TransformerBackend, "run", fail_in_the_fourth)
    with pytest.raises(ZeroDivisionError):
        serve(requests, continuous_batching, Limits(4), backend)
    serve(requests, continuous_batching, Limits(4), backend)
    assert all(torch.equal(backend.sequences[name], sequences[name]) for name in "ab")


@pytest.mark.parametrize("arrival_s", [float("nan"), float("inf"), -1.0])
def test_a_request_comes_at_some_time(arrival_s):
    with pytest.raises(ValueError, match=f"arrival_s {arrival_s}"):
        Request("a", 3, 2, arrival_s=arrival_s)


@pytest.mark.parametrize("limits", [(0,), (-1,), (2, -1)])
def test_limits_let_somebody_run(limits):
    with pytest.raises(ValueError, match="below"):
        Limits(*limits)


def test_a_failing_policy_or_pass_gives_back_what_was_set_aside():
    cache = PagedKVCache(SHORT, 20, 4)
    prompts = {"a": FIVE, "b": FIVE}
    requests = [Request("a", 5, 4), Request("b", 5, 4)]
    backend = TransformerBackend(SHORT, cache, prompts)
    with pytest.raises(ValueError, match="below max_running"):
        serve(requests, chunked_prefill, Limits(4, 3), backend)
    run, passes = backend.run, []

    def failing(shares):
        passes.append(shares)
        if len(passes) == 3:
            raise RuntimeError("power cut")
        return run(shares)

    backend.run = failing
    with pytest.raises(RuntimeError, match="power cut"):
        serve(requests, continuous_batching, Limits(4), backend)
    assert cache.allocator.num_free == 20
    assert not cache.tables
    backend.run = run
    serve(requests, continuous_batching, Limits(4), backend)
    assert torch.equal(backend.new_tokens("a"), generate(CachedModel(SHORT), FIVE, 4))


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1.0])
def test_a_pass_takes_a_finite_time(seconds):
    backend = Counting(COST)
    backend.cost = type("Wrong", (), {"seconds": lambda self, shares: seconds})()
    with pytest.raises(ValueError, match=f"took {seconds} s"):
        serve([Request("a", 1, 3)], continuous_batching, Limits(1), backend)
    assert backend.passes == 1
    assert backend.reserved == 0


@pytest.mark.parametrize("share", [lambda one: [], lambda one: [Share(one, 0, 0)], lambda one: [Share(one, 0, 9)]])
def test_a_policy_that_goes_nowhere_is_an_error(share):
    def policy(running, waiting, limits):
        return share([*running, *waiting][0])

    backend = Counting(COST)
    with pytest.raises(ValueError, match="the policy's shares"):
        serve([Request("a", 3, 3)], policy, Limits(1), backend)
    assert backend.passes == 0
