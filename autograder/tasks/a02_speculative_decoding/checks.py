"""The hidden checks. Inputs come from the run's key, expected values are computed in the judge, after the answer."""

import functools
import itertools

import torch

from autograder.engine import (
    Callback,
    Remote,
    Trial,
    check,
    draws_needed,
    expect_close,
    expect_equal,
    expect_law,
    expect_tensor,
    explained,
    fail,
    seed,
    speed_check,
)
from autograder.tasks.a02_speculative_decoding.models import (
    HeldModel,
    Tables,
    law_of_a_round,
    opposed_tables,
    round_index,
    simulated_round,
)
from autograder.tasks.a02_speculative_decoding.visible import kept_of_one, kept_of_several

COUNTED = "calls and caches count only where they give the right text"
PAIR = "target", "draft"
NEVER = 6  # an end token that no model of six tokens writes
GREEDY = Remote("nimblelm.inference.sampling:Sampling", 0.0)


def laws(rng, *shape, sharpness=1.5):
    return (sharpness * torch.randn(*shape, generator=rng)).softmax(-1)


def integer(rng, low, high):
    """A random whole number from low to high, both included."""
    return int(torch.randint(low, high + 1, (), generator=rng))


# ---------------------------------------------------------------- the acceptance rule


def blocks(rng, *batch, length=5, vocab_size=7):
    """p (..., G+1, V), q (..., G, V), tokens drawn from q, uniforms that lie clearly on one side of p/q."""
    p, q = laws(rng, *batch, length + 1, vocab_size), laws(rng, *batch, length, vocab_size)
    tokens = torch.multinomial(q.reshape(-1, vocab_size), 1, generator=rng).reshape(*batch, length)
    ratio, u = ratios(p, q, tokens).float(), torch.rand(*batch, length, generator=rng)
    return p, q, tokens, u.where((ratio - u).abs() > 1e-4, ratio / 2)


def ratios(p, q, tokens):
    """p / q of each drafted token, in float64."""
    chosen = tokens[..., None]
    return (p[..., :-1, :].double().gather(-1, chosen) / q.double().gather(-1, chosen))[..., 0]


def kept_before_a_rejection(kept):
    """(...) numbers of tokens before the first that is not kept, for (..., G) truth values."""
    counts = [[*row, False].index(False) for row in kept.reshape(-1, kept.shape[-1]).tolist()]
    return torch.tensor(counts).reshape(kept.shape[:-1])


@check("accept", points=1)
def the_ratio_of_p_to_q_decides(call, rng):
    """Blocks of a single token, which is kept exactly when u lies below p/q."""
    p, q, tokens, u = blocks(rng, 40, length=1)
    ratio = ratios(p, q, tokens)
    want = (u < ratio)[:, 0].long()
    got = kept_of_several(call, p, q, tokens, u)
    if not torch.equal(got, want) and torch.equal(got, (u < 1 / ratio)[:, 0].long()):
        fail("the ratio is turned round: keep the token if u < p/q, the target over the draft")
    if not torch.equal(got, want) and torch.equal(got, (u < p[:, 0].gather(1, tokens))[:, 0].long()):
        fail("u was compared with p alone: divide by q, the draft has already done its share of the choosing")
    expect_equal(got, want, "kept tokens of 40 blocks of one token", hint="kept where u < p/q")


@check("accept", points=1)
def the_first_rejection_ends_the_block(call, rng):
    """In longer blocks, several at once, the kept tokens are a prefix."""
    for number in range(24):
        batch = ((1,), (6,), (2, 3), (2, 1, 3))[number % 4]
        p, q, tokens, u = blocks(rng, *batch, length=integer(rng, 2, 8))
        stay = u < ratios(p, q, tokens)
        want = kept_before_a_rejection(stay)
        unseen = kept_before_a_rejection(torch.cat([torch.ones_like(stay[..., :1]), stay[..., 1:]], -1))
        got = kept_of_several(call, p, q, tokens, u)
        if not torch.equal(got, want) and torch.equal(got, stay.sum(-1)):
            fail(
                "tokens after the first rejection were counted: they were drafted after a token that is not in the text"
            )
        if not torch.equal(got, want) and torch.equal(got, unseen):
            fail("the first drafted token must be verified like every other", got=got, want=want)
        expect_equal(got, want, "numbers of kept tokens", hint="count each block's tokens up to its first rejection")


