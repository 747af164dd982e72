"""The whole decoder: the hidden checks."""

import functools
import itertools

import torch

from autograder.checks import (
    Callback,
    Remote,
    Seed,
    Trial,
    check,
    draws_needed,
    expect_distribution,
    expect_equal,
    expect_tensor,
    fail,
    seed,
    speed_check,
)
from autograder.tasks.a02_speculative_decoding.checks.stops import (
    of_every_kind,
    round_ends,
    stopped,
    stopped_pair,
    stopped_request,
)
from autograder.tasks.a02_speculative_decoding.oracles import (
    COUNTED,
    GREEDY,
    REPEATED,
    HeldModel,
    distributions,
    expect_repeatable,
    held_pair,
    random_context,
)

PAIR = "target", "draft"
NEVER = 6  # a token that no model of six tokens writes


def call_decoder(call, target, draft, prompt, count, length, stop=()):
    """The new tokens of a greedy continuation, as a list; the stop sequences are lists of tokens, too."""
    models, stop = (Callback(target), Callback(draft)), [torch.tensor(one) for one in stop]
    got = call("speculative_generate", *models, torch.tensor(prompt), count, length, GREEDY, Seed(0), stop)
    return expect_tensor(got, "the new tokens", shape=(None,), dtype="int").tolist()


def expect_continuation(got, free, stop, what):
    """A continuation is the one without stop sequences, up to the first token that makes one of them complete."""
    want = stopped(free, stop)
    if got != want and got[: len(want)] == want:
        hint = (
            "tokens follow a complete stop sequence: look for one after each new token, in all new tokens so far, "
            "not only in a round's own and not only at a round's end"
        )
        fail(hint, got=got, want=want, stop=stop)
    if got != want and got == want[: len(got)]:
        hint = (
            "the continuation ends too early: a stop sequence is complete only when its last token has come, all of "
            "its tokens are new ones, and it is kept"
        )
        fail(hint, got=got, want=want, stop=stop)
    expect_equal(got, want, what)


def fresh_pair(rng, distance=0.25, strict=False):
    return held_pair(rng, [0], distance, strict)


def expect_speculation(target, draft_length):
    """A decoder that never lets the target check a block is plain decoding under another name."""
    longest = max((len(tokens) for tokens, position in target.calls if position), default=0)
    if longest < min(2, draft_length + 1):
        fail("the target never checked a block of several tokens: this is plain decoding")
    if longest > draft_length + 1:
        fail(
            "the target was given more than the last token and draft_length drafted ones",
            got=longest - 1,
            want=draft_length,
        )


def expect_gain(*sequences):
    """So is one that calls the target for every token though its draft is often right, blocks or no blocks.

    Args:
        sequences: pairs of a target and the number of tokens that it was asked for. One of them comes with the prefill.
    """
    calls = sum(position > 0 for target, _ in sequences for _, position in target.calls)
    further = sum(count - 1 for _, count in sequences)
    if calls >= further:
        said = "the target was called for every token although the draft is often right: this is plain decoding"
        fail(said, calls=calls, tokens=further)


def expect_drawn_from(target, prompt, tokens):
    """A sampled continuation is about as likely as the target's own samples (6 standard deviations)."""
    sequence, above, variance = [*prompt, *tokens], 0.0, 0.0
    for position in range(len(prompt), len(sequence)):
        logs = target.tables.after(sequence[:position]).double().log_softmax(-1)
        mean = (logs.exp() * logs).sum()
        above += float(logs[sequence[position]] - mean)
        variance += float((logs.exp() * (logs - mean) ** 2).sum())
    if abs(above) > 6 * variance**0.5:
        fail("a sampled continuation is not one of the target's: under it, the tokens are too likely or too unlikely")


