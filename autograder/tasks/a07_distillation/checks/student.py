"""The student's first weights: the hidden checks."""

import math

import torch

from autograder.checks import check, expect_equal, integer
from autograder.tasks.a07_distillation.visible.student import expect_student, initial

PARTS = ("attention.q", "attention.out", "norm.bias", "mlp.up")


def teacher_of(rng, num_layers):
    draw = lambda *shape: torch.randn(*shape, generator=rng())  # noqa: E731
    weights = {"embeddings.word": draw(7, 4), "embeddings.position": draw(5, 4), "embeddings.type": draw(2, 4)}
    order = torch.randperm(num_layers, generator=rng()).tolist()
    weights |= {f"layers.{i}.{part}": draw(4, 3) for i in order for part in PARTS}
    return weights | {"embeddings.norm.bias": draw(4), "head.bias": draw(7), "transform.layers": draw(4, 4)}


def layers(num_layers, keep):
    return [math.floor(j * (num_layers - 1) / (keep - 1) + 0.5 + 1e-9) for j in range(keep)]


@check("student", points=2)
def layers_of_many_sizes(call, rng):
    """All of small sizes, some of large ones."""
    drawn = [(integer(rng, 20, 60), integer(rng, 2, 20)) for _ in range(3)]
    small = [(n, k) for n in range(2, 9) for k in range(2, n + 1)]
    for num_layers, keep in [*drawn, *small, (24, 12), (31, 16)]:
        got = call("chosen_layers", num_layers, keep)
        expect_equal(got, layers(num_layers, keep), f"the layers of {num_layers} that {keep} keep")


def expect_cut(call, rng, *shapes):
    for num_layers, keep in shapes:
        weights = teacher_of(rng, num_layers)
        want = {n: w for n, w in weights.items() if not n.startswith(("layers.", "embeddings.type"))}
        want["embeddings.position"] = weights["embeddings.position"] + weights["embeddings.type"][0]
        for j, i in enumerate(layers(num_layers, keep)):
            want |= {f"layers.{j}.{part}": weights[f"layers.{i}.{part}"] for part in PARTS}
        expect_student(initial(call, weights, keep), want, f"of {keep} of {num_layers} layers")


@check("student", points=1)
def weights_under_new_names(call, rng):
    """More than ten layers, in any order."""
    expect_cut(call, rng, (12, 6), (integer(rng, 11, 15), integer(rng, 3, 9)))


@check("student", points=1)
def all_layers_and_few(call, rng):
    """A student of all layers, and one of the first and the last alone."""
    expect_cut(call, rng, (3, 3), (integer(rng, 4, 9), 2))