@check("accept", points=1)
def impossible_tokens_are_never_kept(call, rng):
    """A token with p = 0 is rejected even for u = 0, and u = p/q is a rejection."""
    for place in [place for _ in range(5) for place in torch.randperm(4, generator=rng).tolist()]:
        q = laws(rng, 4, 6)
        tokens = torch.multinomial(q, 1, generator=rng)[:, 0]
        for factor, u, hint in (
            (0.0, 0.0, "u < p/q is strict: with <= an impossible token gets in"),
            (0.5, 0.5, "strictly below"),
        ):
            p = torch.cat([q, q[:1]])
            p[place, tokens[place]] *= factor
            got = kept_of_one(call, p, q, tokens, torch.full((4,), u))
            expect_equal(got, place, f"kept tokens where p/q = {factor} and u = {u} at place {place}", hint=hint)


@check("accept", points=1)
def the_extremes_hold(call, rng):
    """Equal laws keep every token, greedy laws keep what agrees, and the row after the block plays no part."""
    for length in (1, 4, 9):
        q = laws(rng, length, 6)
        tokens = torch.multinomial(q, 1, generator=rng)[:, 0]
        p = torch.cat([q, torch.full((1, 6), float("nan"))])
        got = kept_of_one(call, p, q, tokens, torch.full((length,), 0.99999))
        expect_equal(got, length, "kept tokens when draft and target agree", hint="p/q = 1 lies above every u")
        p[-2, tokens[-1]] *= 0.9
        got = kept_of_one(call, p, q, tokens, torch.full((length,), 0.99999))
        expect_equal(got, length - 1, "kept tokens when the last one's p is 0.9 q", hint="p/q = 0.9 lies below this u")
    for agreeing in torch.randperm(5, generator=rng).tolist():
        chosen, tokens = torch.randint(5, (2, 5), generator=rng)
        tokens[:agreeing] = chosen[:agreeing]
        tokens[agreeing:] = (chosen[agreeing:] + 1) % 5
        p, q = torch.eye(5)[chosen], torch.eye(5)[tokens[:4]]
        got = kept_of_one(call, p, q, tokens[:4], torch.rand(4, generator=rng))
        expect_equal(got, agreeing, f"kept tokens of greedy laws that agree {agreeing} times")


# ---------------------------------------------------------------- the token after the kept ones


def residual(p, q):
    rest = (p.double() - q.double()).clamp(min=0)
    return (rest / rest.sum()).float()


@check("residual", points=1)
def the_residual_is_what_the_draft_gave_too_little_of(call, rng):
    """After a rejection the law is max(0, p - q) over its sum."""
    for _ in range(20):
        p, q = laws(rng, 2, 9), laws(rng, 1, 9)
        got = expect_tensor(call("next_token_probs", p, q, 0), "the law after a rejection", shape=(9,), dtype="float")
        want = residual(p[0], q[0])
        if torch.allclose(got, (p[0] - q[0]).clamp(min=0).softmax(-1), atol=1e-5):
            fail("the residual went through a softmax, which gives mass to tokens that it rules out: divide by the sum")
        if torch.allclose(got, p[0], atol=1e-5):
            fail("this is p itself: tokens that the draft offers too often would be drawn too often")
        if torch.allclose(got, (p[0] - q[0]).clamp(min=0), atol=1e-5):
            fail("the residual is not a law yet: divide it by its sum", got=float(got.sum()), want=1.0)
        expect_close(got, want, "the law after a rejection", atol=1e-5, rtol=1e-4)


@check("residual", points=1)
def the_residual_belongs_to_the_rejected_position(call, rng):
    """The law is taken at position num_accepted, for each of them."""
    p, q = laws(rng, 6, 8), laws(rng, 5, 8)
    for kept in range(5):
        got = call("next_token_probs", p, q, kept)
        expect_close(
            got,
            residual(p[kept], q[kept]),
            f"the law after {kept} kept tokens",
            atol=1e-5,
            rtol=1e-4,
            hint="row num_accepted of both tables is the rejected position",
        )


