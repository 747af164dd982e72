"""Labels of a conversation: the hidden checks."""

import torch

from autograder.checks import check, expect_equal, integer
from autograder.tasks.a10_language_models_that_see.oracles import integers
from autograder.tasks.a10_language_models_that_see.visible.labels import END, expect_refused, labelled


def by_hand(tokens, speaker, max_length):
    found = []
    for i, token in enumerate(tokens.tolist()[:max_length]):
        own = speaker[i] == 2 or (token == END and i > 0 and speaker[i - 1] == 2)
        found.append(token if own and token >= 0 and i > 0 else -100)
    return found


def words(rng, count):
    """Different tokens that are words."""
    return (END + 1 + torch.randperm(40, generator=rng())[:count]).tolist()


@check("labels", points=2)
def conversations_of_any_speakers(call, rng):
    """Random speakers and tokens, pictures among them; some end tokens are the user's or the system's."""
    for _ in range(4):
        length = integer(rng, 12, 24)
        tokens, speaker = integers(rng, 8, length) - 1, integers(rng, 3, length)
        tokens[:6] = torch.tensor([3, 6, END, 4, END, -1])  # of the assistant from the first on; an end of the user's
        speaker[:6] = torch.tensor([2, 2, 0, 1, 1, 2])
        expect_equal(labelled(call, tokens, speaker, 99).tolist(), by_hand(tokens, speaker, 99), "the labels")


@check("labels", points=2)
def long_ones_are_cut(call, rng):
    """At every length; an error where nothing is left."""
    a, b, c, d, e = words(rng, 5)
    tokens = torch.tensor([a, -1, b, c, d, END, b, -1, e, END])
    speaker = torch.tensor([1, 1, 1, 2, 2, 0, 1, 2, 2, 0])
    for most in range(1, 13):
        want = by_hand(tokens, speaker, most)
        if all(one == -100 for one in want):
            expect_refused(call, tokens, speaker, most, f"of {most} tokens")
        else:
            expect_equal(labelled(call, tokens, speaker, most).tolist(), want, f"the labels of {most} tokens")


@check("labels", points=1)
def what_can_never_be_predicted(call, rng):
    """An answer in the first slot, or of a picture alone: the inspector must fail."""
    a, b = words(rng, 2)
    expect_refused(call, torch.tensor([a, b]), torch.tensor([2, 1]), 9, "the first token has nothing before it")
    expect_refused(call, torch.tensor([b, -1, a]), torch.tensor([1, 2, 1]), 9, "a placeholder is no word")
    expect_refused(call, torch.tensor([b, END, a]), torch.tensor([1, 0, 0]), 9, "the end token is the user's")
    kept = labelled(call, torch.tensor([a, END, b]), torch.tensor([2, 0, 1]), 9)
    expect_equal(kept.tolist(), [-100, END, -100], "the labels of an answer of one token at the front")
