"""The spectrogram codec: frames, codes and bits that fit together."""

import pytest
import torch

from nimblelm.audio.codec.spectrogram_codec import SpectrogramCodec, SpectrogramCodecConfig

SMALL = SpectrogramCodecConfig(d_encoder=8, d_decoder=8, d_code=4, num_codebooks=3, codebook_size=16)


@pytest.fixture
def model() -> SpectrogramCodec:
    torch.manual_seed(0)
    return SpectrogramCodec(SMALL).eval()


def waveform(samples: int = 9_600) -> torch.Tensor:
    return 0.1 * torch.randn(1, samples, generator=torch.Generator().manual_seed(1))


def test_fifty_frames_of_codes_a_second_and_the_sound_is_as_long(model):
    codes = model.encode(waveform(16_000))
    assert codes.shape == (1, 3, 50)
    assert model.decode(codes).shape == (1, 16_000)
    assert model.bit_rate_bps(2) == 2 * 4 * 50
    assert torch.equal(model.encode(waveform(16_000), 2), codes[:, :2])


def test_what_the_decoder_is_to_say_makes_the_sound_again(model):
    t = torch.arange(9_600) / 16_000
    x = 0.3 * torch.sin(2 * torch.pi * 440 * t)[None]
    again = model.vocode(model.log_magnitudes(x), torch.Generator().manual_seed(0))
    spectrum = torch.fft.rfft(again[0]).abs()
    assert abs(spectrum.argmax().item() * 16_000 / 9_600 - 440) < 3
    assert again.square().mean().item() == pytest.approx(x.square().mean().item(), rel=0.2)


def test_training_sees_the_codes_that_are_sent(model):
    features = model.features(waveform())
    said, quantized = model(features, 2)
    assert torch.equal(quantized.codes, model.encode(waveform(), 2))
    assert said.shape == model.log_magnitudes(waveform()).shape
    said.sum().backward()
    assert model.encoder[0].weight.grad.abs().sum() > 0  # straight through the quantizer


def test_bad_sound_is_refused(model):
    with pytest.raises(ValueError, match=r"640 samples or more"):
        model.encode(torch.zeros(1, 639))
    with pytest.raises(ValueError, match=r"float32 or float64"):
        model.encode(torch.zeros(1, 9_600).half())
