"""Mel scales, filters and the front ends of Whisper, Kaldi and AST against their twins."""

import numpy as np
import pytest
import torch
import torchaudio
import torchaudio.compliance.kaldi
from transformers import ASTFeatureExtractor, WhisperFeatureExtractor
from transformers.audio_utils import hertz_to_mel, mel_filter_bank, mel_to_hertz

from nimblelm.audio.features.kaldi import ast_features, kaldi_fbank
from nimblelm.audio.features.mel import hz_to_mel, mel_filters, mel_to_hz
from nimblelm.audio.features.mel_spectrum import MelConfig, compressed, mel_spectrum
from nimblelm.audio.features.mel_stream import MelStream
from nimblelm.audio.features.whisper import padded_to_chunk, whisper_log_mel
from nimblelm.data.voices import clip, sound


def voice() -> torch.Tensor:
    return sound(clip("allison", "en", "number 7"))


def noise(*shape: int) -> torch.Tensor:
    return 0.1 * torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("scale", ["htk", "slaney"])
def test_scales_are_those_of_transformers_and_inverse_to_each_other(scale):
    hz = torch.cat([torch.linspace(0, 8000, 401, dtype=torch.float64), torch.tensor([999.0, 1000.0, 1001.0])])
    mel = hz_to_mel(hz, scale)
    np.testing.assert_allclose(mel.numpy(), hertz_to_mel(hz.numpy(), mel_scale=scale), rtol=1e-12)
    np.testing.assert_allclose(mel_to_hz(mel, scale).numpy(), hz.numpy(), atol=1e-8)
    np.testing.assert_allclose(mel_to_hz(mel, scale).numpy(), mel_to_hertz(mel.numpy(), mel_scale=scale), atol=1e-8)


@pytest.mark.parametrize(
    ("bands", "n_fft", "rate", "low", "high"),
    [(80, 400, 16000, 0.0, 8000.0), (23, 512, 16000, 20.0, 7600.0), (40, 2048, 22050, 50.0, 11025.0)],
)
@pytest.mark.parametrize("area", [True, False])
@pytest.mark.parametrize(("scale", "straight"), [("slaney", False), ("htk", False), ("htk", True)])
@pytest.mark.filterwarnings("ignore:At least one mel filter")
def test_filters_are_those_of_transformers(bands, n_fft, rate, low, high, area, scale, straight):
    theirs = mel_filter_bank(
        n_fft // 2 + 1, bands, low, high, rate, "slaney" if area else None, "kaldi" if straight else scale, straight
    )
    if straight and area:
        return  # theirs divides by widths in mels: nobody's choice
    ours = mel_filters(bands, n_fft, rate, scale, area, low, high, straight)
    np.testing.assert_allclose(
        ours.numpy(), theirs.T, atol=3e-4 if straight else 1e-10
    )  # 1127 is 2595 / ln 10, rounded


@pytest.mark.parametrize("bands", [80, 128])
def test_log_mel_is_whispers(bands):
    twin = WhisperFeatureExtractor(feature_size=bands)
    for waveform in (voice(), noise(16_000), noise(7_777) * torch.linspace(0, 1, 7_777) ** 4, 1e-9 * noise(4_000)):
        want = torch.from_numpy(twin._torch_extract_fbank_features(waveform.numpy()))
        torch.testing.assert_close(whisper_log_mel(waveform, bands), want, atol=5e-5, rtol=0)  # float32 beside float32
        exact = twin._np_extract_fbank_features(waveform.double().numpy()[None], "cpu")[0]
        torch.testing.assert_close(
            whisper_log_mel(waveform.double(), bands), torch.from_numpy(exact).double(), atol=1e-6, rtol=0
        )


def test_thirty_seconds_are_whispers_input():
    waveform = voice()
    want = WhisperFeatureExtractor()(waveform.numpy(), sampling_rate=16_000, return_tensors="pt").input_features
    got = whisper_log_mel(padded_to_chunk(waveform)[None])
    assert got.shape == (1, 80, 3000)
    torch.testing.assert_close(got, want, atol=5e-5, rtol=0)


def test_each_waveform_of_a_batch_has_its_own_maximum():
    batch = torch.stack([noise(9_000), 1e-3 * noise(9_000).flip(0)])
    torch.testing.assert_close(whisper_log_mel(batch), torch.stack([whisper_log_mel(x) for x in batch]))


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("scale", ["htk", "slaney"])
@pytest.mark.parametrize("area", [True, False])
def test_mel_spectrum_is_torchaudios(power, scale, area):
    config = MelConfig(64, 512, 128, scale=scale, area_norm=area, power=power)
    theirs = torchaudio.transforms.MelSpectrogram(
        16_000, 512, None, 128, n_mels=64, power=power, norm="slaney" if area else None, mel_scale=scale
    ).double()
    x = noise(3, 30_000).double()
    torch.testing.assert_close(mel_spectrum(x, config), theirs(x), atol=1e-6, rtol=5e-5)  # their filters are in float32


