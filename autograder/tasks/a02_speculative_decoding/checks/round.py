"""One round: the hidden checks."""

import torch

from autograder.checks import (
    Callback,
    Remote,
    Seed,
    check,
    draws_needed,
    expect_distribution,
    expect_equal,
    expect_tensor,
    fail,
    integer,
    seed,
)
from autograder.tasks.a02_speculative_decoding.oracles import (
    COUNTED,
    GREEDY,
    REPEATED,
    HeldModel,
    distribution_of_a_round,
    expect_repeatable,
    held_pair,
    opposed_tables,
    random_context,
    round_index,
    simulated_round,
)


def round_fields(got):
    """The three fields of a Round, with their kinds checked."""
    if not isinstance(got, dict) or not {"tokens", "num_accepted", "draft_tokens"} <= got.keys():
        fail("speculative_round must return Round(tokens, num_accepted, draft_tokens)", got=type(got).__name__)
    for name in ("tokens", "draft_tokens"):
        expect_tensor(got[name], f"Round.{name}", shape=(None,), dtype="int")
    return got["tokens"].tolist(), got["num_accepted"], got["draft_tokens"].tolist()


def call_round(call, target, draft, context, draft_length, *draft_sampling, rng=None):
    """A round with a greedy target."""
    request = Callback(target), Callback(draft), torch.tensor(context), draft_length, GREEDY
    return round_fields(call("speculative_round", *request, seed(rng) if rng else Seed(0), *draft_sampling))


def greedy_outcome(target, context, drafted):
    """The new tokens and the number kept of any drafted tokens, where the target is greedy."""
    right = target.tables.greedy(context, len(drafted) + 1)
    kept = [*(ours == theirs for ours, theirs in zip(drafted, right, strict=False)), False].index(False)
    return right[: kept + 1], kept


HOT = Remote("nimblelm.inference.decoding.sampling:Sampling", 4.0)


def expect_hot(rounds):
    """At temperature 4 a draft's tokens are not all its likeliest: (draft, context, drafted tokens) of many rounds."""
    if all(drafted == draft.tables.greedy(context, len(drafted)) for draft, context, drafted in rounds):
        fail(
            "the drafted tokens are the draft's likeliest although its own settings, `draft_sampling`, have "
            "temperature 4: they are for its logits, `sampling` is for the target's"
        )


@check("round", points=1)
def a_greedy_round_keeps_what_agrees(call, rng):
    """Greedy rounds give the target's tokens, whatever the draft's settings; without a draft a token is drawn."""
    sizes = [(1, 3), (6, 0), *((integer(rng, 2, 12), integer(rng, 1, 5)) for _ in range(6))]
    for number, (tokens_so_far, length) in enumerate(sizes):
        context = random_context(rng, tokens_so_far)
        target, draft = held_pair(rng, context, distance=(2.0, 0.25)[number % 2], strict=False)  # few kept, many kept
        tokens, kept, drafted = call_round(call, target, draft, context, length)
        want_tokens, want_kept, want_drafted = simulated_round(target.tables, draft.tables, context, length)
        expect_equal(drafted, want_drafted, "the drafted tokens", hint="each draft step continues the one before")
        expect_equal(
            kept, want_kept, "number of kept tokens", hint="row i of the target's logits verifies drafted token i"
        )
        expect_equal(tokens, want_tokens, "the kept tokens and the one after them")
    hot = []
    for tokens_so_far in range(3, 9):
        context = random_context(rng, tokens_so_far)
        target, draft = held_pair(rng, context, strict=False)
        tokens, kept, drafted = call_round(call, target, draft, context, 4, HOT, rng=rng)
        want_tokens, want_kept = greedy_outcome(target, context, drafted)
        expect_equal(kept, want_kept, f"number kept of {drafted}, drafted at temperature 4")
        expect_equal(tokens, want_tokens, f"the new tokens of a round that drafted {drafted} at temperature 4")
        hot.append((draft, context, drafted))
    expect_hot(hot)
    p, q = opposed_tables(3, rng)
    markov, setting = (
        "nimblelm.inference.speculative.markov:MarkovModel",
        Remote("nimblelm.inference.decoding.sampling:Sampling", 1.0),
    )
    request = Remote(markov, p), Remote(markov, q), torch.tensor([1, 0]), 0, setting, seed(rng)
    got = call.many("speculative_round", 500, *request, part="tokens")
    got = expect_tensor(got, "Round.tokens", shape=(500, 1), dtype="int")
    expect_repeatable(call.many("speculative_round", REPEATED, *request, part="tokens"), got, "rounds without a draft")
    hint = "a step of the target is drawn from its distribution like every other token"
    expect_distribution(got[:, 0], p[0], "the token of a round that drafts nothing", hint=hint)


