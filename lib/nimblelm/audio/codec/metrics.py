"""How far decoded sound is from the original, by numbers that do not hear."""

import torch
from jaxtyping import Float
from torch import Tensor

from nimblelm.audio.features.mel_spectrum import MelConfig, compressed, mel_spectrum
from nimblelm.audio.features.waveform import check_waveform

MEL = MelConfig(80, 1024, 256)
MEL_FLOOR = 1e-3  # of energies: about the noise of a recording


def si_snr_db(x: Float[Tensor, "*batch samples"], decoded: Float[Tensor, "..."]) -> Float[Tensor, "*batch"]:
    """Signal-to-noise ratio after the best scaling, in decibels.

    s = (<x_hat, x> / |x|^2) x;  10 log10(|s|^2 / |x_hat - s|^2), both without their mean
    (Le Roux et al., 2019, arXiv:1811.02508, eq. 3)

    It asks where every sample lies, which the ear does not: a shift by half a period costs all of it.

    Raises:
        ValueError: other shapes, an original that is silent, or half precision.

    Chapter: book/ch19_audio_codecs
    """
    _check(x, decoded)
    x, decoded = (wave - wave.mean(-1, keepdim=True) for wave in (x, decoded))
    energy = x.square().sum(-1, keepdim=True)
    if not bool((energy > 0).all()):
        raise ValueError("the original is silent: there is nothing that noise could be compared with")
    target = (x * decoded).sum(-1, keepdim=True) / energy * x
    noise = (decoded - target).square().sum(-1)
    tiny = torch.finfo(x.dtype).tiny
    return 10 * ((target.square().sum(-1) + tiny) / (noise + tiny)).log10()


def mel_distance(x: Float[Tensor, "*batch samples"], decoded: Float[Tensor, "..."]) -> Float[Tensor, "*batch"]:
    """Mean absolute difference of the log-mel spectra, natural logarithm of energies in 80 bands.

    mean over bands and frames of |ln max(S(x), e) - ln max(S(x_hat), e)|     (the "mel distance" of Kumar et al., 2023,
    arXiv:2306.06546, table 3, on this book's spectra)

    Raises:
        ValueError: other shapes, less than half a window, or half precision.

    Chapter: book/ch19_audio_codecs
    """
    _check(x, decoded)
    a, b = (compressed(mel_spectrum(wave, MEL), "ln", MEL_FLOOR) for wave in (x, decoded))
    return (a - b).abs().mean((-2, -1))


def _check(x: Tensor, decoded: Tensor) -> None:
    check_waveform(x, MEL.n_fft // 2 + 1)
    if x.shape != decoded.shape or x.dtype != decoded.dtype:
        raise ValueError(f"original {tuple(x.shape)} {x.dtype}, decoded {tuple(decoded.shape)} {decoded.dtype}")
