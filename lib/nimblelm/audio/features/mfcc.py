"""Mel-frequency cepstral coefficients: what recognisers read before neural networks read log-mel."""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def dct_matrix(num_outputs: int, num_inputs: int) -> Float[Tensor, "num_outputs num_inputs"]:
    """The orthonormal cosine transform, type II; float64.

    D[c, m] = s_c cos(pi c (m + 1/2) / M), s_0 = sqrt(1 / M), else sqrt(2 / M)     (Ahmed, Natarajan and Rao, 1974, IEEE
    Trans. Computers 23, eq. 1)

    Raises:
        ValueError: fewer than 1 output, or more outputs than inputs.

    Chapter: book/ch15_sound_to_log_mel
    """
    if not 1 <= num_outputs <= num_inputs:
        raise ValueError(f"{num_outputs} coefficients of {num_inputs} bands: at least 1, and no more than bands")
    c, m = torch.arange(num_outputs, dtype=torch.float64), torch.arange(num_inputs, dtype=torch.float64)
    matrix = torch.cos(math.pi / num_inputs * torch.outer(c, m + 0.5)) * math.sqrt(2 / num_inputs)
    matrix[0] /= math.sqrt(2)
    return matrix


def mfcc(
    log_mel: Float[Tensor, "*batch num_mels T"], num_coefficients: int = 13
) -> Float[Tensor, "*batch num_coefficients T"]:
    """Mel-frequency cepstral coefficients: the cosine transform of each frame's log-mel spectrum.

    c[i, t] = sum over m of D[i, m] L[m, t]     (Davis and Mermelstein, 1980, IEEE Trans. ASSP 28, eq. 1)

    Coefficient 0 is loudness, the first dozen the smooth shape of the spectrum (the vocal tract), what follows pitch.

    Raises:
        ValueError: more coefficients than bands, or none.

    Chapter: book/ch15_sound_to_log_mel
    """
    if log_mel.ndim < 2 or log_mel.numel() == 0:
        raise ValueError(f"a log-mel spectrum of shape {tuple(log_mel.shape)} has no bands and frames")
    return dct_matrix(num_coefficients, log_mel.shape[-2]).to(log_mel.dtype) @ log_mel


def smooth_log_mel(
    coefficients: Float[Tensor, "*batch num_coefficients T"], num_mels: int
) -> Float[Tensor, "*batch num_mels T"]:
    """The log-mel spectrum that so few coefficients describe: the transposed cosine transform.

    Raises:
        ValueError: more coefficients than bands.

    Chapter: book/ch15_sound_to_log_mel
    """
    if coefficients.ndim < 2 or coefficients.numel() == 0:
        raise ValueError(f"coefficients of shape {tuple(coefficients.shape)} hold no frames")
    return dct_matrix(coefficients.shape[-2], num_mels).T.to(coefficients.dtype) @ coefficients


def mean_normalised(features: Float[Tensor, "*batch n T"]) -> Float[Tensor, "*batch n T"]:
    """Features minus their mean over time: takes a fixed filter, such as a microphone or a telephone line, out of logs.

    Raises:
        ValueError: there are no frames.

    Chapter: book/ch15_sound_to_log_mel
    """
    if features.numel() == 0:
        raise ValueError(f"features of shape {tuple(features.shape)} have no frames")
    return features - features.mean(-1, keepdim=True)