@check("decoder", points=1)
def greedy_text_equals_plain_decoding(call, rng):
    """Token by token plain greedy decoding up to the stop, for good drafts, bad drafts and short prompts."""
    requests = []
    for prompt_length, draft_length, distance in ((1, 3, 0.25), (2, 1, 0.25), (9, 5, 0.1), (6, 4, 5.0)):
        if draft_length in (3, 5):
            about = prompt_length, 24, draft_length, (draft_length + 1) // 2
            (target, draft), (prompt, free, stop) = stopped_pair(
                rng, functools.partial(fresh_pair, rng, distance), *about
            )
        else:
            target, draft = fresh_pair(rng, distance)
            prompt, stop = random_context(rng, prompt_length), []
            free = target.tables.greedy(prompt, 24)
        got = call_decoder(call, target, draft, prompt, 24, draft_length, stop)
        what = f"the new tokens after a prompt of {prompt_length}, draft length {draft_length}"
        expect_continuation(got[:24], free, stop, what)  # that there are no more is another check's business
        expect_speculation(target, draft_length)
        if distance < 1:
            requests.append((target, len(stopped(free, stop))))
    expect_gain(*requests)


@check("decoder", points=1)
def a_stop_sequence_ends_it_where_it_is_first_complete(call, rng):
    """Just after the first token that completes one, in a round or across several; none begins in the prompt."""
    requests = []
    for _ in range(4):
        tables, prompt = [held.tables for held in fresh_pair(rng)], random_context(rng, 4)
        free = tables[0].greedy(prompt, 20)
        for stop in of_every_kind(prompt, free, NEVER):
            target, draft = (HeldModel(of, name, strict=False) for of, name in zip(tables, PAIR, strict=True))
            got = call_decoder(call, target, draft, prompt, 20, 4, stop)[:20]  # how many is another check's
            expect_continuation(got, free, stop, f"the new tokens after {prompt} with the stop sequences {stop}")
            if len(got) > 1:
                expect_speculation(target, 4)
            if len(got) == 20:
                requests.append((target, 20))
    expect_gain(*requests)


@check("decoder", points=1)
def the_number_of_tokens_is_exact(call, rng):
    """Exactly max_new_tokens come, also when the last block could give more; fewer where a stop sequence ends it."""
    target, draft = fresh_pair(rng)
    prompt = random_context(rng, 5)
    requests = [(prompt, target.tables.greedy(prompt, count), [], target) for count in (1, 2, 5, 6, 7)]
    requests += [(prompt, target.tables.greedy(prompt, 60), [], draft)]
    requests += [(*stopped_request(rng, target.tables, of.tables, 5, 20, 4, 3), of) for of in (target, draft)]
    for prompt, free, stop, drafting in requests:
        held, other = (
            HeldModel(target.tables, "target", strict=False),
            HeldModel(drafting.tables, "draft", strict=False),
        )
        got, want = call_decoder(call, held, other, prompt, len(free), 4, stop), stopped(free, stop)
        hint = "propose no more than can still be used, and end just after a complete stop sequence"
        expect_equal(len(got), len(want), f"number of new tokens, of {len(free)} at most, with stop {stop}", hint=hint)
        expect_equal(got, want, "the new tokens")
        longest = max(position + len(tokens) for tokens, position in held.calls)
        if longest > len(prompt) + len(free) - 1:
            said = "a block held more tokens than can still be used: with r to come draft at most r - 1"
            fail(said, asked_for=len(free))
        expect_speculation(held, min(4, len(free) - 1))
        if len(free) == 60:
            expect_gain((held, 60))


def tables_and_stops(rng, size, start, sampling):
    """Markov rows p and q (V, V), a stop sequence of two tokens, and one of a single token, often before those two.

    Drafts that are kept have all three, so a mistake in their order shows. The first of the two often comes from the
    residual, which ends a round, so that they stand in two. Neither is in a prompt of the start alone.
    """
    from nimblelm.inference.decoding.sampling import probabilities

    orders = [one for one in itertools.permutations(range(size), 3) if one[2] != 0 and start not in (one[0], one[2])]
    while True:  # about one pair of tables in 500 will do
        p, q = distributions(rng, 256, size, size), distributions(rng, 256, size, size)
        p_probs, q_probs = (probabilities(tables.log(), sampling) for tables in (p, q))
        both, likely = torch.minimum(p_probs, q_probs), []
        for first, second, other in orders:
            pair = both[:, first, second]
            kept = torch.minimum(both[:, start, other] * both[:, other, first], both[:, start, first]) * pair
            apart = (p_probs - q_probs)[:, start, first] * pair
            likely.append((kept > 0.02) & (apart > 0.02) & (both[:, start, second] > 0.02))
        for i, order in torch.stack(likely, 1).nonzero().tolist():
            first, second, other = orders[order]
            return p[i], q[i], [[first, second], [other]]


