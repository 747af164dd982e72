"""Pictures spliced into texts: the checks that a student sees and runs."""

import torch

from autograder.checks import check, expect_close, expect_equal, expect_parts, expect_tensor, fail

PARTS = ("embeddings", "targets", "mask", "positions")


def spliced(call, tokens, labels, images, table, side, longest):
    """The four tensors, of their shapes and kinds."""
    got = call("splice", [one.clone() for one in tokens], [one.clone() for one in labels], images, table, side)
    found = expect_parts(got, "splice", *PARTS)
    size = (len(tokens), longest)
    expect_tensor(found[0], "embeddings", shape=(*size, table.shape[1]), dtype="float", dims="B T d")
    for name, part, kind in zip(PARTS[1:], found[1:], ("int", torch.bool, "int"), strict=True):
        expect_tensor(part, name, shape=size, dtype=kind, dims="B T")
    return found


def example():
    """Two texts; picture 0 has two embeddings, picture 1 has one."""
    tokens = [torch.tensor([1, -1, 2, 3]), torch.tensor([-2, 2])]
    labels = [torch.tensor([-100, -100, 2, 3]), torch.tensor([-100, 2])]
    images = [torch.tensor([[9.0], [8.0]]), torch.tensor([[7.0]])]
    return tokens, labels, images, torch.tensor([[0.0], [1.0], [2.0], [3.0]])


@check("splice")
def padding_on_the_right(call, rng):
    """Texts 1 <picture 0> 2 3 and <picture 1> 2."""
    found = spliced(call, *example(), "right", 5)
    expect_close(found[0][..., 0], torch.tensor([[1.0, 9, 8, 2, 3], [7, 2, 0, 0, 0]]), "embeddings")
    want = torch.tensor([[-100, -100, 2, 3, -100], [2, -100, -100, -100, -100]])
    if torch.equal(found[1], torch.tensor([[-100, -100, -100, 2, 3], [-100, 2, -100, -100, -100]])):
        fail("targets hold the label of their own slot; the target of slot t is the label of slot t + 1")
    expect_equal(found[1].tolist(), want.tolist(), "targets")
    expect_equal(found[2].tolist(), [[True] * 5, [True, True, False, False, False]], "mask")
    expect_equal(found[3].tolist(), [[0, 1, 2, 3, 4], [0, 1, 0, 0, 0]], "positions")


@check("splice")
def padding_on_the_left(call, rng):
    """The same, so that all texts end in the last slot."""
    found = spliced(call, *example(), "left", 5)
    expect_close(found[0][..., 0], torch.tensor([[1.0, 9, 8, 2, 3], [0, 0, 0, 7, 2]]), "embeddings")
    expect_equal(found[1].tolist(), [[-100, -100, 2, 3, -100], [-100, -100, -100, 2, -100]], "targets")
    expect_equal(found[2].tolist(), [[True] * 5, [False, False, False, True, True]], "mask")
    hint = "positions count a text's own slots, not the padding" if found[3][1].tolist() == [0, 1, 2, 3, 4] else ""
    expect_equal(found[3].tolist(), [[0, 1, 2, 3, 4], [0, 0, 0, 0, 1]], "positions", hint)
