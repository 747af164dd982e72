"""LoRA, many adapters on one base: the hidden checks."""

import torch

from autograder.checks import check, expect_close, expect_parts, expect_tensor, integer
from autograder.tasks.a05_quantization_and_lora.visible.lora import layer


def normal(rng, *shape):
    return torch.randn(*shape, generator=rng())


def some_adapters(rng, count, rank, d_out, d_in):
    return normal(rng, d_out, d_in), normal(rng, count, rank, d_in), normal(rng, count, d_out, rank), normal(rng, count)


@check("lora", points=2)
def a_batch_asks_for_many_adapters(call, rng):
    """Random ranks, adapters and rows, against a row at a time."""
    for count, rank in ((1, 1), (3, 2), (4, 5)):
        W, A, B, alpha = some_adapters(rng, count, rank, 6, integer(rng, 5, 8))
        x, which = normal(rng, 9, W.shape[1]), torch.randint(-1, count, (9,), generator=rng())
        got = layer(call, x, W, A, B, alpha, which)
        rows = []
        for t, m in enumerate(which.tolist()):
            change = alpha[m].double() / rank * B[m].double() @ A[m].double() if m >= 0 else 0.0
            rows.append((W.double() + change) @ x[t].double())
        expect_close(got, torch.stack(rows), "the output", 1e-4, 1e-4)


@check("lora", points=1)
def rows_do_not_mix(call, rng):
    """Nobody asks for an adapter; all ask for the same one."""
    W, A, B, alpha = some_adapters(rng, 2, 3, 4, 5)
    x = normal(rng, 6, 5)
    none = layer(call, x, W, A, B, alpha, torch.full((6,), -1))
    expect_close(none, x @ W.T, "the output without adapters", 1e-4, 1e-4)
    got = layer(call, x, W, A, B, alpha, torch.ones(6, dtype=torch.int64))
    expect_close(got, x @ (W + alpha[1] / 3 * B[1] @ A[1]).T, "the output of one adapter", 1e-4, 1e-4)


@check("lora", points=1)
def merging_adds_every_adapter(call, rng):
    """Weights of any sign, none of them 1."""
    for count, rank in ((1, 4), (3, 2)):
        W, A, B, alpha = some_adapters(rng, count, rank, 5, 7)
        weights = normal(rng, count)
        got = expect_tensor(call("merged", W, A, B, alpha, weights), "the matrix", shape=(5, 7), dtype="float")
        want = W.double() + sum(
            (w * a / rank).double() * b.double() @ c.double() for w, a, b, c in zip(weights, alpha, B, A, strict=True)
        )
        expect_close(got, want, "the merged matrix", 1e-4, 1e-4)


@check("lora", points=1)
def the_closest_adapter_of_a_rank(call, rng):
    """Against what the singular values leave, tall and wide."""
    for d_out, d_in, rank in ((6, 4, 2), (4, 7, 3), (5, 5, 1)):
        change = normal(rng, d_out, d_in)
        A, B = expect_parts(call("as_adapter", change, rank), "as_adapter", "A", "B")
        expect_tensor(A, "A", shape=(rank, d_in), dtype="float")
        expect_tensor(B, "B", shape=(d_out, rank), dtype="float")
        left = torch.linalg.svdvals(change.double())[rank:].square().sum()
        expect_close((change - B @ A).double().square().sum(), left, "the squares that are left", 1e-3, 1e-3)
        sizes = torch.linalg.svdvals(change.double())[:rank]
        expect_close(A @ A.T, torch.diag(sizes), "A A^T", 1e-3, 1e-3, hint="orthogonal rows, the longest first")
        expect_close(B.T @ B, torch.diag(sizes), "B^T B", 1e-3, 1e-3, hint="orthogonal columns, as long as A's rows")