@check("residual", points=1)
def a_full_acceptance_gives_the_bonus_token(call, rng):
    """When all tokens were kept the law is the target's, one position further."""
    for length in (1, 3, 7):
        p, q = laws(rng, length + 1, 8), laws(rng, length, 8)
        meaning = "all tokens were kept, so no position was rejected, and draft_probs has no row num_accepted"
        with explained(IndexError=meaning):
            got = call("next_token_probs", p, q, length)
        first = call("next_token_probs", p, q, 0)
        if isinstance(first, torch.Tensor) and any(torch.equal(first, p[row]) for row in (0, length)):
            fail("a row of the target came out as it is although the first token was rejected: tell the cases apart")
        expect_close(
            got,
            p[length],
            f"the law after all {length} tokens were kept",
            atol=1e-6,
            hint="nothing was rejected, so nothing is subtracted: the last row of target_probs as it is",
        )


@check("residual", points=1)
def both_ways_together_give_the_target(call, rng):
    """Kept mass and residual mass add up to p; laws that are equal, exactly or up to rounding, leave p, not NaN."""
    for _ in range(10):
        p, q = laws(rng, 2, 6), laws(rng, 1, 6)
        got = expect_tensor(call("next_token_probs", p, q, 0), "the law after a rejection", shape=(6,), dtype="float")
        both = torch.minimum(p[0], q[0])
        expect_close(both + (1 - both.sum()) * got, p[0], "min(p, q) + P(rejection) x your law", atol=1e-5, rtol=1e-4)
    q = laws(rng, 1, 6)
    below = torch.cat([q, q]).nextafter(torch.zeros(()))
    for p, equal in ((torch.cat([q, q]), "equals q"), (below, "lies a rounding step below q")):
        got = call("next_token_probs", p, q, 0)
        expect_close(got, p[0], f"the law where p {equal}", hint="the residual sums to 0 there: 0/0 is NaN, return p")
    above = below.clone()
    token = integer(rng, 0, 5)
    above[0, token] = q[0, token].nextafter(torch.ones(()))
    got = call("next_token_probs", above, q, 0)
    hint = "its residual is tiny, and not empty: only a sum of exactly 0 is"
    expect_close(got, torch.eye(6)[token], "the law where one p lies a rounding step above q", hint=hint)


# ---------------------------------------------------------------- one round


def round_fields(got):
    """The three fields of a Round, with their kinds checked."""
    if not isinstance(got, dict) or not {"tokens", "num_accepted", "draft_tokens"} <= got.keys():
        fail("speculative_round must return Round(tokens, num_accepted, draft_tokens)", got=type(got).__name__)
    for name in ("tokens", "draft_tokens"):
        expect_tensor(got[name], f"Round.{name}", shape=(None,), dtype="int")
    return got["tokens"].tolist(), got["num_accepted"], got["draft_tokens"].tolist()


def held_pair(rng, context, distance=0.25, strict=True, vocab_size=6):
    """A target and a draft that often agree; both caches hold all of the context but its last token."""
    target = Tables(vocab_size, rng)
    draft = Tables(vocab_size, rng, like=target, distance=distance)
    return HeldModel(target, "target", context[:-1], strict), HeldModel(draft, "draft", context[:-1], strict)


def random_context(rng, length, vocab_size=6):
    return torch.randint(0, vocab_size, (length,), generator=rng).tolist()


def call_round(call, target, draft, context, draft_length):
    got = call(
        "speculative_round",
        Callback(target),
        Callback(draft),
        torch.tensor(context),
        draft_length,
        GREEDY,
        seed(torch.Generator()),
    )
    return round_fields(got)