@check("decoder", points=2, deadline_s=60)
def three_tokens_have_the_targets_joint_distribution(call, rng):
    """At temperature 0.8 and top-k 3 of 4 up to three tokens and their stop have the target's joint distribution."""
    from nimblelm.inference.decoding.sampling import Sampling, probabilities

    size, start, settings = 4, 2, (0.8, 3)
    p, q, stop = tables_and_stops(rng, size, start, Sampling(*settings))
    radix = torch.tensor([(size + 1) ** 2, size + 1, 1])  # of three tokens as one number, where 0 stands for none

    def joint(table):
        table = probabilities(table.log(), Sampling(*settings)).double()
        total = torch.zeros((size + 1) ** 3, dtype=torch.float64)
        for a, b, c in itertools.product(range(size), repeat=3):
            tokens = stopped([a, b, c], stop)
            tokens = torch.tensor(tokens + [-1] * (3 - len(tokens)))
            total[((tokens + 1) * radix).sum()] += table[start, a] * table[a, b] * table[b, c]
        return total

    draws = max(2000, min(5000, draws_needed(joint(p), joint(0.9 * p + 0.1 * q))))
    markov = "nimblelm.inference.speculative.markov:MarkovModel"
    setting = Remote("nimblelm.inference.decoding.sampling:Sampling", 1.0)
    target, draft = fresh_pair(rng, 2.0)  # so far that a sequence of the draft is none of the target
    pair, prompt = (Callback(target), Callback(draft)), [1, start]
    got = call("speculative_generate", *pair, torch.tensor(prompt), 150, 4, setting, seed(rng), [])
    got = expect_tensor(got, "the new tokens", shape=(None,), dtype="int").tolist()[:150]
    expect_speculation(target, 4)
    expect_gain((target, 150))
    expect_drawn_from(target, prompt, got)
    setting = Remote("nimblelm.inference.decoding.sampling:Sampling", *settings)
    request = Remote(markov, p), Remote(markov, q), torch.tensor([start, start]), 3, 2, setting, seed(rng)
    stop_tensors = [torch.tensor(one) for one in stop]
    got = call.many("speculative_generate", draws, *request, stop_tensors)
    got = expect_tensor(got, "the new tokens", shape=(draws, 3), dtype="int").long()
    if int(got[:, 0].min()) < 0 or int(got.max()) >= size:
        fail(f"no token, or a token outside the vocabulary of {size}")
    if bool((got == got[0]).all()):
        fail("every continuation is the same: draw from the generator that you are given, and never seed it")
    for tokens in sorted({tuple(token for token in row if token >= 0) for row in got.tolist()}):
        cut = stopped(list(tokens), stop)
        hint = "of at most three tokens, up to the first complete stop sequence"
        expect_equal(list(tokens), cut, f"a continuation with the stop sequences {stop}", hint=hint)
        if len(tokens) < 3 and not any(cut[-len(one) :] == one for one in stop):
            fail("fewer than three tokens, and no stop sequence ends them", got=list(tokens), stop=stop)
    again = call.many("speculative_generate", REPEATED, *request, stop_tensors)
    expect_repeatable(again, got[:, : int((got[:REPEATED] >= 0).sum(1).max())], "continuations")
    expect_distribution(((got + 1) * radix).sum(1), joint(p), "up to three tokens")


