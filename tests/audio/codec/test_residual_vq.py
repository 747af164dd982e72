"""Residual quantization against itself done by hand, and its bit rates."""

import math

import pytest
import torch

from nimblelm.audio.codec.residual_vq import ResidualVQ, bit_rate_bps, num_codebooks_for


@pytest.fixture
def quantizer() -> ResidualVQ:
    torch.manual_seed(0)
    made = ResidualVQ(4, 32, 6)
    for i, book in enumerate(made.codebooks):
        book.vectors *= 0.6**i
    return made


def latents() -> torch.Tensor:
    return torch.randn(3, 6, 11, generator=torch.Generator().manual_seed(1))


def test_each_book_takes_the_nearest_of_what_is_left(quantizer):
    x = latents()
    codes, residual = quantizer.encode(x), x.clone()
    for k, book in enumerate(quantizer.codebooks):
        for b in range(3):
            for t in range(11):
                distances = (book.vectors - residual[b, :, t]).norm(dim=1)
                assert distances[codes[b, k, t]] == distances.min()
                residual[b, :, t] -= book.vectors[codes[b, k, t]]
    torch.testing.assert_close(quantizer.decode(codes), x - residual, atol=1e-6, rtol=1e-6)


def test_training_and_encoding_agree_and_more_books_are_closer(quantizer):
    x, errors = latents(), []
    for count in range(1, 5):
        quantized = quantizer(x, count)
        assert torch.equal(quantized.codes, quantizer.encode(x, count))
        assert torch.equal(quantized.codes, quantizer.encode(x)[:, :count])  # lower rates are prefixes
        torch.testing.assert_close(quantized.latents, quantizer.decode(quantized.codes), atol=1e-6, rtol=1e-6)
        errors.append((x - quantized.latents).square().mean().item())
    assert errors == sorted(errors, reverse=True)


def test_gradients_go_straight_through_and_commitment_pulls(quantizer):
    x = latents().requires_grad_()
    quantized = quantizer(x, 2)
    weight = torch.randn(x.shape, generator=torch.Generator().manual_seed(2))
    (gradient,) = torch.autograd.grad((quantized.latents * weight).sum(), x, retain_graph=True)
    torch.testing.assert_close(gradient, weight)
    (pull,) = torch.autograd.grad(quantized.commitment_loss, x)
    want = 2 * (quantized.residuals[1] + (x - quantized.latents)) / (2 * x.numel())
    torch.testing.assert_close(pull, want.detach(), atol=1e-7, rtol=1e-5)


def test_bit_rates_are_those_of_the_papers():
    assert bit_rate_bps(2, 1024, 75.0) == 1_500  # EnCodec
    assert bit_rate_bps(8, 2048, 12.5) == 1_100  # Mimi
    assert num_codebooks_for(6_000.0, 1024, 75.0) == 8
    assert num_codebooks_for(1_499.0, 1024, 50.0) == 2
    assert math.isclose(bit_rate_bps(1, 1000, 50.0), 50 * math.log2(1000))


def test_what_cannot_be_is_refused(quantizer):
    with pytest.raises(ValueError, match=r"5 codebooks of 4"):
        quantizer.encode(latents(), 5)
    with pytest.raises(ValueError, match=r"0 codebooks of 4"):
        quantizer(latents(), 0)
    with pytest.raises(ValueError, match=r"within 0 and 31"):
        quantizer.decode(torch.full((1, 2, 3), -1))
    with pytest.raises(ValueError, match=r"499"):
        num_codebooks_for(499.0, 1024, 50.0)
    with pytest.raises(ValueError, match=r"0 codebooks"):
        ResidualVQ(0, 2, 2)
    with pytest.raises(ValueError, match=r"1 or more, positive"):
        bit_rate_bps(1, 1024, 0.0)


@pytest.mark.parametrize("size", [1.0, 1e3, 1e7])
def test_what_training_sees_is_what_is_decoded(size):
    """Latents far from all vectors too: the sum of the vectors, not what is left of x when the rest is taken off."""
    quantizer = ResidualVQ(3, 4, 3)
    found = quantizer(size * torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0)))
    assert torch.allclose(found.latents, quantizer.decode(found.codes), rtol=0, atol=1e-6)