@check("round", points=1)
def a_greedy_round_keeps_what_agrees(call, rng):
    """Greedy rounds on random texts give the target's tokens; without a draft a token is drawn, greedy or not."""
    sizes = [(1, 3), (6, 0), *((integer(rng, 2, 12), integer(rng, 1, 5)) for _ in range(10))]
    for number, (tokens_so_far, length) in enumerate(sizes):
        context = random_context(rng, tokens_so_far)
        target, draft = held_pair(rng, context, distance=(2.0, 0.25)[number % 2], strict=False)  # few kept, many kept
        tokens, kept, drafted = call_round(call, target, draft, context, length)
        want_tokens, want_kept, want_drafted = simulated_round(target.tables, draft.tables, context, length)
        expect_equal(drafted, want_drafted, "the drafted tokens", hint="each draft step continues the one before")
        expect_equal(
            kept, want_kept, "number of kept tokens", hint="row i of the target's logits judges drafted token i"
        )
        expect_equal(tokens, want_tokens, "the kept tokens and the one after them")
    p, q = opposed_tables(3, rng)
    markov, setting = "nimblelm.inference.markov:MarkovModel", Remote("nimblelm.inference.sampling:Sampling", 1.0)
    request = Remote(markov, p), Remote(markov, q), torch.tensor([1, 0]), 0, setting, seed(rng)
    got = call.many("speculative_round", 500, *request, part="tokens")
    got = expect_tensor(got, "Round.tokens", shape=(500, 1), dtype="int")
    expect_repeatable(call.many("speculative_round", REPEATED, *request, part="tokens"), got, "rounds without a draft")
    hint = "a step of the target is drawn from its law like every other token"
    expect_law(got[:, 0], p[0], "the token of a round that drafts nothing", hint=hint)


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
    for length in (1, 3, 5) * 4:
        context = random_context(rng, integer(rng, 2, 9))
        target, draft = held_pair(rng, context, 1.0, strict=False)  # they often differ: a rejection is part of a pass
        new, _, drafted = call_round(call, target, draft, context, length)
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
        want, *_ = simulated_round(target.tables, draft.tables, context, length)
        expect_equal(new, want, "the tokens of this pass", hint=COUNTED)


@check("round", points=1)
def both_caches_stay_right_from_round_to_round(call, rng):
    """Six rounds on the same caches: no row is stale, none is missing, and the draft reads no text again."""
    for distance in (0.0, 0.25, 1.0):
        context = random_context(rng, 5)
        target, draft = held_pair(rng, context, distance)
        for _ in range(6):
            before = len(draft.calls)
            tokens, _, _ = call_round(call, target, draft, context, 3)
            read = sum(len(block) for block, _ in draft.calls[before:])
            if read > 3 + 2:
                fail("the draft read text that its cache holds: begin with the last two tokens", got=read, want=3 + 1)
            known = len(context)  # rows up to here must hold the text as it was
            for model in (target, draft):
                right = model.rows[: known - 1] == context[: known - 1]
                if not right:
                    fail(
                        f"the {model.name}'s cache holds tokens that are not in the text: after a rejection the next "
                        "call must start at the first row that is wrong"
                    )
            want, *_ = simulated_round(target.tables, draft.tables, context, 3)
            expect_equal(tokens, want, "the tokens of a round on these caches", hint=COUNTED)
            context = context + tokens


REPEATED = 50  # runs that are done again with the same generator


def expect_repeatable(again, first, what):
    """The same generator state gives the same again: nothing random comes from anywhere else."""
    if not isinstance(again, torch.Tensor) or not torch.equal(again.to(first), first[: len(again)]):
        fail(f"the same generator gave other {what}: hand `generator` to everything that is random")


def led_by(table, lead):
    """The same law behind that many tokens that are certain: the last token of the table leads to the one before it."""
    size = len(table)
    led = torch.zeros(size + lead, size + lead)
    led[:size, :size] = table
    for token in range(size, size + lead):
        led[token, token - 1 if token > size else 0] = 1
    return led


