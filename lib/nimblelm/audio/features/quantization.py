"""Amplitudes as integers of a few bits: uniform steps with and without dither, and the telephone's logarithmic ones."""

import math

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

DITHERS = ("none", "rectangular", "triangular")


def quantize(
    waveform: Shaped[Tensor, "*batch samples"],
    bits: int,
    dither: str = "none",
    generator: torch.Generator | None = None,
) -> Float[Tensor, "*batch samples"]:
    """Amplitudes rounded to one of 2^bits levels within -1 and 1 and read back.

    q = step round(x / step + d), step = 2^(1 - bits), clipped to -1 .. 1 - step      (Lipshitz, Wannamaker and
    Vanderkooy, 1992, J. Audio Eng. Soc. 40, section 2, for dither d)

    Without dither the error of a quiet tone is a copy of the tone, folded: distortion. Noise of one step's width makes
    its mean 0 for every x (rectangular), the sum of two such makes its power the same for every x (triangular): hiss.

    Args:
        waveform: within -1 and 1.
        bits: 2 to 24.
        dither: "none", "rectangular" (uniform over one step) or "triangular" (the sum of two of these).
        generator: draws the dither.

    Raises:
        ValueError: bits out of range, an unknown dither, or amplitudes that are whole numbers already.

    Chapter: book/ch15_sound_to_log_mel
    """
    if not 2 <= bits <= 24 or dither not in DITHERS:
        raise ValueError(f"bits {bits} must be within 2 and 24, dither {dither!r} one of {', '.join(DITHERS)}")
    if not waveform.is_floating_point():
        raise ValueError(f"the waveform is {waveform.dtype}: amplitudes within -1 and 1 are floating numbers")
    step = 2.0 ** (1 - bits)
    wide = waveform.to(torch.promote_types(waveform.dtype, torch.float32))
    noise = torch.zeros_like(wide)
    for _ in range(DITHERS.index(dither)):
        noise += torch.rand(wide.shape, generator=generator, dtype=wide.dtype, device=wide.device) - 0.5
    return (step * torch.round(wide / step + noise)).clamp(-1, 1 - step).to(waveform.dtype)


def signal_to_noise_db(signal: Float[Tensor, "*shape"], noisy: Float[Tensor, "*same"]) -> float:
    """Energy of the signal over that of the difference, in decibels: 10 log10(sum s^2 / sum (n - s)^2).

    A sine over the full range rounded to b bits has 6.02 b + 1.76 dB (Bennett, 1948, Bell Syst. Tech. J. 27).

    Raises:
        ValueError: the shapes differ, or the signal or the difference is 0 everywhere.

    Chapter: book/ch15_sound_to_log_mel
    """
    if signal.shape != noisy.shape:
        raise ValueError(f"signal {tuple(signal.shape)} and noisy {tuple(noisy.shape)} differ in shape")
    energy, error = float(signal.double().square().sum()), float((noisy.double() - signal.double()).square().sum())
    if not (energy > 0 and error > 0):
        raise ValueError(f"energies of signal {energy} and difference {error} must be positive")
    return 10 * math.log10(energy / error)


def mu_law_encode(waveform: Float[Tensor, "*batch samples"], bits: int = 8) -> Int[Tensor, "*batch samples"]:
    """The telephone's quantizer: steps as fine as the amplitude is small; codes 0 .. 2^bits - 1.

    F(x) = sign(x) ln(1 + mu |x|) / ln(1 + mu), mu = 2^bits - 1, then (F + 1) / 2 mu, rounded     (ITU-T G.711)

    Raises:
        ValueError: bits out of 2 .. 16, or an amplitude beyond -1 .. 1.

    Chapter: book/ch15_sound_to_log_mel
    """
    mu = _mu(bits)
    if not bool((waveform.abs() <= 1).all()):
        raise ValueError(f"waveform has amplitudes up to {float(waveform.abs().max())}, beyond 1, or nan")
    x = waveform.to(torch.float64)
    companded = x.sign() * torch.log1p(mu * x.abs()) / math.log1p(mu)
    return ((companded + 1) / 2 * mu + 0.5).floor().to(torch.int64)


def mu_law_decode(codes: Int[Tensor, "*batch samples"], bits: int = 8) -> Float[Tensor, "*batch samples"]:
    """The amplitudes of the telephone's codes, the inverse of F.

    Raises:
        ValueError: bits out of 2 .. 16, or a code out of range.

    Chapter: book/ch15_sound_to_log_mel
    """
    mu = _mu(bits)
    if not bool(((codes >= 0) & (codes <= mu)).all()):
        raise ValueError(f"codes must lie within 0 and {mu}")
    companded = 2 * codes.to(torch.float64) / mu - 1
    return (companded.sign() * torch.expm1(companded.abs() * math.log1p(mu)) / mu).float()


def _mu(bits: int) -> int:
    if not 2 <= bits <= 16:
        raise ValueError(f"bits {bits} must be within 2 and 16")
    return 2**bits - 1