@check("round", points=1)
def a_full_acceptance_yields_one_token_more(call, rng):
    """A draft equal to the target gives draft_length + 1 tokens, the last from the target's own further row."""
    for length in (1, 2, 4, 6):
        context = random_context(rng, 8)
        target, _ = held_pair(rng, context, strict=False)
        draft = HeldModel(target.tables, "draft", context[:-1], strict=False)
        tokens, kept, _ = call_round(call, target, draft, context, length)
        expect_equal(kept, length, "number of kept tokens when both models agree")
        expect_equal(len(tokens), length + 1, "number of new tokens: all kept and the bonus")
        expect_equal(tokens, target.tables.greedy(context, length + 1), "the new tokens")


@check("round", points=1)
def the_target_checks_the_block_in_one_pass(call, rng):
    """One call of the target, with the last token and the drafted ones, at position n - 1."""
    hot = []
    for length in (1, 3, 5) * 4:
        context = random_context(rng, integer(rng, 2, 9))
        target, draft = held_pair(rng, context, 1.0, strict=False)  # they often differ: a rejection is part of a pass
        new, _, drafted = call_round(call, target, draft, context, length, HOT, rng=rng)
        hot.append((draft, context, drafted))
        expect_equal(len(target.calls), 1, "calls of the target in a round")
        tokens, position = target.calls[0]
        expect_equal(
            position,
            len(context) - 1,
            "position of the target's block",
            hint="its cache holds every token but the last: the block starts with that one",
        )
        expect_equal(tokens, [context[-1], *drafted], "the tokens that the target checks")
        if len(draft.calls) > length + 1:
            fail("the draft was called more often than it has tokens to draft", got=len(draft.calls), want=length)
        expect_equal(new, greedy_outcome(target, context, drafted)[0], "the tokens of this pass", hint=COUNTED)
    expect_hot(hot)


@check("round", points=1)
def both_caches_stay_right_from_round_to_round(call, rng):
    """Six rounds on the same caches: no row is stale, none is missing, and the draft processes no token again."""
    for distance in (0.0, 0.25, 1.0):
        context = random_context(rng, 5)
        target, draft = held_pair(rng, context, distance)
        for _ in range(6):
            before = len(draft.calls)
            tokens, _, _ = call_round(call, target, draft, context, 3)
            read = sum(len(block) for block, _ in draft.calls[before:])
            if read > 3 + 2:
                fail(
                    "the draft processed tokens that its cache holds: begin with the last two tokens",
                    got=read,
                    want=3 + 1,
                )
            known = len(context)  # rows up to here must hold the sequence as it was
            for model in (target, draft):
                right = model.rows[: known - 1] == context[: known - 1]
                if not right:
                    fail(
                        f"the {model.name}'s cache holds tokens that the sequence does not: after a rejection the next "
                        "call must start at the first row that is wrong"
                    )
            want, *_ = simulated_round(target.tables, draft.tables, context, 3)
            expect_equal(tokens, want, "the tokens of a round on these caches", hint=COUNTED)
            context = context + tokens


def led_by(table, lead):
    """The same behind that many tokens that are certain: the last token of the table leads to the one before it."""
    size = len(table)
    led = torch.zeros(size + lead, size + lead)
    led[:size, :size] = table
    for token in range(size, size + lead):
        led[token, token - 1 if token > size else 0] = 1
    return led


