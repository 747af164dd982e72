"""Stop sequences: where they end a continuation, and some that end one where mistakes show."""

from collections.abc import Callable
from typing import Any

import torch

from autograder.checks import Draws
from autograder.tasks.a02_speculative_decoding.oracles import Tables, simulated_round

Tokens = list[int]


def stopped(continuation: Tokens, stop: list[Tokens]) -> Tokens:
    """The continuation up to the first token that makes any stop sequence complete; all of it where none does."""
    for end in range(1, len(continuation) + 1):
        if any(continuation[:end][-len(one) :] == one for one in stop):
            return continuation[:end]
    return continuation


def round_ends(target: Tables, draft: Tables, prompt: Tokens, count: int, draft_length: int) -> Tokens:
    """How many new tokens there are after each greedy round."""
    tokens: Tokens = []
    ends = []
    while len(tokens) < count:
        tokens += simulated_round(target, draft, prompt + tokens, min(draft_length, count - len(tokens) - 1))[0]
        ends.append(len(tokens))
    return ends


def stopped_request(
    rng: Draws, target: Tables, draft: Tables, prompt_length: int, count: int, draft_length: int, size: int
) -> tuple[Tokens, Tokens, list[Tokens]]:
    """A prompt, its greedy continuation without a stop, and three stop sequences of which the second ends it.

    That one is of `size` tokens, two or more, and it ends the continuation before the last rounds.
    """
    while True:
        if found := _attempt(rng, target, draft, prompt_length, count, draft_length, size):
            return found


def stopped_pair(
    rng: Draws, make: Callable[[], Any], prompt_length: int, count: int, draft_length: int, size: int
) -> tuple[Any, tuple[Tokens, Tokens, list[Tokens]]]:
    """Two models of `make`, and a request to them as `stopped_request` gives it.

    Where there are few prompts, as of one token, none of a pair's may do; then another pair is made.
    """
    while True:
        target, draft = pair = make()
        for _ in range(12):
            if found := _attempt(rng, target.tables, draft.tables, prompt_length, count, draft_length, size):
                return pair, found


def _attempt(
    rng: Draws, target: Tables, draft: Tables, prompt_length: int, count: int, draft_length: int, size: int
) -> tuple[Tokens, Tokens, list[Tokens]] | None:
    """One prompt's request, or None where its continuation has no telling end."""
    prompt = torch.randint(target.vocab_size, (prompt_length,), generator=rng()).tolist()
    free = target.greedy(prompt, count)
    rounds = round_ends(target, draft, prompt, count, draft_length)
    ends = [end for end in range(8, count - draft_length) if _is_telling(prompt, free, rounds, end, size)]
    if not ends:
        return None
    end = ends[int(torch.randint(len(ends), (), generator=rng()))]
    others = [_absent(rng, prompt + free, length, target.vocab_size) for length in (3, 4)]
    return prompt, free, [others[0], free[end - size : end], others[1]]


def _is_telling(prompt: Tokens, free: Tokens, rounds: Tokens, end: int, size: int) -> bool:
    """Whether common mistakes show, and each of them always, with the stop sequence of that size that ends there.

    It begins in one round and ends in the midst of the next. Each of its tokens came before it alone, and nothing at
    its very beginning can be taken for the beginning of it. It is nowhere else, in the prompt neither.
    """
    begin = end - size
    one = free[begin:end]
    crosses = sum(begin < border < end for border in rounds) == 1 and end not in rounds
    came_alone = len(set(one)) > 1 and set(one) <= set(free[:begin]) and one[0] not in free[begin - size + 1 : begin]
    return crosses and came_alone and _places(prompt + free, one) == 1


def _places(sequence: Tokens, one: Tokens) -> int:
    return sum(sequence[i : i + len(one)] == one for i in range(len(sequence)))


def _absent(rng: Draws, sequence: Tokens, length: int, vocab_size: int) -> Tokens:
    """A stop sequence that is nowhere in a sequence."""
    while True:
        one = torch.randint(vocab_size, (length,), generator=rng()).tolist()
        if not _places(sequence, one):
            return one


def of_every_kind(prompt: Tokens, free: Tokens, never: int) -> list[list[Tokens]]:
    """Lists of stop sequences: one or several, short or long, in a continuation or begun in the prompt.

    Args:
        prompt: four tokens.
        free: the twenty that follow it without a stop.
        never: a token that is in neither.
    """
    singles = [[[token]] for token in sorted({0, free[2], prompt[0]})]
    pairs = [[ending_at(free, end, 2)] for end in range(2, 11)]  # in one round and across two
    long = [[free[end - 8 : end]] for end in (8, 11)]  # longer than a round of five
    begun = [[[*prompt[-size:], *free[:end]]] for size, end in ((1, 1), (1, 2), (2, 1))]
    in_prompt = [[prompt[:2]], [prompt[-2:]]]
    restarts = [[free[at : at + 2]] for at in range(2, 19) if free[at - 2] != free[at - 1] == free[at]]
    inside = [[free[end - 3 : end + 1], free[end - 2 : end]] for end in (4, 7, 9)]
    in_a_row = [[ending_at(free, end + 1, 3), ending_at(free, end, 2)] for end in (3, 4, 5, 6, 8)]
    two = [order for pair in inside + in_a_row for order in (pair, pair[::-1])]
    return [*singles, *pairs, *long, *begun, *in_prompt, *restarts, *two, [[never], [*free[-2:], never]]]


def ending_at(free: Tokens, end: int, size: int) -> Tokens:
    """The shortest stop sequence of that size or more that is complete there for the first time."""
    suffixes = (free[end - longer : end] for longer in range(min(size, end), end + 1))
    return next(one for one in suffixes if len(stopped(free, [one])) == end)
