"""Merging splits: the checks that a student sees and runs."""

import math

import torch

from autograder.checks import Callback, check, expect_close, expect_equal, fail
from autograder.tasks.a04_flash_attention.visible.shared import NEVER, attention, random, tensors


class Batch:
    """Sequences of two heads each, and the parts of their keys that were attended to."""

    def __init__(self, rng, lengths, dim=4):
        self.lengths, self.parts = lengths, []
        self.q = [random(rng, 2, dim) for _ in lengths]
        self.k, self.v = ([random(rng, length, dim) for length in lengths] for _ in range(2))

    def attend(self, sequence, start, stop):
        whole = all(isinstance(number, int) for number in (sequence, start, stop))
        if not whole or not 0 <= sequence < len(self.lengths):
            fail(f"attend({sequence}, {start}, {stop}): the sequences have numbers from 0 to {len(self.lengths) - 1}")
        if not 0 <= start < stop <= self.lengths[sequence]:
            fail(f"attend({sequence}, {start}, {stop}): that sequence has {self.lengths[sequence]} keys")
        self.parts.append((sequence, start, stop))
        out, lse = attention(self.q[sequence], self.k[sequence][start:stop], self.v[sequence][start:stop])
        return out.float(), lse.float()

    def split(self, call, num_parts, page, sinks):
        """What `split_attention` returns, (B, 2, D) and (B, 2)."""
        got = call("split_attention", Callback(self.attend), self.lengths, num_parts, page, sinks)
        return tensors(got, "split_attention", "out", "lse")

    def expect_each_key_once(self, what):
        for sequence, length in enumerate(self.lengths):
            covered = sorted(i for one, start, stop in self.parts if one == sequence for i in range(start, stop))
            expect_equal(covered, list(range(length)), f"keys in the parts of sequence {sequence} of {what}")

    def expect_a_good_plan(self, num_parts, page, what):
        """Whole pages, no more parts than are allowed, and the longest as short as can be."""
        torn = [part for part in self.parts if part[1] % page]
        if torn:
            fail(f"a part begins within a page of {page} keys", sequence_start_stop=torn[0], of=what)
        if len(self.parts) > num_parts:
            hint = "each sequence rounds its number of parts up, and together they may not be more"
            fail(f"there are {len(self.parts)} parts of {what}, and {num_parts} are allowed: {hint}", parts=self.parts)
        longest = max(-(-(stop - start) // page) for _, start, stop in self.parts)
        hint = "the shortest part length of whole pages that gives few enough parts in the whole batch"
        expect_equal(
            longest, shortest(self.lengths, num_parts, page), f"pages in the longest part of {what}", hint=hint
        )


def shortest(lengths, num_parts, page):
    """Pages of the longest part, where that is as short as it can be."""
    pages = [-(-length // page) for length in lengths]
    return next(size for size in range(1, max(pages) + 1) if sum(-(-one // size) for one in pages) <= num_parts)


def merged(call, outs, lses, sinks):
    return tensors(call("merge_parts", outs, lses, sinks), "merge_parts", "out", "lse")


NO_SINK = torch.tensor([NEVER])


@check("split")
def parts_count_by_their_denominators(call, rng):
    """Parts with denominators 1 and 3: the second counts three times."""
    outs, lses = torch.tensor([[[8.0]], [[4.0]]]), torch.tensor([[0.0], [math.log(3)]])
    out, lse = merged(call, outs, lses, NO_SINK)
    if abs(float(out) - 6) < 1e-4:
        fail("this is the plain average: a part with a larger denominator counts for more", got=6.0, want=5.0)
    expect_close(out, torch.tensor([[5.0]]), "the merged output", hint="weights exp(lse_p - lse): 1/4 and 3/4")
    expect_close(lse, torch.tensor([math.log(4)]), "the merged log-sum-exp", hint="denominators add up")


@check("split")
def the_sink_takes_its_share(call, rng):
    """Parts with denominators 1 and 3 and a sink of 4: half of the weight goes to the sink, which has no value."""
    outs, lses = torch.tensor([[[8.0]], [[4.0]]]), torch.tensor([[0.0], [math.log(3)]])
    out, lse = merged(call, outs, lses, torch.tensor([math.log(4)]))
    hint = "the weights are 1/8 and 3/8: e to the power of s is a part of the denominator, and its value is 0"
    expect_close(out, torch.tensor([[2.5]]), "the merged output beside a sink", hint=hint)
    hint = "the sink's share of the denominator belongs to the log-sum-exp too"
    expect_close(lse, torch.tensor([math.log(8)]), "the merged log-sum-exp", hint=hint)


@check("split")
def the_sink_counts_once(call, rng):
    """Ten keys in three parts and a sink: the result is that of all keys at once and one sink."""
    batch, sinks = Batch(rng, [10]), torch.tensor([2.0, 1.0])
    got = batch.split(call, 3, 2, sinks)
    out, lse = attention(batch.q[0], batch.k[0], batch.v[0])
    want = out * (lse - torch.logaddexp(lse, sinks.double())).exp()[:, None]
    hint = "merge all parts in one call, or with the sink in the last call only"
    expect_close(got[0], want[None], "the output of three parts and a sink", atol=1e-5, hint=hint)


@check("split")
def an_empty_part_changes_nothing(call, rng):
    """A part that saw no key: output 0, log-sum-exp -inf."""
    outs, lses = torch.tensor([[[8.0]], [[0.0]]]), torch.tensor([[2.0], [NEVER]])
    out, lse = merged(call, outs, lses, NO_SINK)
    expect_close(out, torch.tensor([[8.0]]), "the merged output")
    expect_close(lse, torch.tensor([2.0]), "the merged log-sum-exp")
    out, lse = merged(call, torch.zeros(2, 1, 1), torch.full((2, 1), NEVER), NO_SINK)
    hint = "no part has a key: -inf minus -inf and 0 / 0 are nan; take off 0 there"
    expect_close(out, torch.zeros(1, 1), "the merged output of two empty parts", hint=hint)
    expect_equal(float(lse[0]), NEVER, "the merged log-sum-exp of two empty parts")


@check("split")
def far_sums_are_merged(call, rng):
    """Log-sum-exps of 1000 and 1000 + ln 3: their exponentials are infinite, their shares are 1/4 and 3/4."""
    outs, lses = torch.tensor([[[8.0]], [[4.0]]]), torch.tensor([[1000.0], [1000.0 + math.log(3)]])
    out, lse = merged(call, outs, lses, NO_SINK)
    hint = "take the largest log-sum-exp, or the merged one, off before the exponential"
    expect_close(out, torch.tensor([[5.0]]), "the merged output", atol=1e-3, hint=hint)
    expect_close(lse, torch.tensor([1000 + math.log(4)]), "the merged log-sum-exp", atol=1e-3, hint=hint)


@check("split")
def one_sequence_is_cut_at_pages(call, rng):
    """21 keys in pages of three, three parts at most: parts of nine, nine and three keys."""
    batch, no_sinks = Batch(rng, [21]), NO_SINK.expand(2)
    got = batch.split(call, 3, 3, no_sinks)
    batch.expect_each_key_once("a batch of one")
    batch.expect_a_good_plan(3, 3, "21 keys")
    want = attention(batch.q[0], batch.k[0], batch.v[0])[0]
    expect_close(got[0], want[None], "the output of all parts together", atol=1e-5)


@check("split")
def a_batch_shares_its_parts(call, rng):
    """Lengths 3, 20 and 8 in pages of two, six parts at most: one part, three, and one would leave a part unused."""
    batch, no_sinks = Batch(rng, [3, 20, 8]), NO_SINK.expand(2)
    got = batch.split(call, 6, 2, no_sinks)
    batch.expect_each_key_once("three sequences")
    batch.expect_a_good_plan(6, 2, "three sequences of 3, 20 and 8 keys")
    want = torch.stack([attention(*one)[0] for one in zip(batch.q, batch.k, batch.v, strict=True)])
    expect_close(got[0], want, "the outputs of three sequences", atol=1e-5)
