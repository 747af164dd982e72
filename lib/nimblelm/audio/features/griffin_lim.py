"""From magnitudes back to a waveform: the phase is found by going to and fro."""

import math

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from nimblelm.audio.features.stft import istft, stft


def griffin_lim(
    magnitude: Float[Tensor, "*batch bins T"],
    window: Float[Tensor, "N"],
    hop_length: int,
    length: int,
    num_iterations: int = 32,
    momentum: float = 0.99,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "*batch length"]:
    """A waveform whose short-time spectrum has nearly the given magnitudes; phases begin at random.

    c <- STFT(ISTFT(|X| c / |c|)) turn by turn     (Griffin and Lim, 1984, IEEE Trans. ASSP 32, section III),
    with c + momentum (c - c_before) instead of c  (Perraudin, Balazs and Sondergaard, 2013, "A fast Griffin-Lim
    algorithm"; momentum 0 is the original, in which the error never rises)

    Args:
        magnitude: |X|, of windows that overlap by half or more.
        window: the one of the analysis.
        hop_length: in samples.
        length: samples of the waveform.
        num_iterations: rounds; 0 keeps the random phase.
        momentum: at least 0, below 1.
        generator: draws the phase.

    Raises:
        ValueError: magnitudes that are negative or not finite, a momentum outside of 0 .. 1, a negative number of
            rounds, frames that are not those of `length` samples, or a shape that does not fit (`istft`).

    Chapter: book/ch15_sound_to_log_mel
    """
    if not 0 <= momentum < 1 or num_iterations < 0:
        raise ValueError(f"momentum {momentum} must be 0 or more and below 1, num_iterations {num_iterations} >= 0")
    if not bool(((magnitude >= 0) & magnitude.isfinite()).all()):
        raise ValueError("magnitude has negative numbers, nan or infinities")
    if hop_length < 1 or magnitude.shape[-1] != 1 + length // hop_length:
        raise ValueError(f"{magnitude.shape[-1]} frames are not those of {length} samples, one every {hop_length}")
    draws = torch.rand(magnitude.shape, generator=generator, dtype=magnitude.dtype, device=magnitude.device)
    phase = torch.polar(torch.ones_like(draws), 2 * math.pi * draws)
    before = torch.zeros_like(phase)
    for _ in range(num_iterations):
        consistent = stft(istft(magnitude * phase, window, hop_length, length), window, hop_length)
        moved = consistent + momentum * (consistent - before)
        phase, before = moved / moved.abs().clamp(min=1e-16), consistent
    return istft(magnitude * phase, window, hop_length, length)


def inconsistency(
    spectrum: Complex[Tensor, "*batch bins T"],
    magnitude: Float[Tensor, "*batch bins T"],
) -> float:
    """Spectral convergence: how far a spectrum's magnitudes are from those asked for, relative to their norm.

    || |Y| - |X| || / || X ||

    Raises:
        ValueError: the magnitudes are all 0, or the shapes differ.

    Chapter: book/ch15_sound_to_log_mel
    """
    norm = magnitude.norm()
    if spectrum.shape != magnitude.shape or not norm > 0:
        raise ValueError(f"spectrum {tuple(spectrum.shape)}, magnitude {tuple(magnitude.shape)} of norm {float(norm)}")
    return float((spectrum.abs() - magnitude).norm() / norm)


def magnitude_of_mel(
    mel: Float[Tensor, "*batch num_mels T"], filters: Float[Tensor, "bands bins"], num_iterations: int = 60
) -> Float[Tensor, "*batch bins T"]:
    """Magnitudes of bins whose energies give these mel energies, none negative: what the bands can say of the bins.

    E <- E * (F^T mel) / (F^T F E)     (Lee and Seung, 1999, Nature 401; one of the two factors is given)

    Bins in no band get 0.

    Args:
        mel: energies of bands, not their logarithm.
        filters: F.
        num_iterations: of the multiplicative rule, which never raises the squared error.

    Raises:
        ValueError: energies that are negative or not finite, or filters of another number of bands.

    Chapter: book/ch15_sound_to_log_mel
    """
    if mel.shape[-2] != len(filters) or not bool(((mel >= 0) & mel.isfinite()).all()):
        raise ValueError(f"mel {tuple(mel.shape)} must hold {len(filters)} bands of finite energies, none negative")
    dtype = torch.promote_types(mel.dtype, torch.float32)
    matrix = filters.to(dtype)
    wanted = matrix.T @ mel.to(dtype)
    energy = wanted.clone()
    for _ in range(num_iterations):
        given = matrix.T @ (matrix @ energy)
        energy = energy * torch.where(given > 0, wanted / given, 0.0)  # the quotient first: squares would underflow
    return energy.sqrt().to(mel.dtype)
