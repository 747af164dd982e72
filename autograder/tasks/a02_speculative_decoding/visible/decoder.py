"""The whole decoder: the checks that a student sees and runs."""

import torch

from autograder.checks import Callback, check, expect_equal, fail, seed
from autograder.tasks.a02_speculative_decoding.visible.shared import AT_ONE, GREEDY, CountingModel, markov, tokens_of


def decode(call, target, draft, prompt, max_new_tokens, length, stop=()):
    """The new tokens of a greedy continuation, as a list; the stop sequences are lists of tokens, too."""
    models = Callback(target), Callback(draft)
    stop = [torch.tensor(one) for one in stop]
    got = call("speculative_generate", *models, torch.tensor(prompt), max_new_tokens, length, GREEDY, None, stop)
    new = tokens_of(got, "the result")
    if not target.calls:
        fail("the target was never called: a continuation comes by rounds, and each asks it once")
    if new[: len(prompt)] == prompt and len(new) > max_new_tokens:
        fail("return the new tokens only, without the prompt", got=new)
    if len(new) > max_new_tokens:
        fail(f"{len(new)} tokens came, {max_new_tokens} were asked for", got=new)
    if max(position + len(block) for block, position in target.calls) > len(prompt) + max_new_tokens - 1:
        fail("a round drafted more than can still be used: with r tokens to come, draft at most r - 1")
    return new


@check("decoder")
def the_text_is_that_of_plain_decoding(call, rng):
    """A target that counts upwards goes on counting up to the stop, whatever the draft model proposes."""
    for step in (1, 2):
        for prompt in ([6, 7], [7]):
            for stop, want in (([], [0, 1, 2, 3, 4, 5]), ([[3, 4]], [0, 1, 2, 3, 4])):
                got = decode(call, CountingModel("target", 1), CountingModel("draft", step), prompt, 6, 3, stop)
                what = f"six new tokens at most after {prompt}, the draft counting by {step}, stop sequences {stop}"
                expect_equal(got, want, what)


@check("decoder")
def a_good_draft_saves_passes_of_the_target(call, rng):
    """With a draft of three that agrees, eight tokens take the prompt's pass and two more; one if four are enough."""
    for stop, want in (([], 3), ([[2, 3]], 2)):
        target = CountingModel("target", 1)
        decode(call, target, CountingModel("draft", 1), [5, 6, 7], 8, 3, stop)
        hint = "read the prompt once, draft in every round, and begin none after a stop sequence is complete"
        expect_equal(len(target.calls), want, f"calls of the target with the stop sequences {stop}", hint=hint)


@check("decoder")
def the_prompt_is_prefilled_but_for_its_last_token(call, rng):
    """The first call of either model reads the prompt at position 0, all but its last token."""
    target, draft = CountingModel("target", 1), CountingModel("draft", 1)
    decode(call, target, draft, [5, 6, 7], 8, 3)
    for model in (target, draft):
        hint = "a round begins with the last token of the sequence: leave it to the first round"
        what = f"the first call of the {model.name} (tokens, position)"
        expect_equal(model.calls[0] if model.calls else None, ([5, 6], 0), what, hint=hint)


def counted(call, prompt, stop):
    """The new tokens where both models count upwards: at most fourteen, in rounds of four."""
    return decode(call, CountingModel("target", 1), CountingModel("draft", 1), prompt, 14, 3, stop)


@check("decoder")
def the_continuation_ends_just_after_a_stop_sequence(call, rng):
    """After [7] come 0 to 3 in one round and 4 to 7 in the next: a stop sequence ends it in a round or across them."""
    hint = "ask after each new token whether the last new tokens, of all rounds, are a stop sequence; keep it"
    for one in ([1, 2], [5], [0], [3, 4], [2, 3, 4, 5], [0, 1, 2, 3, 4, 5, 6, 7, 0]):
        end = len(one) if one[0] == 0 else one[-1] + 1
        got = counted(call, [7], [one])
        expect_equal(got, [token % 8 for token in range(end)], f"the new tokens up to the stop sequence {one}", hint)


@check("decoder")
def all_tokens_of_a_stop_sequence_are_new(call, rng):
    """One that stands in the prompt or begins there ends nothing; when it comes again it does."""
    hint = "compare with the new tokens only, whatever the prompt ends in"
    for prompt, one in (([6, 7], [6, 7]), ([6, 7], [7, 0]), ([6, 7], [6, 7, 0]), ([0, 0], [0])):
        upwards = [token % 8 for token in range(prompt[-1] + 1, prompt[-1] + 15)]
        want = upwards[: 8 + (one == [7, 0]) + (one == [6, 7, 0])]
        got = counted(call, prompt, [one])
        expect_equal(got, want, f"the new tokens after {prompt} up to the stop sequence {one}", hint=hint)


@check("decoder")
def the_stop_sequence_that_is_complete_first_ends_it(call, rng):
    """Of several, also where they overlap: not the first of the list, the longest, or the one that begins first."""
    hint = "whichever is complete first, wherever it stands in the list and wherever it began"
    for stop, end in (([[2], [1]], 2), ([[1], [2]], 2), ([[0, 1, 2, 3], [1, 2]], 3), ([[5, 6], [3, 4, 5]], 6)):
        expect_equal(counted(call, [7], stop), list(range(end)), f"the new tokens with the stop sequences {stop}", hint)


@check("decoder")
def the_generator_reaches_every_round(call, rng):
    """At temperature 1 two generators give two continuations, and the same generator gives the same again."""
    models = markov(0.25, 0.25, 0.25, 0.25), markov(0.4, 0.3, 0.2, 0.1)
    first, second = seed(rng), seed(rng)
    one, same, other = (
        tokens_of(call("speculative_generate", *models, torch.tensor([1, 0]), 12, 3, AT_ONE, each, []), "the result")
        for each in (first, first, second)
    )
    if one != same:
        fail("the same generator gave another continuation: hand `generator` to every round", got=same, want=one)
    if one == other:
        fail(
            "two generators gave the same continuation: hand `sampling` and `generator` on as they came, never seed",
            got=one,
        )
