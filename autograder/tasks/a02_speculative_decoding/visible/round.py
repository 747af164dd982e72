"""One round: the checks that a student sees and runs."""

import torch

from autograder.checks import MISSING_RETURN, Callback, Remote, check, expect_equal, explained, fail, seed
from autograder.tasks.a02_speculative_decoding.visible.shared import AT_ONE, GREEDY, CountingModel, markov, tokens_of

ALL_DRAFTED = "draft_tokens are all that were drafted, kept or not, and nothing else"
NOT_A_LAW = "logits that did not go through `probabilities(logits, sampling)`"
ONE_MORE = "tokens are the kept ones and one more, without the sequence before"


def run_round(call, target, draft, sequence, length):
    """The fields of one greedy round; both caches must hold the sequence but for its last token, as it was before."""
    before = len(draft.calls)
    models = Callback(target), Callback(draft)
    nothing = "nothing was drafted, so there is nothing to stack, verify or subtract"
    flat = "a token without a dimension where one of shape (1,) is needed; x[None] gives it one"
    row = f"the target gives {length + 1} rows for {length} drafted tokens, numbered 0 to {length}"
    with explained(
        RuntimeError=flat if length else nothing,
        IndexError=row if length else nothing,
        ValueError=NOT_A_LAW if length else nothing,
    ):
        got = _round(call("speculative_round", *models, torch.tensor(sequence), length, GREEDY, None))
    read = sum(len(block) for block, _ in draft.calls[before:])
    if read > length + 2:
        fail(
            "the draft reads too much: the last two tokens of the sequence, then each new one",
            got=read,
            want=length + 1,
        )
    for model in (target, draft):
        if length and model.rows[: len(sequence) - 1] != sequence[:-1]:
            fail(f"the {model.name}'s cache no longer holds the sequence; did a block start at the wrong position?")
    new, drafted = tokens_of(got["tokens"], "Round.tokens"), tokens_of(got["draft_tokens"], "Round.draft_tokens")
    if len(drafted) != length:
        fail(ALL_DRAFTED, got=drafted, drafted=length)
    if len(new) != got["num_accepted"] + 1:
        fail(ONE_MORE, got=new, kept=got["num_accepted"])
    return new, got["num_accepted"], drafted


def _round(got):
    if got is None:
        fail(f"`speculative_round` returned None{MISSING_RETURN}")
    if not isinstance(got, dict) or not {"tokens", "num_accepted", "draft_tokens"} <= got.keys():
        fail("return Round(tokens, num_accepted, draft_tokens)", got=type(got).__name__)
    return got


@check("round")
def a_draft_that_agrees_gives_the_whole_block_and_a_bonus(call, rng):
    """Target and draft both count upwards: a draft of three yields four tokens, and so does the next round."""
    sequence = [5, 6, 7, 0]
    target, draft = CountingModel("target", 1, sequence[:-1]), CountingModel("draft", 1, sequence[:-1])
    for want in ([1, 2, 3, 4], [5, 6, 7, 0]):
        before = len(target.calls)
        tokens, kept, _ = run_round(call, target, draft, sequence, 3)
        expect_equal(len(target.calls) - before, 1, "calls of the target in a round", hint="one checks the whole block")
        block, position = target.calls[-1]
        expect_equal(
            position, len(sequence) - 1, "position of the target's block", hint="that of the sequence's last token"
        )
        expect_equal(
            block, [sequence[-1], *want[:3]], "the target's block", hint="the last token, then the drafted ones"
        )
        hint = "greedy distributions agree here; did both models' logits go through `probabilities(logits, sampling)`?"
        expect_equal(kept, 3, "number of kept tokens", hint=hint)
        expect_equal(tokens, want, "the new tokens, the bonus token included")
        sequence = sequence + tokens


@check("round")
def a_draft_that_disagrees_gives_the_targets_token(call, rng):
    """The target counts by one, the draft by two: one token comes, the target's. All that was drafted is returned."""
    for sequence, want_drafted, want in (([3, 4], [6, 0, 2], [5]), ([4], [6, 0, 2], [5])):
        target, draft = CountingModel("target", 1, sequence[:-1]), CountingModel("draft", 2, sequence[:-1])
        tokens, kept, drafted = run_round(call, target, draft, sequence, 3)
        expect_equal(drafted, want_drafted, "the drafted tokens", hint="each goes on from the one before")
        expect_equal(kept, 0, "number of kept tokens")
        expect_equal(tokens, want, "the new tokens")


