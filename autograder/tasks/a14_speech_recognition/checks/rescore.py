"""Rescoring: the hidden checks."""

import math

import torch

from autograder.checks import Callback, check, expect_close, expect_equal, fail, integer
from autograder.tasks.a14_speech_recognition.oracles import errors
from autograder.tasks.a14_speech_recognition.visible.rescore import ranked


def score(labels, acoustic, language, weight, power):
    return (acoustic + (weight * language if weight else 0.0)) / ((5 + len(labels)) / 6) ** power


def expect_ranked(call, found, asked, model, weight, power):
    """The order and every score by the formula, where `asked` stands for the model."""
    got = ranked(call, found, Callback(asked), weight, power)
    want = sorted(((x, score(x, a, model(x), weight, power)) for x, a in found), key=lambda one: -one[1])
    expect_equal([list(labels) for labels, _ in got], [labels for labels, _ in want], "the order")
    for (_, value), (_, wanted) in zip(got, want, strict=True):
        expect_close(float(value), wanted, "a score", 1e-6, 1e-6)


def list_of(rng, count, longest=8):
    """Different transcripts of different lengths with their acoustic scores."""
    found = {}
    while len(found) < count:
        labels = tuple(torch.randint(1, 5, (integer(rng, 0, longest),), generator=rng()).tolist())
        found[labels] = -10 * float(torch.rand((), generator=rng())) - len(labels)
    return [(list(labels), acoustic) for labels, acoustic in found.items()]


def model_of(rng):
    a, b = (float(x) for x in torch.rand(2, generator=rng()))
    return lambda labels: -sum((1 + a * (label % 3) + b * (i % 2)) for i, label in enumerate(labels)) - a


@check("rescore", points=1)
def lists_are_ranked_by_the_formula(call, rng):
    """Several weights and powers; equal scores keep their order."""
    for weight, power in ((0.5, 0.0), (1.3, 0.6), (0.2, 1.5), (0.0, 1.0)):
        found, model = list_of(rng, 9), model_of(rng)
        expect_ranked(call, found, model, model, weight, power)
    twice = [([3], -1.0), ([1], -1.0), ([2], -1.0)]
    got = ranked(call, twice, Callback(lambda labels: -1.0), 1.0, 0.5)
    expect_equal([list(labels) for labels, _ in got], [[3], [1], [2]], "equal ones in their order")


@check("rescore", points=1)
def the_weight_with_the_fewest_errors(call, rng):
    """Lists in which different weights pick different transcripts, against all of them tried."""
    for power in (0.0, 0.8):
        model, weights = model_of(rng), [1.6, 0.0, 0.8, 0.4, 0.2]
        lists = [list_of(rng, 6) for _ in range(6)]
        references = [one[integer(rng, 0, 5)][0] for one in lists]
        totals = []
        for weight in weights:
            best = [max(one, key=lambda x, w=weight: score(x[0], x[1], model(x[0]), w, power))[0] for one in lists]
            totals.append((sum(map(errors, best, references)), weight))
        got = call("tune", lists, references, Callback(model), weights, power)
        expect_close(got, min(totals)[1], "the weight", hint="the fewest errors; of several the smallest weight")
    lists, references = [[([1], -1.0), ([2], -4.0)], [([1, 1], -1.0), ([3], -1.5)]], [[2], [3]]
    prefers = Callback(lambda labels: 0.0 if labels in ([2], [3]) else -2.0)
    got = call("tune", lists, references, prefers, [4.0, 1.0, 2.0, 0.1], 0.0)
    expect_close(got, 2.0, "the weight", hint="2 and 4 make no error; the smallest of them, wherever it stands")
    lists, references = [[([2] * 5, -1.0), ([1, 3], -2.0)], [([4], -1.0), ([4, 3], -2.0)]], [[1], [4]]
    prefers = Callback(lambda labels: 0.0 if labels in ([1, 3], [4, 3]) else -5.0)
    got = call("tune", lists, references, prefers, [0.0, 1.0], 0.0)
    expect_close(got, 1.0, "the weight", hint="two errors in two transcripts are fewer than five in one")
    prefers = Callback(lambda labels: 0.0 if len(labels) == 7 else -5.0)
    got = call("tune", [[([1], -4.0), ([1] * 7, -6.0)]], [[1] * 7], prefers, [1.0, 0.0], 1.0)
    expect_close(got, 0.0, "the weight", hint="the length divides while the weight is tuned, too")


@check("rescore", points=1)
def each_transcript_is_read_once(call, rng):
    """Questions are counted: the same transcript in several lists and under several weights is one."""
    counts, model = {}, model_of(rng)

    def asked(labels):
        counts[tuple(labels)] = counts.get(tuple(labels), 0) + 1
        return model(list(labels))

    lists = [list_of(rng, 5, 3) for _ in range(3)]
    lists.append(lists[0][::-1])
    call("tune", lists, [one[0][0] for one in lists], Callback(asked), [0.3, 0.6, 0.9], 0.2)
    different = {tuple(labels) for one in lists for labels, _ in one}
    if set(counts) != different:
        fail("every transcript of the lists has to be read", got=len(counts), want=len(different))
    if max(counts.values()) > 1:
        fail(f"a transcript was read {max(counts.values())} times: keep the model's answers")
    counts.clear()
    expect_ranked(call, lists[0] + lists[0], asked, model, 1.0, 0.0)
    if max(counts.values(), default=2) > 1:
        fail("a transcript that stands in the list twice is read once")
    never = Callback(lambda labels: -math.inf)
    got = call("tune", [[([1], -2.0), ([2], -1.0)]], [[2]], never, [0.0], 0.0)
    expect_close(got, 0.0, "the only weight")
