"""Closing the gaps in the cache: the checks that a student sees and runs."""

import torch

from autograder.checks import check, expect_equal, expect_tensor, explained, fail


def rows_kept(call, keys, values, *args):
    """Keys, values and blocks that come back, keys and values with all their slots."""
    with explained(IndexError="slots are the second axis of four; row t lies in block blocks[t // block_size]"):
        got = call("keep_rows", keys, values, *args)
    if not isinstance(got, tuple | list) or len(got) != 3:
        fail("return (keys, values, blocks)", got=type(got).__name__)
    for part, name in zip(got, ("keys", "values"), strict=False):
        if isinstance(part, torch.Tensor) and part.ndim == 4 and part.shape[1] < keys.shape[1]:
            shapes = {"got": tuple(part.shape), "want": tuple(keys.shape)}
            fail(f"the {name} were cut off: other sequences have rows in the pool, all its slots stay there", **shapes)
        expect_tensor(part, f"the {name}", shape=tuple(keys.shape), dtype="float", dims="L S H D")
    blocks = got[2].tolist() if isinstance(got[2], torch.Tensor) else got[2]
    if not isinstance(blocks, list | tuple):
        fail("the third thing returned is the list of the blocks that are still needed", got=type(blocks).__name__)
    return got[0], got[1], [int(block) for block in blocks]


@check("cache")
def kept_rows_stand_one_after_the_other(call, rng):
    """Slot i of a pool of twelve holds i. Blocks 2, 0 and 1 of four slots; the root is in row 2, nodes 0, 2, 5 stay."""
    keys = torch.arange(12.0)[None, :, None, None].expand(2, 12, 1, 3).clone()
    *parts, blocks = rows_kept(call, keys, keys + 100, [2, 0, 1], 4, 2, torch.tensor([0, 2, 5]))
    rows = [8, 9, 10, 11, 0, 1, 2, 3]  # the slots of rows 0 to 7
    for name, part, shift in zip(("keys", "values"), parts, (0, 100), strict=True):
        got = (part[1, :, 0, 2] - shift)[rows][:5].tolist()
        if (part[1, :5, 0, 2] - shift).tolist() == [0.0, 1.0, 2.0, 4.0, 7.0]:
            fail(f"rows are not slots: row 0 of the sequence lies in block 2, which begins at slot 8 of the {name}")
        if got[:2] != [8, 9]:
            fail(f"the rows before the root must stay in the {name}", got=got)
        hint = "node i was written to row position + i, and the j-th kept node belongs in row position + j"
        expect_equal(got, [8.0, 9.0, 10.0, 0.0, 3.0], f"first rows of the {name}", hint=hint)
    expect_equal(blocks, [2, 0], "blocks of five rows", hint="two blocks of four slots hold them; the third is free")
