"""On a GPU: the checks that a student sees and runs."""

from autograder.checks import check, expect_close, expect_tensor, fail
from autograder.tasks.a04_flash_attention.visible.shared import attention, random


@check("launch")
def the_fast_kernel_gives_what_attention_gives(call, rng):
    """Two heads in half precision, lengths off every tile, causal and not."""
    q, k, v = (random(rng, 2, n, 64).half() for n in (70, 90, 90))
    for causal in (False, True):
        out = expect_tensor(call("fast_attention", q, k, v, causal), "the output", shape=(2, 70, 64), dtype=q.dtype)
        if bool(out.isnan().any()):
            fail("nan in the output: is each element stored, and is -inf taken from -inf?")
        hint = "p.to(value.dtype) before the second product, everything else in float32"
        expect_close(out.float(), attention(q, k, v, causal)[0].float(), "the output", atol=3e-3, hint=hint)