def law_check(call, rng, sampling, size, describe, lead=0):
    """Counts of whole rounds against their exact law, with enough draws to see the smallest mistake that we know.

    The law is that of the last two drafted tokens; with a lead that many come before them, which are certain.
    """
    from nimblelm.inference.sampling import Sampling, probabilities

    settings = Sampling(*sampling)
    p, q = opposed_tables(size, rng)
    p_law, q_law = (probabilities(table.log(), settings) for table in (p, q))
    right = law_of_a_round(p_law, q_law, 0)
    other = Sampling() if settings != Sampling() else Sampling(2.0)
    mistaken = [
        law_of_a_round(p_law, q_law, 0, judged_q=probabilities(q.log(), other)),
        law_of_a_round(p_law, q_law, 0, one_uniform=True),
    ]
    draws = max(draws_needed(right, law) for law in mistaken)
    markov = "nimblelm.inference.markov:MarkovModel"
    setting = Remote("nimblelm.inference.sampling:Sampling", *sampling)
    models = (Remote(markov, led_by(table, lead)) for table in (p, q))
    start = torch.tensor([1, size + lead - 1 if lead else 0])
    request = *models, start, lead + 2, setting, seed(rng)
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
    expect_law(
        round_index(drafted.long(), kept.long() - lead, following.long(), size),
        right,
        describe,
        hint="judge each token by the very law it was drawn from, with a uniform number of its own",
    )


@check("round", points=2, deadline_s=60)
def a_sampled_round_has_the_right_law(call, rng):
    """Drafted tokens, kept tokens and the token after follow the exact joint law at temperature 1, early and late."""
    law_check(call, rng, (1.0, None, None), 3, "drafted pair, number kept and token after")
    said = "third and fourth drafted token, number kept and token after"
    law_check(call, rng, (1.0, None, None), 3, said, lead=2)


@check("round", points=1, deadline_s=60)
def temperature_and_top_k_shape_both_laws(call, rng):
    """The same with temperature 0.6 and top-k 3 of 4, or top-p 0.95: both models' logits go through the settings."""
    law_check(call, rng, (0.6, 3, None), 4, "drafted pair, number kept and token after, temperature 0.6, top-k 3")
    law_check(call, rng, (0.6, None, 0.95), 4, "drafted pair, number kept and token after, temperature 0.6, top-p 0.95")


# ---------------------------------------------------------------- the whole decoder


def call_decoder(call, target, draft, prompt, count, length, eos=None):
    got = call(
        "speculative_generate",
        Callback(target),
        Callback(draft),
        torch.tensor(prompt),
        count,
        length,
        GREEDY,
        seed(torch.Generator()),
        eos,
    )
    return expect_tensor(got, "the new tokens", shape=(None,), dtype="int").tolist()


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


def expect_gain(*texts):
    """So is one that calls the target for every token though its draft is often right, blocks or no blocks.

    Args:
        texts: pairs of a target and the number of tokens that it was asked for. One of them comes with the prefill.
    """
    calls = sum(position > 0 for target, _ in texts for _, position in target.calls)
    further = sum(count - 1 for _, count in texts)
    if calls >= further:
        said = "the target was called for every token although the draft is often right: this is plain decoding"
        fail(said, calls=calls, tokens=further)


def expect_drawn_from(target, prompt, tokens):
    """A sampled text is about as likely as one that was drawn from the target's law (6 standard deviations)."""
    text, above, variance = [*prompt, *tokens], 0.0, 0.0
    for place in range(len(prompt), len(text)):
        logs = target.tables.after(text[:place]).double().log_softmax(-1)
        mean = (logs.exp() * logs).sum()
        above += float(logs[text[place]] - mean)
        variance += float((logs.exp() * (logs - mean) ** 2).sum())
    if abs(above) > 6 * variance**0.5:
        fail("a sampled text is not one of the target's: its tokens are too likely or too unlikely under its law")


@check("decoder", points=1)
def greedy_text_equals_plain_decoding(call, rng):
    """Token by token the text of plain greedy decoding, for good drafts, bad drafts and short prompts."""
    texts = []
    for prompt_length, draft_length, distance in ((1, 3, 0.25), (2, 1, 0.25), (9, 5, 0.1), (6, 4, 5.0)):
        target, draft = fresh_pair(rng, distance)
        prompt = random_context(rng, prompt_length)
        got = call_decoder(call, target, draft, prompt, 24, draft_length)
        want = target.tables.greedy(prompt, 24)
        what = f"24 new tokens after a prompt of {prompt_length}, draft length {draft_length}"
        expect_equal(got[:24], want, what)  # that there are no more is another check's business
        expect_speculation(target, draft_length)
        if distance < 1:
            texts.append((target, 24))
    expect_gain(*texts)


