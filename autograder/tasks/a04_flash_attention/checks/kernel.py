"""The forward pass in Triton: the hidden checks."""

import torch

from autograder.checks import Remote, check, fail
from autograder.tasks.a04_flash_attention.oracles import expect_pair
from autograder.tasks.a04_flash_attention.visible.kernel import launch, sloped_attention
from autograder.tasks.a04_flash_attention.visible.shared import attention, random


def run_kernel(call, rng, heads, num_queries, num_keys, dim, causal, block_m=16, block_n=16, factor=1.0, reach=1):
    """A launch against attention with every score in memory; slopes count for so many keys as one, so these matter."""
    q, k, v = (random(rng, heads, n, dim) for n in (num_queries, num_keys, num_keys))
    q, slopes = q * factor, (0.1 + torch.rand(heads, generator=rng())) / reach
    want = sloped_attention(q, k, v, slopes, causal)
    got = launch(call, q, k, v, slopes, causal, block_m, block_n)
    what = f"{heads} heads, {num_queries} queries, {num_keys} keys{', causal' if causal else ''}"
    flat = attention(q, k, v, causal)[0]
    if torch.allclose(got[0].double(), flat, atol=1e-4) and not torch.allclose(want[0], flat, atol=1e-3):
        fail("this is attention without slopes: take slope times distance off the scores", of=what)
    expect_pair(got, want, what, atol=1e-4)


@check("kernel", points=2)
def the_kernel_computes_full_attention(call, rng):
    """Two heads, tiles of different shapes, lengths that they divide."""
    run_kernel(call, rng, 2, 32, 48, 16, False)
    run_kernel(call, rng, 1, 64, 64, 32, False, 32, 16)


@check("kernel", points=1)
def keys_and_queries_may_end_within_a_tile(call, rng):
    """Lengths off every tile."""
    run_kernel(call, rng, 2, 19, 37, 16, False)
    run_kernel(call, rng, 1, 1, 5, 16, False, 16, 32)
    # more keys than the largest tile that Triton has, and each of them matters
    run_kernel(call, rng, 1, 3, 66_001, 16, False, 16, 4096, reach=66_001)


@check("kernel", points=1)
def the_kernel_masks_the_future(call, rng):
    """Causal, with as many queries as keys and with fewer."""
    run_kernel(call, rng, 1, 40, 40, 16, True)
    run_kernel(call, rng, 2, 10, 37, 16, True, 16, 32)


@check("kernel", points=1)
def the_running_maximum_is_kept_in_the_kernel(call, rng):
    """Scores of some hundreds: without the maximum exp overflows, without the rescaling tiles do not add up."""
    run_kernel(call, rng, 4, 16, 64, 16, False, factor=150.0)


@check("kernel", points=1)
def rows_without_keys_give_zero(call, rng):
    """More queries than keys, causal: the first rows see nothing."""
    run_kernel(call, rng, 1, 24, 9, 16, True)


@check("kernel", points=1)
def the_kernel_does_the_work(call, rng):
    """With a kernel that does nothing in its place, nothing comes out; with the own one, attention."""
    q, k, v = (random(rng, 1, 16, 16) for _ in range(3))
    slopes = 0.1 + torch.rand(1, generator=rng())
    out, _ = launch(call, q, k, v, slopes, False, 16, 16, Remote(":NoKernel"))
    if bool(out.isfinite().any()):
        fail("numbers came out although the kernel did nothing: the output was computed elsewhere")
    want = sloped_attention(q, k, v, slopes)
    expect_pair(launch(call, q, k, v, slopes, False), want, "16 queries and keys", atol=1e-4)