def distribution_check(call, rng, sampling, draft_sampling, size, describe, lead=0):
    """Counts of whole rounds against their exact distribution, with draws enough for the smallest mistake that we know.

    The distribution is that of the last two drafted tokens; with a lead that many come before them, which are certain.

    Args:
        sampling, draft_sampling: temperature, top-k and top-p of the target and of the draft, which differ.
    """
    from nimblelm.inference.decoding.sampling import Sampling, probabilities

    settings, own = Sampling(*sampling), Sampling(*draft_sampling)
    p, q = opposed_tables(size, rng)
    p_probs, q_probs = probabilities(p.log(), settings), probabilities(q.log(), own)
    right = distribution_of_a_round(p_probs, q_probs, 0)
    mistaken = [
        distribution_of_a_round(p_probs, q_probs, 0, verified_q=probabilities(q.log(), settings)),
        distribution_of_a_round(p_probs, q_probs, 0, one_uniform=True),
    ]
    undivided = probabilities(q.log(), Sampling(1.0, own.top_k))  # what was drawn from, but for its temperature
    if not torch.equal(undivided, q_probs):
        mistaken.append(distribution_of_a_round(p_probs, q_probs, 0, verified_q=undivided))
    draws = max(2000, *(draws_needed(right, distribution) for distribution in mistaken))
    markov = "nimblelm.inference.speculative.markov:MarkovModel"
    setting = Remote("nimblelm.inference.decoding.sampling:Sampling", *sampling)
    models = (Remote(markov, led_by(table, lead)) for table in (p, q))
    start = torch.tensor([1, size + lead - 1 if lead else 0])
    own_setting = Remote("nimblelm.inference.decoding.sampling:Sampling", *draft_sampling)
    request = *models, start, lead + 2, setting, seed(rng), own_setting
    got = call.many("speculative_round", draws, *request)
    if not isinstance(got, dict) or not {"tokens", "num_accepted", "draft_tokens"} <= got.keys():
        fail("speculative_round must return Round(tokens, num_accepted, draft_tokens)", got=type(got).__name__)
    tokens = expect_tensor(got["tokens"], "Round.tokens", dtype="int")
    drafted = expect_tensor(got["draft_tokens"], "Round.draft_tokens", shape=(draws, lead + 2), dtype="int")[:, lead:]
    kept = expect_tensor(got["num_accepted"], "Round.num_accepted", shape=(draws,), dtype="int")
    if lead and int(kept.min()) < lead:
        fail("a drafted token was rejected that both models are certain of", kept=int(kept.min()))
    if int(kept.min()) < 0 or int(kept.max()) > lead + 2 or tokens.shape[1] <= int(kept.max()):
        fail("num_accepted and the number of tokens do not fit: there is one token more than were kept")
    following = tokens.gather(1, kept[:, None].long())[:, 0]
    if int(following.min()) < 0 or int(following.max()) >= size or int(drafted.min()) < 0 or int(drafted.max()) >= size:
        fail(f"a token outside the vocabulary of {size}, or a token missing after the kept ones")
    if bool((drafted == drafted[0]).all()):
        fail("every round drafted the same tokens: draw from the generator that you are given, and never seed it")
    again = call.many("speculative_round", REPEATED, *request, part="tokens")
    expect_repeatable(again, tokens[:, : int(kept[:REPEATED].max()) + 1], "rounds")  # as wide as the longest of these
    expect_distribution(
        round_index(drafted.long(), kept.long() - lead, following.long(), size),
        right,
        describe,
        hint="verify each token by the very distribution it was drawn from, with a uniform number of its own",
    )


@check("round", points=2, deadline_s=60)
def a_sampled_round_has_the_right_distribution(call, rng):
    """Drafted, kept and following tokens have the exact joint distribution, target at temperature 1, draft at 0.5."""
    distribution_check(call, rng, (1.0, None, None), (0.5, None, None), 3, "drafted pair, number kept and token after")
    said = "third and fourth drafted token, number kept and token after"
    distribution_check(call, rng, (1.0, None, None), (0.5, None, None), 3, said, lead=2)


@check("round", points=1, deadline_s=60)
def temperature_and_top_k_shape_both_distributions(call, rng):
    """The same with top-k and top-p, which target and draft have of their own."""
    said = "drafted pair, number kept and token after, target at temperature 0.6"
    distribution_check(call, rng, (0.6, 3, None), (4.0, None, None), 4, f"{said} and top-k 3, draft at 4")
    distribution_check(
        call, rng, (0.6, None, 0.95), (1.0, 3, None), 4, f"{said} and top-p 0.95, draft at 1 and top-k 3"
    )