@check("decoder", points=1)
def the_end_token_stops_it_anywhere_in_a_block(call, rng):
    """The text ends just after the first new end token; one in the prompt does not count."""
    texts = []
    for _ in range(4):
        tables, prompt = [held.tables for held in fresh_pair(rng)], random_context(rng, 4)
        free = tables[0].greedy(prompt, 20)
        for eos in sorted({0, *free[:6], prompt[0], NEVER}):
            target, draft = (HeldModel(of, name, strict=False) for of, name in zip(tables, PAIR, strict=True))
            got = call_decoder(call, target, draft, prompt, 20, 4, eos)[:20]  # how many is another check's
            want = free[: free.index(eos) + 1] if eos in free else free
            if got != want and got[: len(want)] == want:
                fail("tokens follow the end token: it can stand in the middle of a kept block", got=got, want=want)
            expect_equal(
                got, want, f"the text up to end token {eos}", hint="search the new tokens only, keep the end token"
            )
            if len(want) > 1:
                expect_speculation(target, 4)
            if eos == NEVER:
                texts.append((target, 20))
    expect_gain(*texts)


@check("decoder", points=1)
def the_number_of_tokens_is_exact(call, rng):
    """Exactly max_new_tokens come, also when the last block could give more."""
    target, draft = fresh_pair(rng)
    prompt = random_context(rng, 5)
    for count in (1, 2, 5, 6, 7, 60):
        tables = target.tables, (draft if count == 60 else target).tables
        held, other = (HeldModel(of, name, strict=False) for of, name in zip(tables, PAIR, strict=True))
        got = call_decoder(call, held, other, prompt, count, 4)
        expect_equal(len(got), count, "number of new tokens", hint="propose no more than can still be used")
        expect_equal(got, target.tables.greedy(prompt, count), "the new tokens")
        longest = max(position + len(tokens) for tokens, position in held.calls)
        if longest > len(prompt) + count - 1:
            fail("a block held more tokens than can still be used: with r to come draft at most r - 1", asked_for=count)
        expect_speculation(held, min(4, count - 1))
    expect_gain((held, count))


@check("decoder", points=2, deadline_s=60)
def three_tokens_have_the_targets_joint_law(call, rng):
    """At temperature 0.8 and top-k 3 of 4 the joint law of three tokens is the target's, whatever the draft."""
    from nimblelm.inference.sampling import Sampling, probabilities

    size, start, settings = 4, 2, (0.8, 3)
    p, q = laws(rng, size, size), laws(rng, size, size)

    def joint(table):
        table = probabilities(table.log(), Sampling(*settings)).double()
        cells = itertools.product(range(size), repeat=3)
        return torch.stack([table[start, a] * table[a, b] * table[b, c] for a, b, c in cells])

    draws = max(2000, min(5000, draws_needed(joint(p), joint(0.9 * p + 0.1 * q))))
    markov = "nimblelm.inference.markov:MarkovModel"
    setting = Remote("nimblelm.inference.sampling:Sampling", 1.0)
    target, draft = fresh_pair(rng, 2.0)  # so far that a text of the draft is none of the target
    pair, prompt = (Callback(target), Callback(draft)), [1, start]
    got = call("speculative_generate", *pair, torch.tensor(prompt), 150, 4, setting, seed(rng), None)
    got = expect_tensor(got, "the new tokens", shape=(None,), dtype="int").tolist()[:150]
    expect_speculation(target, 4)
    expect_gain((target, 150))
    expect_drawn_from(target, prompt, got)
    setting = Remote("nimblelm.inference.sampling:Sampling", *settings)
    request = Remote(markov, p), Remote(markov, q), torch.tensor([1, start]), 3, 2, setting, seed(rng), None
    got = call.many("speculative_generate", draws, *request)
    got = expect_tensor(got, "the new tokens", shape=(draws, 3), dtype="int").long()
    if int(got.min()) < 0 or int(got.max()) >= size:
        fail(f"fewer than three tokens, or a token outside the vocabulary of {size}")
    if bool((got == got[0]).all()):
        fail("every text is the same: draw from the generator that you are given, and never seed it")
    expect_repeatable(call.many("speculative_generate", REPEATED, *request), got, "texts")
    expect_law((got * torch.tensor([size * size, size, 1])).sum(1), joint(p), "three tokens")