@pytest.mark.parametrize(
    ("bands", "name", "theirs"), [(80, "povey", "povey"), (128, "hann", "hanning"), (23, "hamming", "hamming")]
)
def test_filter_bank_is_kaldis(bands, name, theirs):
    for waveform in (voice(), noise(5_000)):
        want = torchaudio.compliance.kaldi.fbank(waveform[None].double(), num_mel_bins=bands, window_type=theirs).T
        got = kaldi_fbank(waveform.double(), bands, name)
        torch.testing.assert_close(got, want, atol=2e-3, rtol=1e-4)  # their filters are in float32
        torch.testing.assert_close(kaldi_fbank(waveform, bands, name), got.float(), atol=2e-3, rtol=1e-4)


@pytest.mark.parametrize("frames", [1024, 40])
def test_what_ast_reads_is_its_twins(frames):
    twin = ASTFeatureExtractor(max_length=frames)
    want = twin(voice().numpy(), sampling_rate=16_000, return_tensors="pt").input_values
    torch.testing.assert_close(ast_features(voice(), frames)[None], want.mT, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("size", [1, 77, 160, 4000])
@pytest.mark.parametrize("config", [MelConfig(), MelConfig(20, 64, 16), MelConfig(12, 32, 31)])
def test_stream_equals_offline(size, config):
    waveform = noise(1_777)
    stream = MelStream(config)
    parts = [stream.push(part) for part in waveform.split(size)]
    torch.testing.assert_close(torch.cat([*parts, stream.finish()], dim=-1), mel_spectrum(waveform, config))


def test_a_stream_waits_for_half_a_frame_and_keeps_little():
    stream = MelStream()
    given = 0
    for sample in range(2_000):
        given += stream.push(noise(1)).shape[-1]
        assert given == max(0, 1 + (sample + 1 - 200) // 160) - (sample + 1 == 200)
        assert stream.kept is None or len(stream.kept) <= 400


def test_a_short_stream_is_refused():
    stream = MelStream()
    assert stream.push(torch.zeros(0)).shape == (80, 0)
    stream.push(torch.zeros(200))
    with pytest.raises(ValueError, match="201 samples"):
        stream.finish()


def test_decibels_are_ten_times_the_logarithm():
    mel = torch.tensor([[1e-12, 1.0, 100.0]])
    torch.testing.assert_close(compressed(mel, "decibel"), torch.tensor([[-100.0, 0.0, 20.0]]))
    torch.testing.assert_close(compressed(mel, "ln"), compressed(mel) * np.log(10))


def test_wrong_sound_is_refused():
    cases = {
        "8000 samples a second": lambda: whisper_log_mel(noise(9_000), sample_rate_hz=8_000),
        "44100 samples a second": lambda: kaldi_fbank(noise(9_000), sample_rate_hz=44_100),
        "201 samples": lambda: whisper_log_mel(torch.zeros(0)),
        "400 samples": lambda: kaldi_fbank(torch.zeros(399)),
        "float16": lambda: whisper_log_mel(torch.zeros(900, dtype=torch.float16)),
        "num_frames 0": lambda: ast_features(noise(900), 0),
        "no mel scale": lambda: mel_filters(4, 16, 16_000, "bark", True),
        "in order": lambda: mel_filters(4, 16, 16_000, "htk", True, high_hz=9_000.0),
        "0 bands": lambda: mel_filters(0, 16, 16_000, "htk", True),
        "power 3": lambda: MelConfig(power=3),
        "hop_length 401": lambda: MelStream(MelConfig(hop_length=401)),
        "log 'log2'": lambda: compressed(torch.ones(1, 1), "log2"),
    }
    for message, call in cases.items():
        with pytest.raises(ValueError, match=message):
            call()


def test_a_stream_that_has_ended_takes_no_more():
    stream, samples = MelStream(), noise(1_000)
    stream.push(samples)
    stream.finish()
    for more in (stream.finish, lambda: stream.push(samples)):
        with pytest.raises(ValueError, match="ended"):
            more()


def test_a_stream_keeps_its_dtype_from_the_first_sample():
    stream, samples = MelStream(), noise(1_000).double()
    whole = [stream.push(samples[:50])]
    for wrong in (samples[50:].float(), torch.empty(0)):
        with pytest.raises(ValueError, match="the stream is of"):
            stream.push(wrong)
    whole += [stream.push(samples[50:]), stream.finish()]
    torch.testing.assert_close(torch.cat(whole, 1), mel_spectrum(samples))


def test_low_frequencies_have_mels_in_half_precision():
    hz = torch.tensor([0.1, 1.0, 50.0])
    torch.testing.assert_close(
        hz_to_mel(hz.half(), "htk").float(), hz_to_mel(hz.half().float(), "htk"), rtol=2e-3, atol=0
    )
