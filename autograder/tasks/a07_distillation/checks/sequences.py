"""Sequence-level targets: the hidden checks."""

import torch

from autograder.checks import check, expect_equal, integer
from autograder.tasks.a07_distillation.visible.sequences import made


def some_texts(rng, count, vocab=6, end=3):
    """Texts of few tokens, so that doubles come; what stands behind an end is drawn as well."""
    texts = []
    for _ in range(count):
        sizes = integer(rng, 1, 3), integer(rng, 1, 7)
        prompt, written = (torch.randint(vocab, (size,), generator=rng()) for size in sizes)
        texts.append((prompt, written, -torch.randint(1, 9, (sizes[1],), generator=rng()).float() / 8))
    prompt, _, _ = texts[0]
    texts.append((prompt, torch.tensor([1, 2, end, 0]), torch.tensor([-0.25, -0.5, -0.75, 0.0])))
    texts.append((prompt, torch.tensor([1, 2, end, 5]), torch.tensor([0.0, 0.0, 0.0, -9.0])))
    texts.append((prompt, torch.tensor([1, 2]), torch.zeros(2)))
    texts.append((torch.full((4,), 4), torch.tensor([4, 4, 4, 4, 4, end]), torch.full((6,), -0.0625)))
    for token in (1, 2):  # one continuation of two prompts, among the best
        likely = torch.tensor([-0.0625, -0.0625, -9.0, -9.0])
        texts.append((torch.full((4,), token), torch.tensor([4, end, 2, end]), likely))
    texts.append((prompt, torch.tensor([2, 1, end]), torch.tensor([-0.75, -0.5, -0.25])))
    return texts


def by_hand(texts, end, keep):
    rows = []
    for prompt, written, scores in texts:
        ids = written.tolist()
        if end not in ids:
            continue
        size = ids.index(end) + 1
        row = prompt.tolist(), ids[:size]
        if row not in [other for other, _ in rows]:
            rows.append((row, sum(scores[:size].tolist()) / size))
    best = sorted(range(len(rows)), key=lambda i: (-rows[i][1], i))[:keep]
    kept = [rows[i][0] for i in sorted(best)]
    length = max(len(prompt) + len(ids) for prompt, ids in kept) - 1
    tokens, labels = [], []
    for prompt, ids in kept:
        read = (prompt + ids)[:-1]
        asked = [-100] * (len(prompt) - 1) + ids
        tokens.append(read + [0] * (length - len(read)))
        labels.append(asked + [-100] * (length - len(asked)))
    return tokens, labels


def expect_same(call, texts, end, keep, what):
    tokens, labels = made(call, texts, end, keep)
    want = by_hand(texts, end, keep)
    expect_equal(len(tokens), len(want[0]), f"number of texts that stay {what}")
    expect_equal(tokens.tolist(), want[0], f"the tokens {what}")
    expect_equal(labels.tolist(), want[1], f"the labels {what}")


@check("sequences", points=2)
def all_that_end(call, rng):
    """Nothing but unfinished and double texts goes."""
    for count in (6, integer(rng, 10, 16)):
        expect_same(call, some_texts(rng, count), 3, 100, f"of {count + 7}")


@check("sequences", points=2)
def the_best_few(call, rng):
    """A few of many, ties among them."""
    for keep in (1, 4, integer(rng, 5, 9)):
        expect_same(call, some_texts(rng, 24), 3, keep, f"where {keep} are kept")


@check("sequences", points=1)
def another_end(call, rng):
    """The end token is 0, which padding holds as well; it occurs in prompts."""
    texts = some_texts(rng, 14, vocab=5, end=0)
    texts.append((torch.tensor([0, 0, 4]), torch.tensor([4, 0, 2]), torch.tensor([-1.0, -1.0, -1.0])))
    expect_same(call, texts, 0, 100, "with 0 as the end")