@check("decoder", points=1)
def both_caches_hold_the_text(call, rng):
    """Prefill once, then every call of either model relies on rows that hold the sequence, up to its stop."""
    for prompt_length in (1, 7):
        make = functools.partial(fresh_pair, rng, 0.2, strict=True)
        (target, draft), (prompt, free, stop) = stopped_pair(rng, make, prompt_length, 20, 3, 2)
        target.rows, draft.rows = [], []
        got = call_decoder(call, target, draft, prompt, 20, 3, stop)
        sequence = prompt + got
        for model in (target, draft):
            for tokens, position in model.calls:
                before = model.calls[: model.calls.index((tokens, position))]
                if position == 0 and before and prompt_length > 1:
                    fail(
                        f"the {model.name} read the prompt again: prefill once, its cache keeps it",
                        call=len(before) + 1,
                    )
            if prompt_length > 1:
                what = f"the first call of the {model.name} (tokens, position)"
                hint = "prefill all of the prompt but its last token: the first round begins with that one"
                expect_equal(model.calls[0], (prompt[:-1], 0), what, hint=hint)
        for model, known in ((target, len(sequence) - 1), (draft, len(sequence) - 5)):
            if model.rows[:known] != sequence[:known]:
                fail(
                    f"the {model.name}'s cache does not hold the sequence",
                    got=model.rows[:known],
                    want=sequence[:known],
                )
        expect_continuation(got, free, stop, f"the new tokens in these caches: {COUNTED}")


@check("decoder", points=1)
def the_target_is_called_no_more_than_needed(call, rng):
    """The judge counts the target's passes: a prefill, then one a round, and none after the stop."""
    for distance, length, count, size in ((0.0, 4, 30, 2), (0.15, 5, 40, 3), (0.15, 3, 30, 2)):
        target, draft = fresh_pair(rng, distance)
        prompt, free, stop = stopped_request(rng, target.tables, draft.tables, 6, count, length, size)
        got = call_decoder(call, target, draft, prompt, count, length, stop)
        expect_continuation(got[:count], free, stop, "the new tokens")
        rounds = round_ends(target.tables, draft.tables, prompt, count, length)
        needed = 2 + sum(end < len(got) for end in rounds)  # the prefill, and the round in which it ends
        if len(target.calls) > needed:
            fail(
                "the target was called more often than a decoder with this draft model needs: are draft_length and "
                "the draft model's prefill used, and does it end with the round in which a stop sequence is complete?",
                got=len(target.calls),
                want=needed,
            )


@functools.cache
def timed_target():
    from nimblelm.inference.speculative.agreeing_pair import agreeing_pair

    return agreeing_pair().target


@speed_check(
    "decoder",
    function="speculative_generate",
    points=3,
    thresholds=[(1.0, 0), (1.5, 3)],
    baselines={
        "plain decoding": "nimblelm.inference.decoding.autoregressive:generate",
        "our speculative decoder": "nimblelm.inference.speculative.decoder:speculative_generate",
    },
)
def decoding_is_faster_than_one_token_at_a_time(rng):
    """Time on a large target and a one-layer draft against plain decoding, by the judge's clock."""
    count = 24
    prompt = torch.randint(0, timed_target().config.vocab_size, (32,), generator=rng())
    target, draft = Remote(":pair_model", "target", keep=True), Remote(":pair_model", "draft", keep=True)

    def verify(got):
        tokens = got["tokens"] if isinstance(got, dict) else got  # our own decoder returns its rounds as well
        expect_tensor(tokens, "the new tokens", shape=(count,), dtype="int")
        with torch.inference_mode():
            logits = timed_target()(torch.cat([prompt, tokens.long()])[None, :-1])[0, len(prompt) - 1 :]
        chosen = logits.gather(1, tokens.long()[:, None])[:, 0]
        behind = (logits.max(-1).values - chosen).max()
        if behind > 1e-3:  # ties that rounding decides are nobody's mistake
            fail("the timed sequence is not the greedy sequence of the target")

    return Trial(
        args=(target, draft, prompt, count, 5, GREEDY, None, []),
        verify=verify,
        baseline_args={
            "plain decoding": (target, prompt, count),
            "our speculative decoder": (target, draft, prompt, count, 5, GREEDY),
        },
    )
