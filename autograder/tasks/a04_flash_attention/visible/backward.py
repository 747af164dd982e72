"""The backward pass: the checks that a student sees and runs."""

import torch

from autograder.checks import Remote, check, expect_close, expect_tensor, fail
from autograder.tasks.a04_flash_attention.visible.shared import NEVER, attend, random, scores_of, tensors


def capped_attention(q, k, v, causal, softcap):
    """(out, lse) in float64 of scores that are capped; what is hidden stays hidden."""
    scores = scores_of(q, k, causal)
    return attend(torch.where(scores == NEVER, NEVER, softcap * torch.tanh(scores / softcap)), v)


def small_problem(rng, num_queries=5, num_keys=7, dim=4, causal=False, softcap=1.0):
    """The arguments of `attention_backward`."""
    q, k, v = random(rng, num_queries, dim), random(rng, num_keys, dim), random(rng, num_keys, dim)
    out, lse = capped_attention(q, k, v, causal, softcap)
    return q, k, v, out.float(), lse.float(), random(rng, num_queries, dim), causal, softcap


def autograd(q, k, v, dout, causal, softcap=1.0):
    """Gradients in float64 by torch itself."""
    q, k, v = (x.double().requires_grad_() for x in (q, k, v))
    with torch.enable_grad():
        out = capped_attention(q, k, v, causal, softcap)[0]
        return torch.autograd.grad(out, (q, k, v), dout.double())


def gradients(call, *args):
    *given, causal, softcap = args
    given = [Remote(":by_hand", x) for x in given]  # autograd refuses them
    return tensors(call("attention_backward", *given, causal, softcap), "attention_backward", "dq", "dk", "dv")


@check("backward")
def gradients_agree_with_autograd(call, rng):
    """Five queries, seven keys, scores capped at 1, with and without a causal mask: dq, dk, dv against torch's own."""
    for causal in (False, True):
        q, k, v, out, lse, dout, *rest = small_problem(rng, causal=causal)
        got = gradients(call, q, k, v, out, lse, dout, *rest)
        for name, ours, want in zip(("dq", "dk", "dv"), got, autograd(q, k, v, dout, causal), strict=True):
            ours = expect_tensor(ours, name, shape=tuple(want.shape), dtype="float")
            if name != "dv" and torch.allclose(ours, (want * q.shape[1] ** 0.5).float(), atol=1e-5):
                fail(f"{name} misses the scale: the scores were divided by sqrt(head_dim), so their gradient is too")
            if causal and name == "dq":
                open_dq = autograd(q, k, v, dout, False)[0].float()
                if not torch.allclose(open_dq, want.float(), atol=1e-5) and torch.allclose(ours, open_dq, atol=1e-5):
                    fail("dq with `causal` is that without a mask: hide the same keys as in the forward pass")
            hints = {
                "dq": "dq = ds @ k, with delta taken off in ds; where causal, query i sees the keys j <= i + m - n",
                "dk": "dk = ds.T @ q, with the derivative of the cap in ds",
                "dv": "dv = p.T @ dout, with p = exp(scores - lse) of the capped scores",
            }
            expect_close(ours, want.float(), name, atol=1e-5, hint=hints[name])


@check("backward")
def the_saved_sum_is_used(call, rng):
    """A backward pass over half of the keys, with the log-sum-exp of all of them, gives half of the sum."""
    q, k, v, out, lse, dout, *rest = small_problem(rng, num_keys=6)
    got = gradients(call, q, k[:3], v[:3], out, lse, dout, *rest)
    _, dk, dv = autograd(q, k, v, dout, False)
    hint = "p = exp(scores - lse) with the lse that is given: a softmax over the keys at hand knows nothing of the rest"
    expect_close(got[2], dv[:3].float(), "dv of the first keys", atol=1e-5, hint=hint)
    hint = "delta is the row sum of dout * out, with the out that is given"
    expect_close(got[1], dk[:3].float(), "dk of the first keys", atol=1e-5, hint=hint)


@check("backward")
def a_row_without_a_key_gives_no_gradient(call, rng):
    """Five queries, three keys, causal: the first two rows see no key, and their log-sum-exp is -inf."""
    q, k, v, out, lse, dout, *rest = small_problem(rng, num_keys=3, causal=True)
    got = gradients(call, q, k, v, out, lse, dout, *rest)
    for name, ours, want in zip(("dq", "dk", "dv"), got, autograd(q, k, v, dout, True), strict=True):
        if bool(ours.isnan().any()):
            fail(f"nan in {name}: a row that sees no key has lse = -inf, and -inf minus -inf is nan; take off 0 there")
        expect_close(ours, want.nan_to_num().float(), name, atol=1e-5, hint="a row that sees no key gives 0")
