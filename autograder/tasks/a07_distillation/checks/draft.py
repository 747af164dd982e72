"""A draft distilled for acceptance: the hidden checks. The judge counts the tokens of a round, exactly."""

import itertools

import torch

from autograder.checks import check, fail, integer
from autograder.tasks.a07_distillation.visible.draft import accepted, table_of

DRAFTED = 4


class SecondOrder:
    """A target that sees two tokens: the distribution of the next, and text that it wrote."""

    def __init__(self, rng, size, sharpness=2.0):
        self.rng, self.size = rng, size
        self.after = (sharpness * torch.randn(size, size, size, generator=rng())).softmax(-1)
        share = torch.full((size, size), 1 / size**2)
        for _ in range(60):
            share = torch.einsum("ab,abx->bx", share, self.after)
        self.share = share / share.sum()  # how often two tokens stand side by side

    def written(self, rows, length):
        """(tokens, probs) of text, its distribution after each token."""
        text = torch.randint(self.size, (rows, 2), generator=self.rng())
        for _ in range(length):
            drawn = torch.multinomial(self.after[text[:, -2], text[:, -1]], 1, generator=self.rng())
            text = torch.cat([text, drawn], dim=1)
        tokens, before = text[:, 2:], text[:, 1:-1]
        return tokens, self.after[before, tokens]

    def tokens_a_round(self, table):
        """Mean tokens of a round of DRAFTED drafted tokens, over all texts: kept ones and the target's own."""
        kept = torch.minimum(self.after.double(), table.double()[None])  # (a, b, x)
        more = torch.zeros(self.size, self.size, dtype=torch.float64)
        for _ in range(DRAFTED):
            more = (kept * (1 + more[None])).sum(-1)
        return float(1 + (self.share.double() * more).sum())


def mean_table(tokens, probs):
    size, last, p = probs.shape[-1], tokens.flatten(), probs.flatten(0, 1).double()
    rows = [p[last == b].mean(0) if bool((last == b).any()) else p.mean(0) for b in range(size)]
    return torch.stack(rows)


def best_table(tokens, probs):
    """Row by row: steps of the sorted probabilities, those of the highest gain first."""
    table, last, p = mean_table(tokens, probs), tokens.flatten(), probs.flatten(0, 1).double()
    for b in last.unique().tolist():
        levels = p[last == b].sort(0).values
        steps = [
            (len(levels) - i, float(levels[i, x] - (levels[i - 1, x] if i else 0.0)), x)
            for i in range(len(levels))
            for x in range(p.shape[1])
        ]
        row, left = [0.0] * p.shape[1], 1.0
        for _, width, x in sorted(steps, key=lambda step: -step[0]):
            take = min(width, left)
            row[x] += take
            left -= take
        table[b] = torch.tensor(row, dtype=torch.float64)
    return table


def counted_table(tokens, probs):
    """What the target's text alone would give."""
    size = probs.shape[-1]
    counts = torch.full((size, size), 0.2, dtype=torch.float64)
    for row in tokens.tolist():
        for a, b in itertools.pairwise(row):
            counts[a, b] += 1
    return counts / counts.sum(1, keepdim=True)


@check("draft", points=2)
def rows_of_the_highest_acceptance(call, rng):
    """On the distributions that are given, within .001 of the best; tokens that do not occur among them."""
    for size in (4, integer(rng, 6, 9)):
        tokens, probs = SecondOrder(rng, size).written(6, 12)
        tokens[tokens == 1] = 0
        table, best = table_of(call, tokens, probs), best_table(tokens, probs)
        last, p = tokens.flatten(), probs.flatten(0, 1)
        for b in last.unique().tolist():
            rate, most = accepted(table[b], p[last == b]), accepted(best[b], p[last == b])
            if not float(rate) >= float(most) - 1e-3:
                fail(f"another distribution is accepted more often after token {b}", yours=rate, best=most)
        if float((table[1] - p.double().mean(0)).abs().max()) > 1e-3:
            fail("the row of a token that does not occur is the mean of all distributions", got=table[1])


def expect_tokens(call, rng, low, high, what):
    """Tokens a round, summed over several targets, at least halfway between those of two tables."""
    yours = least = 0.0
    for _ in range(3):
        target = SecondOrder(rng, 9)
        tokens, probs = target.written(20, 24)
        yours += target.tokens_a_round(table_of(call, tokens, probs))
        least += sum(target.tokens_a_round(make(tokens, probs)) for make in (low, high)) / 2
    if not yours >= least - 1e-6:
        fail(f"too few tokens a round {what}", yours=yours / 3, needed=least / 3)


@check("draft", points=2)
def more_tokens_than_counting(call, rng):
    """A round yields more than one of a draft that learned from the target's text alone."""
    expect_tokens(call, rng, counted_table, mean_table, "beside a draft that counts what the target wrote")


@check("draft", points=2)
def more_tokens_than_the_mean(call, rng):
    """A round yields more than one of a draft that proposes by the mean distribution."""
    expect_tokens(call, rng, mean_table, best_table, "beside a draft of mean distributions")