@check("decoder", points=1)
def both_caches_hold_the_text(call, rng):
    """Prefill once, then every call of either model relies on rows that hold the text."""
    for prompt_length in (1, 7):
        target, draft = fresh_pair(rng, 0.2, strict=True)
        prompt = random_context(rng, prompt_length)
        target.rows, draft.rows = [], []
        text = prompt + call_decoder(call, target, draft, prompt, 20, 3)
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
        for model, known in ((target, len(text) - 1), (draft, len(text) - 5)):
            if model.rows[:known] != text[:known]:
                fail(f"the {model.name}'s cache does not hold the text", got=model.rows[:known], want=text[:known])
        right = target.tables.greedy(prompt, max(20, len(text) - prompt_length))  # how many is another check's
        expect_equal(text, prompt + right, "the text in these caches", hint=COUNTED)


@check("decoder", points=1)
def the_target_is_called_no_more_than_needed(call, rng):
    """The judge counts the target's passes: a prefill, then one a round."""
    from nimblelm.inference.sampling import GREEDY as greedy
    from nimblelm.inference.speculative import speculative_generate

    for distance, length, count in ((0.0, 4, 30), (0.15, 5, 40)):
        target, draft = fresh_pair(rng, distance)
        prompt = random_context(rng, 6)
        got = call_decoder(call, target, draft, prompt, count, length)
        expect_equal(got[:count], target.tables.greedy(prompt, count), "the new tokens")
        ours = HeldModel(target.tables, "target", strict=False)
        with torch.inference_mode():
            our_draft = HeldModel(draft.tables, "draft", strict=False)
            speculative_generate(ours, our_draft, torch.tensor(prompt), count, length, greedy)
        if len(target.calls) > len(ours.calls) + 1:
            fail(
                "the target was called more often than a decoder with this draft needs: are draft_length and the "
                "draft's prefill used?",
                got=len(target.calls),
                want=len(ours.calls),
            )


@functools.cache
def timed_target():
    from nimblelm.inference.agreeing_pair import agreeing_pair

    return agreeing_pair().target


@speed_check(
    "decoder",
    function="speculative_generate",
    points=3,
    knots=[(1.0, 0), (1.5, 3)],
    baselines={
        "plain decoding": "nimblelm.inference.autoregressive:generate",
        "our speculative decoder": "nimblelm.inference.speculative:speculative_generate",
    },
)
def decoding_is_faster_than_one_token_at_a_time(rng):
    """Time on a large target and a one-layer draft against plain decoding, by the judge's clock."""
    count = 24
    prompt = torch.randint(0, timed_target().config.vocab_size, (32,), generator=rng)
    target, draft = Remote(":pair_model", "target", keep=True), Remote(":pair_model", "draft", keep=True)

    def verify(got):
        tokens = got["tokens"] if isinstance(got, dict) else got  # our own decoder returns its rounds as well
        expect_tensor(tokens, "the new tokens", shape=(count,), dtype="int")
        with torch.inference_mode():
            logits = timed_target()(torch.cat([prompt, tokens.long()])[None, :-1])[0, len(prompt) - 1 :]
        chosen = logits.gather(1, tokens.long()[:, None])[:, 0]
        behind = (logits.max(-1).values - chosen).max()
        if behind > 1e-3:  # ties that rounding decides are nobody's mistake
            fail("the timed text is not the greedy text of the target")

    return Trial(
        args=(target, draft, prompt, count, 5, GREEDY, None, None),
        verify=verify,
        baseline_args={"plain decoding": (target, prompt, count)},
    )


# ---------------------------------------------------------------- what to expect


