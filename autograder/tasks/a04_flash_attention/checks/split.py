"""Merging splits: the hidden checks."""

import itertools

import torch

from autograder.checks import check, fail, integer
from autograder.tasks.a04_flash_attention.oracles import cuts, expect_pair
from autograder.tasks.a04_flash_attention.visible.shared import NEVER, attend, attention, random
from autograder.tasks.a04_flash_attention.visible.split import Batch, merged


def random_parts(rng, num_parts, length=24):
    """Finished parts of one attention, the rows' sinks, and the whole."""
    rows, dim = integer(rng, 3, 6), integer(rng, 2, 6)
    scores, values = 2 * random(rng, rows, length).double(), random(rng, length, dim)
    bounds = cuts(rng, length, num_parts)
    done = [attend(scores[:, a:b], values[a:b]) for a, b in itertools.pairwise(bounds)]
    sinks = random(rng, rows) + 3  # about as much as all keys together
    return [torch.stack([part[i] for part in done]).float() for i in (0, 1)], sinks, attend(scores, values)


def with_sinks(whole, sinks):
    """The output and log-sum-exp that one more score without a value leaves of them."""
    out, lse = (part.double() for part in whole)
    total = torch.logaddexp(lse, sinks.double())
    left = torch.where(lse == NEVER, 0.0, (lse - total).exp())
    return out * left[:, None], total


@check("split", points=1)
def parts_merge_into_the_whole(call, rng):
    """Any number of parts of any sizes, with a sink and without one; two first, then a third with the sink."""
    for num_parts in (1, 2, 3, 6):
        (outs, lses), sinks, whole = random_parts(rng, num_parts)
        got = merged(call, outs, lses, sinks)
        if num_parts > 1 and torch.allclose(got[0], outs.mean(0), atol=1e-4):
            fail("this is the plain average of the parts: their denominators differ")
        if torch.allclose(got[0].double(), whole[0].double(), atol=1e-5):
            fail("the sink takes no weight: e to the power of s belongs to the denominator")
        want = with_sinks(whole, sinks)
        if torch.allclose(got[0].double(), want[0], atol=1e-5) and torch.allclose(got[1].double(), whole[1], atol=1e-5):
            fail("the log-sum-exp is that of the keys alone: the sink's score belongs to it")
        expect_pair(got, want, f"{num_parts} parts and a sink")
        expect_pair(merged(call, outs, lses, torch.full_like(sinks, NEVER)), whole, f"{num_parts} parts without a sink")
    (outs, lses), sinks, whole = random_parts(rng, 3)
    out, lse = merged(call, outs[:2], lses[:2], torch.full_like(sinks, NEVER))
    got = merged(call, torch.stack([out, outs[2]]), torch.stack([lse, lses[2]]), sinks)
    expect_pair(got, with_sinks(whole, sinks), "two parts, then a third and the sink")


@check("split", points=1)
def far_and_empty_parts_are_merged(call, rng):
    """Log-sum-exps and sinks near 1000 and -1000; parts that saw no key, and rows that no part has a key for."""
    for offset in (1000.0, -1000.0):
        (outs, lses), sinks, (out, lse) = random_parts(rng, 3)
        want = with_sinks((out, lse + offset), sinks + offset)
        expect_pair(merged(call, outs, lses + offset, sinks + offset), want, f"sums near {offset:g}", atol=2e-3)
        want = with_sinks((out, lse), sinks + offset)
        expect_pair(merged(call, outs, lses, sinks + offset), want, f"sinks near {offset:g}", atol=2e-3)
    (outs, lses), sinks, (out, lse) = random_parts(rng, 2)
    outs, lses = (torch.cat([x, torch.zeros_like(x[:1])]) for x in (outs, lses))
    lses[2] = NEVER
    outs[:, :2], lses[:, :2], sinks[0] = 0, NEVER, NEVER
    out[:2], lse[:2] = 0, NEVER
    want = with_sinks((out, lse), sinks)
    expect_pair(merged(call, outs, lses, sinks), want, "parts of which one is empty, two rows without any key")


@check("split", points=1)
def each_sequence_gets_the_attention_of_all_its_keys(call, rng):
    """Every key in one part, whatever the lengths; the sinks count once in each sequence."""
    for lengths, num_parts, page in (([12], 4, 1), ([10, 1], 5, 3), ([17, 9, 30], 9, 4), ([5, 5], 2, 16)):
        lengths = [lengths[i] for i in torch.randperm(len(lengths), generator=rng()).tolist()]
        batch, sinks = Batch(rng, lengths), random(rng, 2) + 2
        got = batch.split(call, num_parts, page, sinks)
        what = f"lengths {lengths} in {num_parts} parts"
        batch.expect_each_key_once(what)
        each = [with_sinks(attention(*one), sinks) for one in zip(batch.q, batch.k, batch.v, strict=True)]
        expect_pair(got, [torch.stack(several) for several in zip(*each, strict=True)], f"{what} and sinks")


@check("split", points=1)
def a_long_sequence_is_cut_at_whole_pages(call, rng):
    """One sequence: its longest part is as short as pages and the number of parts allow."""
    for page in (1, 2, 3, 5, 16):
        length, num_parts = integer(rng, 40, 90), integer(rng, 3, 7)
        batch = Batch(rng, [length])
        batch.split(call, num_parts, page, torch.zeros(2))
        what = f"{length} keys in pages of {page}"
        batch.expect_each_key_once(what)
        batch.expect_a_good_plan(num_parts, page, what)


@check("split", points=1)
def a_batch_shares_the_parts(call, rng):
    """Ragged batches: as few parts as one for each sequence, more than there are pages, and between."""
    for page, spare in ((1, 0), (4, 3), (3, 5), (2, 9), (8, 100), (16, 2)):
        lengths = [integer(rng, 1, 8), integer(rng, 60, 99), integer(rng, 20, 40), integer(rng, 1, 30)]
        lengths = [lengths[i] for i in torch.randperm(4, generator=rng()).tolist()]
        batch, num_parts = Batch(rng, lengths), 4 + spare
        batch.split(call, num_parts, page, torch.zeros(2))
        what = f"lengths {lengths} in pages of {page}"
        batch.expect_each_key_once(what)
        batch.expect_a_good_plan(num_parts, page, what)
