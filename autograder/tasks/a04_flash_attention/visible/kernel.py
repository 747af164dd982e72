"""The forward pass in Triton: the checks that a student sees and runs."""

import torch

from autograder.checks import CheckFailed, Remote, check, expect_close, fail
from autograder.tasks.a04_flash_attention.visible.shared import attend, random, scores_of, tensors


def sloped_attention(q, k, v, slopes, causal=False):
    """The same for heads (H, S, D), each with its slope times the distance taken off its scores."""
    rows, columns = q.shape[-2], k.shape[-2]
    distance = (torch.arange(rows)[:, None] + columns - rows - torch.arange(columns)).abs()
    return attend(scores_of(q, k, causal) - slopes.double()[:, None, None] * distance, v)


def launch(call, q, k, v, slopes, causal, block_m=16, block_n=16, *kernel):
    """Output and log-sum-exp of `kernel_attention`."""
    try:
        got = call("kernel_attention", q, k, v, slopes, causal, block_m, block_n, *kernel)
    except CheckFailed as failure:
        if "positional argument" in str(failure):
            fail("`kernel_attention` was changed: leave it as it is given, with `slopes` after v, and write the loop")
        raise
    return tensors(got, "kernel_attention", "out", "lse")


def run_kernel(call, rng, heads, num_queries, num_keys, causal=False, factor=1.0, hint=""):
    """A small launch with random slopes against attention with every score in memory."""
    q, k, v = (random(rng, heads, n, 16) for n in (num_queries, num_keys, num_keys))
    q, slopes = q * factor, 0.2 + torch.rand(heads, generator=rng())
    out, lse = launch(call, q, k, v, slopes, causal)
    want, want_lse = sloped_attention(q, k, v, slopes, causal)
    if bool(out.isnan().any()):
        fail(f"nan in the output: was every element of it stored, and is no -inf taken from -inf? {hint}".rstrip())
    root = 4  # of the width of a head
    guesses = {
        "this is the chapter's attention: take slope times distance off the scores, a slope for each head": (1, 0),
        "the products of queries and keys are to be multiplied by `scale`": (root, 1),
        "`scale` belongs to the products of queries and keys alone, not to slope times distance": (1, 1 / root),
    }
    for guess, (of_products, of_slopes) in guesses.items():
        wrong, _ = sloped_attention(of_products * q, k, v, of_slopes * slopes, causal)
        if torch.allclose(out.double(), wrong, atol=1e-4) and not torch.allclose(want, wrong, atol=1e-3):
            fail(guess)
    expect_close(out, want.float(), "the output", atol=1e-4, rtol=1e-4, hint=hint)
    expect_close(lse, want_lse.float(), "the log-sum-exp", atol=1e-4, rtol=1e-4)


@check("kernel")
def the_kernel_gives_what_attention_gives(call, rng):
    """Two heads, 16 queries, 32 keys: two tiles that fit exactly."""
    hint = (
        "the same five lines as in absorb, with tl. for torch.; the slope lies at slopes + head, and row i stands at "
        "i + num_keys - num_queries"
    )
    run_kernel(call, rng, 2, 16, 32, hint=hint)


@check("kernel")
def keys_beyond_the_end_do_not_count(call, rng):
    """20 keys in tiles of 16: the last twelve columns of the second tile hold no key."""
    hint = "a masked load gives score 0, and exp(0) counts: set such scores to -inf"
    run_kernel(call, rng, 1, 5, 20, hint=hint)


@check("kernel")
def a_causal_kernel_sees_no_future(call, rng):
    """Queries at the end of the keys, causal."""
    run_kernel(call, rng, 1, 20, 24, causal=True, hint="row i sees the columns j <= i + num_keys - num_queries")


@check("kernel")
def large_scores_do_not_overflow_the_kernel(call, rng):
    """Scores of some hundreds: exp of one alone is infinite."""
    hint = "take the running maximum off before every exponential"
    run_kernel(call, rng, 1, 16, 32, factor=150.0, hint=hint)


@check("kernel")
def a_row_without_a_key_gives_zero(call, rng):
    """More queries than keys, causal: the first eight rows see no key, output 0 and log-sum-exp -inf."""
    hint = "where the new maximum is still -inf take off 0, in both exponentials"
    run_kernel(call, rng, 1, 20, 12, causal=True, hint=hint)


@check("kernel")
def the_kernel_is_what_computes(call, rng):
    """The kernel runs; with one in its place that does nothing, nothing comes out."""
    q = random(rng, 1, 16, 16)
    launch(call, q, q, q, torch.ones(1), False)
    out, _ = launch(call, q, q, q, torch.ones(1), False, 16, 16, Remote(":NoKernel"))
    if not bool(out.isnan().all()):
        fail("the output did not come from the kernel: launch the one that is given, and leave the rest as it was")