def share(rng, low=0.2, high=0.95):
    """A random number between the two, of four decimals."""
    return round(low + (high - low) * float(torch.rand((), generator=rng)), 4)


@check("speedup", points=1)
def tar_is_kept_tokens_a_round(call, rng):
    """TAR: the sum of kept tokens over the number of rounds."""
    for _ in range(5):
        kept = torch.randint(0, 6, (integer(rng, 1, 30),), generator=rng).tolist()
        expect_close(
            call("token_acceptance_rate", kept),
            sum(kept) / len(kept),
            f"TAR of {len(kept)} rounds",
            hint="divide by the number of rounds, not by the tokens; the bonus is not a kept token",
        )


@check("speedup", points=1)
def expected_tokens_agree_with_counting(call, rng):
    """The mean number of tokens a round, against an exact sum over all outcomes."""
    for a, length in ((0.0, 3), (share(rng), 1), (share(rng), 5), (share(rng), integer(rng, 2, 9)), (share(rng), 0)):
        outcomes = [(kept + 1) * a**kept * (1 - a if kept < length else 1) for kept in range(length + 1)]
        got = call("expected_tokens", a, length)
        if isinstance(got, int | float) and abs(got - (sum(outcomes) - 1)) < 1e-9 and length:
            fail("the token after the kept ones is missing: every round yields it", got=got, want=sum(outcomes))
        expect_close(got, sum(outcomes), f"expected tokens for a = {a}, draft length {length}", hint="G + 1 terms")


@check("speedup", points=1)
def certain_acceptance_is_no_division_by_zero(call, rng):
    """With a = 1 a round yields draft_length + 1 tokens."""
    for length in (0, 1, integer(rng, 2, 9)):
        got, less = call("expected_tokens", 1.0, length), call("expected_tokens", share(rng), length)
        if length and abs(less - (length + 1)) < 1e-9:
            fail("draft_length + 1 tokens came out although a is below 1", got=less)
        expect_close(got, length + 1, f"expected tokens for a = 1, draft length {length}", hint="(1 - a) is 0 there")


@check("speedup", points=1)
def speedup_is_tokens_over_cost(call, rng):
    """Expected tokens over the cost of the draft steps and one check."""
    for length, cost in ((5, 0.05), (integer(rng, 2, 9), share(rng)), (0, share(rng)), (4, 0.0)):
        a = share(rng) if cost else 1.0
        tokens = sum(a**i for i in range(length + 1))
        got = call("predicted_speedup", a, length, cost)
        expect_close(
            got,
            tokens / (length * cost + 1),
            f"speedup for a = {a}, draft length {length}, cost {cost}",
            hint="draft_length draft steps, and one pass of the target whatever the length",
        )


@check("speedup", points=1)
def the_best_length_weighs_tokens_against_cost(call, rng):
    """The best draft length, zero and ties included."""

    def best(a, cost, longest, more=0):
        speedups = [sum(a**i for i in range(g + 1)) / ((g + more) * cost + 1) for g in range(longest + 1)]
        return speedups.index(max(speedups))

    likely, telling = share(rng, 0.6, 0.9), (0.8, 0.0, 9)
    while best(*telling) == best(*telling, more=1):  # where a draft step too many in the cost leads elsewhere
        telling = share(rng, 0.6, 0.9), share(rng, 0.05, 0.2), 9
    for a, cost, longest in (
        telling,
        (likely, share(rng, 0.02, 0.05), 12),
        (share(rng, 0.8, 0.95), share(rng, 0.01, 0.03), 10),
        (share(rng, 0.5, 0.7), share(rng, 0.05, 0.2), 8),
        (share(rng, 0.1, 0.3), share(rng, 0.4, 0.6), 8),
        (0.0, 0.0, integer(rng, 3, 9)),
        (likely, share(rng, 0.05, 0.2), 1),
    ):
        expect_equal(
            call("best_draft_length", a, cost, longest),
            best(a, cost, longest),
            f"best length for a = {a}, cost {cost}, at most {longest}",
            hint="length 0 is plain decoding and can be best; of ties take the smallest",
        )
