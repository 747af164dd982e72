"""Contrastive losses against loops in float64, and the chunked one against the plain one: value, gradients, memory."""

import math

import pytest
import torch
import torch.nn.functional as F

from nimblelm.measure.peak_memory import peak_bytes
from nimblelm.measure.saved_for_backward import saved_bytes
from nimblelm.nn.contrastive import chunked_clip_loss, clip_loss, siglip_loss


def pairs(count=7, width=5, seed=0, dtype=torch.float64, scale=14.0):
    generator = torch.Generator().manual_seed(seed)
    images, texts = (
        F.normalize(torch.randn(count, width, generator=generator, dtype=torch.float64), dim=1).to(dtype)
        for _ in range(2)
    )
    return images.requires_grad_(), texts.requires_grad_(), torch.tensor(scale, dtype=dtype, requires_grad=True)


def by_hand(images, texts, scale):
    """Both cross-entropies, pair by pair."""
    total, images, texts = 0.0, images.detach(), texts.detach()
    for i in range(len(images)):
        own = scale * float(images[i] @ texts[i])
        total += math.log(sum(math.exp(scale * float(images[i] @ texts[j])) for j in range(len(texts)))) - own
        total += math.log(sum(math.exp(scale * float(images[j] @ texts[i])) for j in range(len(images)))) - own
    return total / (2 * len(images))


@pytest.mark.parametrize("count", [1, 2, 7])
def test_the_symmetric_loss_is_the_mean_of_both_cross_entropies(count):
    images, texts, scale = pairs(count)
    assert clip_loss(images, texts, scale).item() == pytest.approx(by_hand(images, texts, 14.0), abs=1e-12)


@pytest.mark.parametrize(("count", "chunk_size"), [(1, 1), (7, 1), (7, 3), (7, 7), (8, 100), (33, 8)])
@pytest.mark.parametrize("scale", [0.5, 14.0, 100.0])
def test_the_chunked_loss_has_the_same_value_and_gradients(count, chunk_size, scale):
    given, own = pairs(count, scale=scale), pairs(count, scale=scale)
    want, got = clip_loss(*given), chunked_clip_loss(*own, chunk_size)
    torch.testing.assert_close(got, want, atol=1e-12, rtol=1e-12)
    for theirs, ours in zip(torch.autograd.grad(3 * want, given), torch.autograd.grad(3 * got, own), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-11, rtol=1e-10)


def test_gradients_of_the_chunked_loss_are_those_of_differences():
    inputs = pairs(5, 3)
    assert torch.autograd.gradcheck(lambda *tensors: chunked_clip_loss(*tensors, 2), inputs)


def test_the_chunked_loss_never_holds_the_matrix():
    count, width, chunk_size = 1024, 16, 64
    matrix = 4 * count**2

    def step(loss, *extra):
        inputs = pairs(count, width, dtype=torch.float32)
        kept, _ = saved_bytes(lambda: loss(*inputs, *extra), inputs)
        inputs = pairs(count, width, dtype=torch.float32)
        return kept, peak_bytes(lambda: loss(*inputs, *extra).backward())

    kept, peak = step(chunked_clip_loss, chunk_size)
    plain_kept, plain_peak = step(clip_loss)
    assert kept < 0.05 * matrix < matrix < plain_kept
    assert peak < 0.5 * matrix < 2 * matrix < plain_peak
    assert step(chunked_clip_loss, count)[1] > 2 * matrix


def test_a_random_batch_costs_the_logarithm_of_its_size():
    generator = torch.Generator().manual_seed(0)
    for count in (16, 256):
        images, texts = (F.normalize(torch.randn(count, 512, generator=generator), dim=1) for _ in range(2))
        assert clip_loss(images, texts, torch.tensor(1.0)).item() == pytest.approx(math.log(count), abs=0.01)


def test_the_sigmoid_loss_is_a_sum_over_all_pairs():
    images, texts, scale = pairs(6)
    bias, total = torch.tensor(-3.0, dtype=torch.float64), 0.0
    for i in range(6):
        for j in range(6):
            logit = (1 if i == j else -1) * (14.0 * (images[i] @ texts[j]).item() - 3.0)
            total += math.log(1 + math.exp(-logit))
    assert siglip_loss(images, texts, scale, bias).item() == pytest.approx(total / 6, abs=1e-12)


def test_the_sigmoid_loss_is_finite_where_sigmoids_are_zero():
    images = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    loss = siglip_loss(images, images.flip(0), torch.tensor(1e4), torch.tensor(0.0))
    assert loss.item() == pytest.approx(1e4 + math.log(2), rel=1e-4)  # two wrong pairs of each kind, over two


@pytest.mark.parametrize("loss", [clip_loss, chunked_clip_loss])
def test_what_are_no_pairs_is_refused(loss):
    images, texts, scale = pairs(4)
    with pytest.raises(ValueError, match=r"\(4, 5\) and \(3, 5\)"):
        loss(images, texts[:3], scale)
    with pytest.raises(ValueError, match="1 pair or more"):
        loss(images[:0], texts[:0], scale)
    with pytest.raises(ValueError, match="1 pair or more"):
        siglip_loss(images, texts[:3], scale, scale)
    with pytest.raises(ValueError, match="chunk of 0"):
        chunked_clip_loss(images, texts, scale, 0)


@pytest.mark.parametrize(("noise", "scale"), [(0.05, 20.0), (0.1, 20.0)])
def test_the_loss_of_pairs_that_fit_is_no_difference_of_large_sums(noise, scale):
    """At a loss of 1e-5 the log-sum-exps are a million times as large as what is asked for."""
    generator = torch.Generator().manual_seed(0)
    images = F.normalize(torch.randn(64, 64, generator=generator), dim=1)
    texts = F.normalize(images + noise * torch.randn(64, 64, generator=generator), dim=1)
    want = clip_loss(images.double(), texts.double(), torch.tensor(scale).double())
    got = chunked_clip_loss(images, texts, torch.tensor(scale), 10)
    assert want < 1e-3
    assert got == pytest.approx(want.item(), rel=0.01)
