"""Both passes of QLoRA: the checks that a student sees and runs."""

import torch

from autograder.checks import Remote, check, expect_close, expect_parts, expect_tensor, fail, known_mistake

GRADIENTS = {"dx": "T d_in", "dA": "r d_in", "dB": "d_out r"}


def read(call, x, codes, scales, levels, A, B, alpha):
    """y and what is kept of a forward pass, counted."""
    got = call("forward", x, codes, scales, levels, A, B, alpha)
    y, kept = expect_parts(got, "forward", "y", "kept")
    if not isinstance(kept, list | tuple) or not all(isinstance(part, torch.Tensor) for part in kept):
        fail("`kept` should be a tuple of tensors", got=kept)
    # a tensor without numbers counts, too: its shape says something
    num_bytes, limit = (
        sum(max(part.numel(), 1) * part.element_size() for part in kept),
        4 * len(x) * (x.shape[1] + len(A)),
    )
    if num_bytes > limit:
        hint = "the dequantized base can be made again" if num_bytes >= 4 * codes.numel() else "what is needed of it?"
        fail(f"`kept` holds {num_bytes} bytes, at most {limit} are allowed; {hint}")
    return expect_tensor(y, "y", shape=(len(x), len(codes)), dtype="float", dims="T d_out"), tuple(kept)


def gradients(call, grad, kept, x, codes, scales, levels, A, B, alpha):
    """dx, dA and dB, with their shapes checked."""
    hand = lambda part: Remote(":by_hand", part)  # noqa: E731  autograd refuses such tensors
    given = hand(grad), tuple(map(hand, kept)), *map(hand, (codes, scales, levels, A, B)), alpha
    got = expect_parts(call("backward", *given), "backward", *GRADIENTS)
    for (name, dims), part, like in zip(GRADIENTS.items(), got, (x, A, B), strict=True):
        expect_tensor(part, name, shape=tuple(like.shape), dtype="float", dims=dims)
    return got


def small():
    """A base with the weights (2, 0, 0, 0), (-3, 3, 0, 0) in blocks of two, an adapter of rank 2, alpha / r = 1/2."""
    codes = torch.tensor([[2, 1, 1, 1], [0, 2, 1, 1]], dtype=torch.uint8)
    scales, levels = torch.tensor([[2.0, 7.0], [3.0, 7.0]]), torch.tensor([-1.0, 0.0, 1.0])
    A, B = torch.tensor([[1.0, 2.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]]), torch.tensor([[1.0, 0.0], [-1.0, 1.0]])
    return torch.tensor([[1.0, 1.0, 0.0, 0.0]]), codes, scales, levels, A, B, 1.0


@check("qlora")
def the_output_of_two_weights(call, rng):
    """x = (1, 1, 0, 0): the base gives (2, 0), the adapter half of (3, -2)."""
    y, _ = read(call, *small())
    mistakes = {
        "the adapter has the scale alpha / r": torch.tensor([[5.0, -2.0]]),
        "a code is the number of a level, not the level": torch.tensor([[7.5, 5.0]]),
        "a scale belongs to a block of neighbours": torch.tensor([[3.5, 3.0]]),
    }
    expect_close(y, torch.tensor([[3.5, -1.0]]), "y", hint=known_mistake(y, mistakes))


@check("qlora")
def the_gradients_of_two_weights(call, rng):
    """The gradient (1, 0) of y: through the base it is (2, 0, 0, 0), through the adapter half of (1, 2, 0, 0)."""
    args = small()
    _, kept = read(call, *args)
    dx, dA, dB = gradients(call, torch.tensor([[1.0, 0.0]]), kept, *args)
    ways, scale = "x reaches y by two ways, through the base and through the adapter", "the scale alpha / r is missing"
    mistakes = {
        ways: torch.tensor([[2.0, 0, 0, 0]]),
        f"{ways}; the base is missing": torch.tensor([[0.5, 1, 0, 0]]),
        scale: torch.tensor([[3.0, 2, 0, 0]]),
    }
    expect_close(dx, torch.tensor([[2.5, 1.0, 0.0, 0.0]]), "dx", hint=known_mistake(dx, mistakes))
    for got, want, name in (
        (dA, torch.tensor([[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]), "dA"),
        (dB, torch.tensor([[1.5, 0.5], [0.0, 0.0]]), "dB"),
    ):
        expect_close(got, want, name, hint=known_mistake(got, {scale: 2 * want}))