@check("round")
def a_draft_length_of_zero_is_a_plain_step(call, rng):
    """Nothing is drafted and nothing verified: one token comes, from the target."""
    target, draft = CountingModel("target", 1, [3]), CountingModel("draft", 1, [3])
    tokens, kept, drafted = run_round(call, target, draft, [3, 4], 0)
    expect_equal((tokens, kept, drafted), ([5], 0, []), "new tokens, number kept, drafted tokens")


def expect_a_greedy_round(call):
    """What is wrong with any round is said in the words of a greedy one, before rounds are drawn."""
    run_round(call, CountingModel("target", 1, [1]), CountingModel("draft", 1, [1]), [1, 0], 2)


def sampled_rounds(call, count, *request):
    """The fields of many rounds that drafted two tokens each, one below the other."""
    with explained(ValueError=NOT_A_LAW):
        got = _round(call.many("speculative_round", count, *request))
    if got["draft_tokens"].shape != (count, 2) or (got["draft_tokens"] < 0).any():
        fail(ALL_DRAFTED)
    if got["tokens"].shape[1] <= got["num_accepted"].max():
        fail(ONE_MORE)
    return got


@check("round")
def a_sampled_round_draws_from_both_distributions(call, rng):
    """At temperature 1 the target says 0 and 1 alike, the draft says 0 three times in four: a rejected 0 gives 1."""
    expect_a_greedy_round(call)
    request = markov(0.5, 0.5), markov(0.75, 0.25), torch.tensor([1, 0]), 2, AT_ONE, seed(rng)
    got, again = (sampled_rounds(call, 200, *request) for _ in range(2))
    drafted, kept = got["draft_tokens"], got["num_accepted"]
    following = got["tokens"].gather(1, kept[:, None])[:, 0]
    if (drafted == drafted[0]).all():
        fail("200 rounds drafted the same tokens: sample from the draft's distribution, and never seed the generator")
    if not all(torch.equal(got[name], again[name]) for name in got):
        fail("the same generator gave other rounds: hand `generator` to everything that is random")
    if (following[kept < 2] == 0).any():
        fail("a token 0 was rejected and 0 came in its place: draw it from your next_token_probs, not from p")
    if (following[kept == 2] == 0).all() or (following[kept == 2] == 1).all():
        fail("the token after a full acceptance is always the same: draw it from its distribution")
    if not (kept[(drafted == 0).all(1)] == 1).any():
        fail("of two drafted zeros either both were kept or none: each needs a uniform number of its own")


@check("round")
def the_draft_samples_with_its_own_settings(call, rng):
    """The target is greedy and says 0; the draft, at temperature 1, says 0 and 1 alike: only zeros are kept."""
    expect_a_greedy_round(call)
    request = markov(0.6, 0.4), markov(0.5, 0.5), torch.tensor([1, 0]), 2, GREEDY, seed(rng), AT_ONE
    got = sampled_rounds(call, 100, *request)
    if (got["draft_tokens"] == 0).all():
        fail("the draft never says 1: its logits go through `draft_sampling`, the target's through `sampling`")
    zeros = (got["draft_tokens"] == 0).long().cumprod(1).sum(1)
    hint = "a greedy target has all its probability on 0, so a drafted 1 is rejected and 0 comes in its place"
    expect_equal(got["num_accepted"].long(), zeros, "numbers kept where the target is greedy and the draft not", hint)
    expect_equal(int(got["tokens"].max()), 0, "the largest new token", hint=hint)


@check("round")
def a_draft_equal_to_the_target_is_always_kept(call, rng):
    """At temperature 1/2 target and draft have one distribution, so p/q = 1 and every drafted token is kept."""
    expect_a_greedy_round(call)
    half = Remote("nimblelm.inference.decoding.sampling:Sampling", 0.5)
    request = markov(0.75, 0.25), markov(0.75, 0.25), torch.tensor([1, 0]), 2, half, seed(rng)
    kept = sampled_rounds(call, 100, *request)["num_accepted"]
    hint = "verify a token by the distribution that it was drawn from: both models' logits go through `probabilities`"
    expect_equal(int((kept < 2).sum()), 0, "rounds of 100 in which a token was rejected", hint=hint)
