"""The backward pass: the hidden checks."""

import torch

from autograder.checks import check, expect_close, fail
from autograder.tasks.a04_flash_attention.visible.backward import autograd, gradients, small_problem
from autograder.tasks.a04_flash_attention.visible.shared import scores_of


def problem(rng, num_queries, num_keys, dim, causal):
    """Arguments with scores that the cap changes, and the right gradients by torch in float64."""
    softcap = 0.5 + float(torch.rand((), generator=rng()))
    arguments = small_problem(rng, num_queries, num_keys, dim, causal, softcap)
    q, k, v, *_, dout, _, _ = arguments
    return arguments, [x.nan_to_num() for x in autograd(q, k, v, dout, causal, softcap)]


def part_of_a_problem(rng, num_queries, num_keys, dim):
    """Arguments with the first of the keys and what is saved of all of them, and the part's gradients in float64.

    To differentiate a forward pass over the keys at hand is no answer here, by whatever means.
    """
    softcap = 0.5 + float(torch.rand((), generator=rng()))
    q, k, v, out, lse, dout, *rest = small_problem(rng, num_queries, num_keys + 3, dim, False, softcap)
    k, v = k[:num_keys], v[:num_keys]
    scores = softcap * torch.tanh(scores_of(q, k, False) / softcap)
    p = (scores - lse.double()[:, None]).exp()
    delta = (dout.double() * out.double()).sum(1, keepdim=True)
    slope = p * (dout.double() @ v.double().T - delta) * (1 - (scores / softcap) ** 2) / dim**0.5
    return (q, k, v, out, lse, dout, *rest), (slope @ k.double(), slope.T @ q.double(), p.T @ dout.double())


SHAPES = ((6, 6, 4), (9, 14, 8), (13, 5, 16))


@check("backward", points=1)
def the_gradient_of_the_values(call, rng):
    """dV = P^T dO, with P computed again from the sum over more keys."""
    for shape in SHAPES:
        arguments, right = part_of_a_problem(rng, *shape)
        got = gradients(call, *arguments)[2]
        expect_close(
            got, right[2].float(), "dv", atol=2e-5, rtol=1e-4, hint="P = exp(capped scores - lse), dv = P.T @ dout"
        )


@check("backward", points=1)
def the_gradient_of_the_queries(call, rng):
    """Through the cap, dQ = scale dS K, the part of it that these keys give."""
    for shape in SHAPES:
        arguments, right = part_of_a_problem(rng, *shape)
        got = gradients(call, *arguments)[0]
        hint = "p * (dp - delta), times the derivative of the cap, times the scale"
        expect_close(got, right[0].float(), "dq", atol=2e-5, rtol=1e-4, hint=hint)


@check("backward", points=1)
def the_gradient_of_the_keys(call, rng):
    """Through the cap, dK = scale dS^T Q, by what was saved of more keys."""
    for shape in SHAPES:
        arguments, right = part_of_a_problem(rng, *shape)
        got = gradients(call, *arguments)[1]
        expect_close(got, right[1].float(), "dk", atol=2e-5, rtol=1e-4, hint="transpose ds, with cap and scale in it")


@check("backward", points=1)
def hidden_keys_get_no_gradient(call, rng):
    """Causal masks, with fewer queries than keys and with rows that see nothing."""
    for shape in ((7, 7, 4), (4, 9, 8), (9, 4, 8)):
        arguments, right = problem(rng, *shape, True)
        for got, want, name in zip(gradients(call, *arguments), right, ("dq", "dk", "dv"), strict=True):
            if bool(got.isnan().any()):
                fail(f"nan in {name}: a row that sees no key has lse = -inf, and -inf minus -inf is nan")
            expect_close(got, want.float(), f"causal {name}", atol=2e-5, rtol=1e-4, hint="the mask of the forward pass")


@check("backward", points=2)
def gradients_over_parts_of_the_keys_add_up(call, rng):
    """With lse and out of all keys, passes over parts give dk and dv of the part, and their dq sum to the whole."""
    arguments, right = problem(rng, 8, 15, 8, False)
    q, k, v, *saved = arguments
    parts = [gradients(call, q, k[i : i + 5], v[i : i + 5], *saved) for i in (0, 5, 10)]
    hint = "use the lse and the out that are given: what the part's own softmax says is about the part alone"
    for at, name in ((1, "dk"), (2, "dv")):
        whole = torch.cat([part[at] for part in parts])
        expect_close(whole, right[at].float(), f"{name} of three parts", atol=2e-5, rtol=1e-4, hint=hint)
    expect_close(sum(part[0] for part in parts), right[0].float(), "the sum of dq", atol=2e-5, rtol=1e-4, hint=hint)
