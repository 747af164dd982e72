"""A beam search under a grammar: the hidden checks."""

import math
from itertools import pairwise

import torch

from autograder.checks import Callback, check, expect_close, expect_equal, fail, integer
from autograder.tasks.a14_speech_recognition.oracles import collapsed, log_softmax, searched, transcripts


def pairs(got):
    """A list of tuples, each of two."""
    if not isinstance(got, list) or not all(isinstance(one, tuple) and len(one) == 2 for one in got):
        fail("a list of tuples (labels, score) is wanted", got=got)
    return got


class Asked:
    """A function of prefixes that counts how often it was asked for each."""

    def __init__(self, function):
        self.function, self.counts = function, {}

    def __call__(self, prefix):
        key = tuple(int(label) for label in prefix)
        self.counts[key] = self.counts.get(key, 0) + 1
        return self.function(list(key))

    @property
    def most(self):
        return max(self.counts.values(), default=0)


def grammar_of(rng, size, blank):
    """What may follow each label, at random: never everything, and the end only after some."""
    table = torch.rand(size + 1, size, generator=rng()) < 0.7
    table[:, blank] = torch.rand(size + 1, generator=rng()) < 0.5
    table[integer(rng, 0, size), blank] = True

    def follows(prefix):
        return table[prefix[-1] if prefix else size].nonzero()[:, 0].tolist()

    return follows


def model_of(rng, size):
    """A bigram."""
    table = log_softmax(rng, size + 1, size, 1.5).tolist()
    return lambda prefix: table[prefix[-1] if prefix else size]


def compared(call, log_probs, width, follows, model, alpha, bonus, blank):
    """Against the same search written out; returns how often both were asked."""
    rules, language = Asked(follows), Asked(model)
    got = call("beam", log_probs, width, Callback(rules), Callback(language), alpha, bonus, blank)
    used = model if alpha else None
    kept = searched(log_probs, width, blank, follows, used, alpha, bonus)[-1]
    want = transcripts(kept, blank, follows, used, alpha, bonus)
    pairs(got)
    expect_equal([list(labels) for labels, _ in got], [labels for labels, _ in want], f"the transcripts, width {width}")
    for (labels, score), (_, wanted) in zip(got, want, strict=True):
        expect_close(float(score), wanted, f"the score of {list(labels)}", 1e-6, 1e-6)
    return rules, language


@check("beam", points=1)
def a_wide_beam_is_exact(call, rng):
    """Every transcript with the probability of all its paths, under a grammar that forbids some."""
    for blank in range(3):
        log_probs = log_softmax(rng, 5, 3, 1.5)
        banned = (blank + 1) % 3
        others = [blank, (blank + 2) % 3]
        rules = Callback(lambda prefix, b=banned, o=others: o if prefix[-1:] == [b] else [0, 1, 2])
        got = pairs(call("beam", log_probs, 500, rules, Callback(model_of(rng, 3)), 0.0, 0.0, blank))
        total, rows = {}, log_probs.exp().tolist()
        for path in torch.cartesian_prod(*[torch.arange(3)] * 5).tolist():
            labels = tuple(collapsed(path, blank))
            if all(a != banned or b != banned for a, b in pairwise(labels)):
                total[labels] = total.get(labels, 0.0) + math.prod(rows[t][k] for t, k in enumerate(path))
        expect_equal(sorted(tuple(labels) for labels, _ in got), sorted(total), "the transcripts")
        for labels, score in got:
            expect_close(math.exp(score), total[tuple(labels)], f"the probability of {list(labels)}", 1e-8, 1e-6)
        scores = [score for _, score in got]
        if scores != sorted(scores, reverse=True):
            fail("the best transcript comes first")


@check("beam", points=1)
def narrow_beams_with_a_model(call, rng):
    """Widths of 1 to 6, weights and bonuses of both signs, any label the blank."""
    for width, alpha, bonus in ((1, 0.6, 0.4), (3, 1.2, -0.3), (6, 0.3, 1.0)) * 4:
        size = integer(rng, 4, 6)
        blank, log_probs = integer(rng, 0, size - 1), log_softmax(rng, 14, size, 1.5)
        compared(call, log_probs, width, grammar_of(rng, size, blank), model_of(rng, size), alpha, bonus, blank)


@check("beam", points=1)
def each_prefix_is_asked_for_once(call, rng):
    """The questions, counted; with alpha 0 the model is not asked, and may be wrong about everything."""
    size = 5
    for _ in range(8):
        follows, log_probs = grammar_of(rng, size, 0), log_softmax(rng, 16, 5, 1.0)
        rules, language = compared(call, log_probs, 4, follows, model_of(rng, size), 0.7, 0.2, 0)
        if rules.most > 1 or language.most > 1:
            fail(f"a prefix was asked for {max(rules.most, language.most)} times: keep the answers")
        if not rules.counts or not language.counts:
            fail("nobody asked the grammar and the model")
    _, language = compared(call, log_probs, 4, follows, lambda prefix: [-math.inf] * size, 0.0, 0.5, 0)
    if language.counts:
        fail("alpha is 0: the model is not asked")


@check("beam", points=1)
def labels_that_cannot_be_said(call, rng):
    """Probabilities of 0, equal scores, and a grammar after which nothing may follow."""
    short = lambda prefix: [0] if len(prefix) == 2 else [1, 2]  # noqa: E731
    compared(call, log_softmax(rng, 9, 3), 8, short, model_of(rng, 3), 0.5, 0.0, 0)
    even = torch.full((4, 3), 1 / 3, dtype=torch.float64).log()
    never = even.clone()
    never[:, 2] = -math.inf
    everything = lambda prefix: [0, 1, 2]  # noqa: E731
    for log_probs in (even, never):
        for width in (2, 5):
            compared(call, log_probs, width, everything, model_of(rng, 3), 0.0, 0.0, 0)
