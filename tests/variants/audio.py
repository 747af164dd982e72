"""How the functions of `nimblelm.audio` are called with tensors.

Fourier transforms have no half precision on a CPU: what needs one takes float32 and float64, and says so.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nimblelm.audio import ast, frame_classifier, pooled_mlp
from nimblelm.audio.features import (
    fourier,
    framing,
    griffin_lim,
    kaldi,
    mel,
    mel_spectrum,
    mfcc,
    quantization,
    sampling,
    stft,
    voice_activity,
    whisper,
)
from nimblelm.audio.features.mel_stream import MelStream
from nimblelm.audio.features.windows import window
from tests.tensor_variants import Arguments, Case, Exempt
from tests.variants import codec, recognition
from tests.variants.nn import module

NOT_YET: tuple[str, ...] = ()
FLOAT32 = (torch.float32,)
CONFIG = mel_spectrum.MelConfig(12, 64, 16)


def random(scale: float = 1.0, **shapes: tuple[int, ...]) -> Arguments:
    generator = torch.Generator().manual_seed(3)
    return {name: scale * torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def positive(**shapes: tuple[int, ...]) -> Arguments:
    return {name: x.abs() + 0.1 for name, x in random(**shapes).items()}


def of_sound(function: Callable[..., Any], *shape: int, tolerance: float = 1.0) -> Case:
    """A function of a waveform in float32 or float64."""
    return Case(
        lambda waveform: function(waveform),
        lambda: random(0.1, waveform=shape or (2, 1_000)),
        dtypes=FLOAT32,
        tolerance=tolerance,
    )


def transform(function: Callable[[Tensor], Tensor]) -> Case:
    given = lambda: random(x=(2, 30))  # noqa: E731
    return Case(lambda x: torch.view_as_real(function(x)), given, dtypes=FLOAT32, tolerance=20)


def hann(x: Tensor, length: int = 64) -> Tensor:
    return window("hann", length, dtype=x.dtype)


def inverted(real: Tensor, imag: Tensor) -> Tensor:
    return stft.istft(torch.complex(real, imag), hann(real), 16, 160)


def streamed(samples: Tensor) -> list[Tensor]:
    stream = MelStream(CONFIG)
    return [stream.push(samples[:333]), stream.push(samples[333:]), stream.finish()]


def half(kind: Callable[..., Any], shape: tuple[int, ...]) -> Case:
    return Case(lambda x: kind(x.dtype)(x), lambda: random(x=shape), tolerance=4)


def fitted(pooled: Tensor) -> Tensor:
    model = pooled_mlp.PooledMLP(pooled_mlp.PooledMLPConfig(3, 2)).to(pooled.dtype)
    model.fit_statistics(pooled)
    return torch.stack([model.mean, model.std])


AST = module(ast.AST, ast.ASTConfig(3, 16, 2, 2, 24, 12, 20, 6, 3, 5))
FRAMES = module(frame_classifier.FrameClassifier, frame_classifier.FrameClassifierConfig(4, 2, context=2))
POOLED = module(pooled_mlp.PooledMLP, pooled_mlp.PooledMLPConfig(3, 2))
FILTERS = mel.mel_filters(12, 64, 16_000, "slaney", True)

CASES: dict[str, Case | Exempt] = (
    codec.CASES
    | recognition.CASES
    | {
        "audio.ast.AST.forward": half(AST, (2, 12, 20)),
        "audio.ast.AST.embed": Case(lambda x: AST(x.dtype).embed(x), lambda: random(x=(2, 12, 20)), tolerance=4),
        "audio.ast.AST.states": Case(lambda x: AST(x.dtype).states(x), lambda: random(x=(2, 5, 16)), tolerance=4),
        "audio.ast.AST.layers": Case(lambda x: list(AST(x.dtype).layers(x)), lambda: random(x=(2, 5, 16)), tolerance=4),
        "audio.ast.AST.logits": Case(lambda x: AST(x.dtype).logits(x), lambda: random(x=(2, 5, 16)), tolerance=4),
        "audio.frame_classifier.FrameClassifier.forward": half(FRAMES, (2, 4, 9)),
        "audio.pooled_mlp.PooledMLP.forward": half(POOLED, (5, 6)),
        "audio.pooled_mlp.PooledMLP.fit_statistics": Case(fitted, lambda: random(pooled=(9, 6)), tolerance=4),
        "audio.pooled_mlp.statistics": Case(
            pooled_mlp.statistics,
            lambda: random(features=(2, 3, 8)) | {"num_frames": torch.tensor([8.0, 5.0])},
            fixed=frozenset({"num_frames"}),
            tolerance=4,
        ),
        "audio.features.fourier.dft": transform(fourier.dft),
        "audio.features.fourier.fft": transform(fourier.fft),
        "audio.features.framing.frame": of_sound(lambda x: framing.frame(x, 64, 16)),
        "audio.features.framing.centred": of_sound(lambda x: framing.centred(x, 64)),
        "audio.features.framing.overlap_add": Case(
            lambda frames: framing.overlap_add(frames, 3), lambda: random(frames=(2, 7, 8)), tolerance=4
        ),
        "audio.features.griffin_lim.griffin_lim": Case(
            lambda magnitude: (
                griffin_lim.griffin_lim(
                    magnitude, hann(magnitude), 16, 160, 0, generator=torch.Generator().manual_seed(0)
                ).shape[-1:]
                == (160,)
            ),
            lambda: positive(magnitude=(33, 12)),
            dtypes=FLOAT32,
        ),
        "audio.features.griffin_lim.inconsistency": Case(
            lambda real, magnitude: torch.tensor(
                griffin_lim.inconsistency(torch.complex(real, torch.zeros_like(real)), magnitude)
            ),
            lambda: random(real=(5, 4)) | positive(magnitude=(5, 4)),
            dtypes=FLOAT32,
        ),
        "audio.features.griffin_lim.magnitude_of_mel": Case(
            lambda energies: griffin_lim.magnitude_of_mel(energies, FILTERS, 5),
            lambda: positive(energies=(12, 4)),
            dtypes=FLOAT32,
            tolerance=50,
        ),
        "audio.features.kaldi.ast_features": of_sound(lambda x: kaldi.ast_features(x, 6, 12), tolerance=50),
        "audio.features.kaldi.kaldi_fbank": of_sound(lambda x: kaldi.kaldi_fbank(x, 12), tolerance=50),
        "audio.features.mel.hz_to_mel": Case(
            lambda hz: torch.stack([mel.hz_to_mel(hz, scale) for scale in mel.SCALES]),
            lambda: {"hz": torch.tensor([0.0, 440, 999, 1_001, 7_000])},
            dtypes=FLOAT32,
            tolerance=4,
        ),
        "audio.features.mel.mel_to_hz": Case(
            lambda mels: torch.stack([mel.mel_to_hz(mels, scale) for scale in mel.SCALES]),
            lambda: {"mels": torch.tensor([0.0, 3, 14.9, 15.1, 40])},
            dtypes=FLOAT32,
            tolerance=4,
        ),
        "audio.features.mel_spectrum.mel_spectrum": of_sound(
            lambda x: mel_spectrum.mel_spectrum(x, CONFIG), tolerance=4
        ),
        "audio.features.mel_spectrum.of_frames": Case(
            lambda frames: mel_spectrum.of_frames(frames, CONFIG), lambda: random(frames=(5, 64)), dtypes=FLOAT32
        ),
        "audio.features.mel_spectrum.compressed": Case(
            mel_spectrum.compressed, lambda: positive(mel=(3, 4)), tolerance=4
        ),
        "audio.features.mel_stream.MelStream.push": Case(
            streamed, lambda: random(0.1, samples=(1_000,)), dtypes=FLOAT32, tolerance=4
        ),
        "audio.features.mfcc.mfcc": Case(
            lambda bands: mfcc.mfcc(bands, 5), lambda: random(bands=(2, 12, 4)), tolerance=8
        ),
        "audio.features.mfcc.smooth_log_mel": Case(
            lambda cepstra: mfcc.smooth_log_mel(cepstra, 12), lambda: random(cepstra=(2, 5, 4)), tolerance=8
        ),
        "audio.features.mfcc.mean_normalised": Case(
            mfcc.mean_normalised, lambda: random(features=(2, 3, 6)), tolerance=4
        ),
        "audio.features.quantization.quantize": Case(
            lambda waveform: quantization.quantize(waveform, 4),
            lambda: {"waveform": torch.linspace(-1, 1, 25).view(5, 5)},
        ),
        "audio.features.quantization.signal_to_noise_db": Case(
            lambda signal, noisy: torch.tensor(quantization.signal_to_noise_db(signal, noisy)),
            lambda: random(signal=(9,), noisy=(9,)),
        ),
        "audio.features.quantization.mu_law_encode": Case(
            quantization.mu_law_encode, lambda: {"waveform": torch.linspace(-1, 1, 24).view(4, 6)}, dtypes=FLOAT32
        ),
        "audio.features.quantization.mu_law_decode": Case(
            quantization.mu_law_decode, lambda: {"codes": torch.arange(24).view(4, 6) * 10}
        ),
        "audio.features.sampling.decimate": of_sound(lambda x: sampling.decimate(x, 3)),
        "audio.features.stft.stft": of_sound(lambda x: torch.view_as_real(stft.stft(x, hann(x), 16)), tolerance=4),
        "audio.features.stft.istft": Case(
            inverted, lambda: random(real=(33, 12), imag=(33, 12)), dtypes=FLOAT32, tolerance=4
        ),
        "audio.features.stft.power_spectrum": Case(
            lambda frames: stft.power_spectrum(frames, 16),
            lambda: random(frames=(3, 2, 12)),
            dtypes=FLOAT32,
            tolerance=20,
        ),
        "audio.features.voice_activity.louder_than_noise": Case(
            voice_activity.louder_than_noise, lambda: random(20.0, energy_db=(3, 30)), dtypes=FLOAT32
        ),
        "audio.features.voice_activity.held": Case(
            lambda active: voice_activity.held(active, 2), lambda: {"active": torch.arange(24).view(3, 8) % 5 == 0}
        ),
        "audio.features.voice_activity.stretches": Case(
            lambda active: torch.tensor(voice_activity.stretches(active, 10.0)),
            lambda: {"active": torch.arange(24) % 5 < 2},
        ),
        "audio.features.waveform.check_waveform": Exempt("it gives nothing, or a ValueError"),
        "audio.features.whisper.whisper_log_mel": of_sound(lambda x: whisper.whisper_log_mel(x, 12), tolerance=20),
        "audio.features.whisper.padded_to_chunk": of_sound(whisper.padded_to_chunk, 90),
    }
)
