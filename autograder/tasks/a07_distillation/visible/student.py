"""The student's first weights: the checks that a student sees and runs."""

import torch

from autograder.checks import check, expect_close, expect_equal, expect_tensor, fail


def initial(call, weights, keep):
    """The student's dict, with its names checked to be text and its values to be tensors."""
    before = {name: weight.clone() for name, weight in weights.items()}
    got = call("initial_student", weights, keep)
    if not isinstance(got, dict):
        fail("a dict of tensors is needed; is a `return` missing?", got=type(got).__name__)
    for name, weight in before.items():
        if not torch.equal(weights[name], weight):
            fail(f"the teacher's {name} was changed")
    return got


def expect_student(got, want, what):
    expect_equal(sorted(map(str, got)), sorted(want), f"the names {what}")
    for name, weight in want.items():
        found = expect_tensor(got[name], f"{name} {what}", shape=tuple(weight.shape), dtype="float")
        expect_close(found, weight, f"{name} {what}")


@check("student")
def layers_of_distilbert(call, rng):
    """Six of twelve, and the ends of others."""
    got = call("chosen_layers", 12, 6)
    if got == [0, 2, 4, 6, 8, 10]:
        fail("the last layer of the teacher is the last of the student", got=got, want=[0, 2, 4, 7, 9, 11])
    expect_equal(got, [0, 2, 4, 7, 9, 11], "the layers of 12 that 6 keep")
    expect_equal(call("chosen_layers", 4, 3), [0, 2, 3], "the layers of 4 that 3 keep", hint="1.5 becomes 2")


@check("student")
def two_of_three_layers(call, rng):
    """Three layers of one weight, a token type of ones."""
    weights = {f"layers.{i}.out": torch.full((2, 2), float(i)) for i in range(3)}
    weights |= {"embeddings.word": torch.ones(3, 2), "embeddings.position": torch.zeros(4, 2)}
    weights |= {"embeddings.type": torch.tensor([[1.0, 2.0], [9.0, 9.0]]), "head.bias": torch.ones(3)}
    want = {name: weights[name] for name in ("embeddings.word", "head.bias", "layers.0.out")}
    want |= {"layers.1.out": weights["layers.2.out"]}
    want |= {"embeddings.position": torch.tensor([[1.0, 2.0]] * 4)}
    expect_student(initial(call, weights, 2), want, "of a student of two layers")
