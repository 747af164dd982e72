"""Queries that ask an image: the checks that a student sees and runs, and the judge's count of what is kept."""

import torch

from autograder.checks import MISSING_RETURN, check, expect_close, expect_tensor, fail


def looked(call, image, w_k, w_v):
    """What `look` keeps of an image, its bytes counted."""
    state = call("look", image, w_k, w_v)
    if state is None:
        fail(f"`look` returned None{MISSING_RETURN}")
    if not isinstance(state, list | tuple) or not all(isinstance(part, torch.Tensor) for part in state):
        fail("`look` should return a tuple of tensors", got=state)
    limit = 4 * image.shape[0] * image.shape[1] * (w_k.shape[1] + w_v.shape[1])
    num_bytes = sum(part.numel() * part.element_size() for part in state)
    if num_bytes > limit:
        fail(f"`look` keeps {num_bytes} bytes of the image, at most {limit} are allowed: keys and values")
    return tuple(state)


def asked(call, queries, state, w_q, w_o, heads, kv_heads):
    got = call("ask", queries, state, w_q, w_o, heads, kv_heads)
    return expect_tensor(got, "the queries", shape=tuple(queries.shape), dtype="float", dims="B Q d")


@check("asking")
def one_query_and_two_patches(call, rng):
    """A query (1, -1) asks patches whose keys it likes equally: half of both values is added, then normalised."""
    image = torch.tensor([[[1.0, 1.0], [2.0, 2.0]]])
    w_k, w_v = torch.zeros(2, 2), torch.tensor([[0.0, 2.0], [0.0, 0.0]])
    state = looked(call, image, w_k, w_v)
    got = asked(call, torch.tensor([[[1.0, -1.0]]]), state, torch.eye(2), torch.eye(2), 1, 1)
    want = torch.tensor([[[-1.0, 1.0]]])  # (1, -1) + (0, 3) = (1, 2)
    hint = "add what was gathered to the queries, then normalise" if not torch.allclose(got, want, atol=1e-3) else ""
    expect_close(got, want, "the queries", 1e-4, 1e-4, hint)


@check("asking")
def a_shared_key_value_head(call, rng):
    """Two query heads share one key-value head; only that one is kept."""
    image = torch.tensor([[[0.0], [10.0]]])
    state = looked(call, image, torch.tensor([[1.0]]), torch.tensor([[1.0]]))
    got = asked(call, torch.tensor([[[9.0, -9.0, 0.0]]]), state, torch.eye(3)[:, :2], torch.eye(3)[:2], 2, 1)
    wide = torch.tensor([9.0 + 10, -9.0, 0.0])
    want = (wide - wide.mean()) / wide.var(correction=0).sqrt()
    expect_close(got[0, 0], want, "the queries", 1e-3, 1e-3)
