"""What a codec is trained to keep: the waveform, the mel spectra, and what a discriminator looks at."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from nimblelm.audio.codec.discriminator import Judged
from nimblelm.audio.features.mel_spectrum import MelConfig, mel_spectrum

LOG_FLOOR = 1e-5


def time_loss(x: Float[Tensor, "B samples"], decoded: Float[Tensor, "_ _"]) -> Float[Tensor, ""]:
    """Mean absolute difference of the samples.

    l_t = |x - x_hat|_1     (Defossez et al., 2022, arXiv:2210.13438, section 3.4)

    Raises:
        ValueError: the shapes differ.

    Chapter: book/ch19_audio_codecs
    """
    _check_same(x, decoded)
    return (x - decoded).abs().mean()


def mel_loss(
    x: Float[Tensor, "B samples"],
    decoded: Float[Tensor, "_ _"],
    n_ffts: Sequence[int] = (64, 128, 256, 512, 1024, 2048),
    num_mels: int = 64,
    alpha: float = 1.0,
) -> Float[Tensor, ""]:
    """Difference of mel spectra of many resolutions, in magnitude and in its logarithm.

    l_f = mean over windows 2^i of |S_i(x) - S_i(x_hat)|_1 + alpha |log S_i(x) - log S_i(x_hat)|_2, hop 2^i / 4
    (Defossez et al., 2022, eq. 1; the logarithm in the second term as in their code and in Yamamoto et al., 2020,
    arXiv:1910.11480)

    Both norms are means over bands and frames. S divides by the root of the window's energy ("normalized"), so that no
    resolution outweighs the others.

    Args:
        x: the original.
        decoded: x_hat.
        n_ffts: window lengths in samples.
        num_mels: bands; short windows leave some of them empty, which costs nothing.
        alpha: weight of the logarithm.

    Raises:
        ValueError: the shapes differ, the sound is shorter than half a window, or alpha is negative or not finite.

    Chapter: book/ch19_audio_codecs
    """
    _check_same(x, decoded)
    if not 0 <= alpha < math.inf or not n_ffts:
        raise ValueError(f"alpha {alpha} must be 0 or more and finite, n_ffts {n_ffts} name one window or more")
    total = x.new_zeros(())
    for n_fft in n_ffts:
        config = MelConfig(num_mels, n_fft, n_fft // 4, area_norm=False)
        level = math.sqrt(0.375 * n_fft)  # root of the energy of a Hann window
        a, b = ((mel_spectrum(wave, config) + LOG_FLOOR**2).sqrt() / level for wave in (x, decoded))
        difference = ((a + LOG_FLOOR).log() - (b + LOG_FLOOR).log()).square().mean((-2, -1))
        total = total + (a - b).abs().mean() + alpha * (difference + 1e-12).sqrt().mean()
    return total / len(n_ffts)


def adversarial_loss(fake: Sequence[Judged]) -> Float[Tensor, ""]:
    """What the generator pays where a discriminator is not fooled.

    l_g = mean over discriminators of max(0, 1 - D_k(x_hat))     (Defossez et al., 2022, section 3.4)

    Raises:
        ValueError: no discriminators.

    Chapter: book/ch19_audio_codecs
    """
    _check_some(fake)
    return torch.stack([(1 - one.logits).clamp(min=0).mean() for one in fake]).mean()


def discriminator_loss(real: Sequence[Judged], fake: Sequence[Judged]) -> Float[Tensor, ""]:
    """Hinge loss of the discriminators: real above 1, decoded below -1.

    L_d = mean over k of max(0, 1 - D_k(x)) + max(0, 1 + D_k(x_hat))     (Defossez et al., 2022, section 3.4)

    Raises:
        ValueError: no discriminators, or not as many of both.

    Chapter: book/ch19_audio_codecs
    """
    _check_some(real, fake)
    pairs = zip(real, fake, strict=True)
    return torch.stack(
        [(1 - a.logits).clamp(min=0).mean() + (1 + b.logits).clamp(min=0).mean() for a, b in pairs]
    ).mean()


def feature_loss(real: Sequence[Judged], fake: Sequence[Judged]) -> Float[Tensor, ""]:
    """How differently the discriminators' hidden layers see the two, relative to what they see of the real one.

    l_feat = 1 / (K L) sum over k, l of |D_k^l(x) - D_k^l(x_hat)|_1 / mean |D_k^l(x)|_1
    (Defossez et al., 2022, eq. 2)

    Raises:
        ValueError: no discriminators, or not as many of both.

    Chapter: book/ch19_audio_codecs
    """
    _check_some(real, fake)
    layers = [pair for a, b in zip(real, fake, strict=True) for pair in zip(a.features, b.features, strict=True)]
    ratios = [(a.detach() - b).abs().mean() / a.detach().abs().mean().clamp(min=1e-8) for a, b in layers]
    return torch.stack(ratios).mean()


def _check_same(x: Tensor, decoded: Tensor) -> None:
    if x.shape != decoded.shape or not x.numel():
        raise ValueError(f"original {tuple(x.shape)}, decoded {tuple(decoded.shape)}: the same shape, not empty")


def _check_some(*judged: Sequence[Judged]) -> None:
    if not judged[0] or len({len(one) for one in judged}) != 1:
        raise ValueError(f"verdicts of {[len(one) for one in judged]} discriminators: 1 or more, as many of both")
