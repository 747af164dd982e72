"""Pictures spliced into texts: the hidden checks."""

import torch

from autograder.checks import check, expect_close, expect_equal, integer
from autograder.tasks.a10_language_models_that_see.oracles import integers, normal
from autograder.tasks.a10_language_models_that_see.visible.splice import spliced


def by_hand(tokens, labels, images, table, side):
    """Slot by slot."""
    rows = []
    for text, own in zip(tokens, labels, strict=True):
        slots = []
        for token, label in zip(text.tolist(), own.tolist(), strict=True):
            if token < 0:
                slots += [(vector, -100) for vector in images[-1 - token]]
            else:
                slots.append((table[token], label))
        rows.append(slots)
    longest = max(map(len, rows))
    nothing = torch.zeros(table.shape[1])
    whole = []
    for slots in rows:
        empty = longest - len(slots)
        line = [
            (vector, slots[i + 1][1] if i + 1 < len(slots) else -100, True, i) for i, (vector, _) in enumerate(slots)
        ]
        padding = [(nothing, -100, False, 0)] * empty
        whole.append(padding + line if side == "left" else line + padding)
    return longest, whole


def expect_spliced(call, tokens, labels, images, table):
    for side in ("right", "left"):
        longest, want = by_hand(tokens, labels, images, table, side)
        found = spliced(call, tokens, labels, images, table, side, longest)
        vectors = torch.stack([torch.stack([slot[0] for slot in row]) for row in want])
        expect_close(found[0], vectors, f"embeddings, padding on the {side}")
        for k, name in ((1, "targets"), (2, "mask"), (3, "positions")):
            expect_equal(
                found[k].tolist(), [[slot[k] for slot in row] for row in want], f"{name}, padding on the {side}"
            )


def drawn(rng, lengths, pictures, width=3, words=7):
    """Texts with placeholders in random places, labels on random words."""
    tokens, labels = [], []
    for length in lengths:
        row = integers(rng, words, length)
        if pictures:
            chosen = torch.rand(length, generator=rng()) < 0.4
            row = torch.where(chosen, -1 - integers(rng, len(pictures), length), row)
        kept = (torch.rand(length, generator=rng()) < 0.6) & (row >= 0)
        tokens.append(row)
        labels.append(torch.where(kept, row, -100))
    return tokens, labels, [normal(rng, n, width) for n in pictures], normal(rng, words, width)


@check("splice", points=2)
def texts_with_several_pictures(call, rng):
    """Pictures of different sizes, in any order, some used twice and some not at all."""
    for _ in range(3):
        expect_spliced(call, *drawn(rng, [integer(rng, 4, 9), 6, integer(rng, 2, 5)], [3, 1, 4]))


@check("splice", points=2)
def texts_that_begin_or_end_with_a_picture(call, rng):
    """And one that is nothing but a picture, and two pictures side by side."""
    _, _, images, table = drawn(rng, [2], [2, 5])
    tokens = [torch.tensor(row) for row in ([-2, 3], [4, -1], [-1], [1, -1, -2, 2, 5])]
    labels = [torch.where(row >= 2, row, -100) for row in tokens]
    expect_spliced(call, tokens, labels, images, table)


@check("splice", points=1)
def texts_without_pictures(call, rng):
    """Of different lengths, and one text alone."""
    expect_spliced(call, *drawn(rng, [5, 1, 3], []))
    expect_spliced(call, *drawn(rng, [integer(rng, 3, 6)], []))
