"""The discrete Fourier transform by its definition, and fast."""

import math

import torch
from jaxtyping import Complex, Float
from torch import Tensor


def dft_matrix(length: int, dtype: torch.dtype = torch.complex64) -> Complex[Tensor, "length length"]:
    """The transform as a matrix: row k turns k times while the samples pass by.

    F[k, n] = exp(-2 pi i k n / N)      (Cooley and Tukey, 1965, Math. Comp. 19, eq. 1, with the sign of today)

    The product k n is reduced modulo N first, which keeps large lengths exact.

    Raises:
        ValueError: a length below 1.

    Chapter: book/ch15_sound_to_log_mel
    """
    if length < 1:
        raise ValueError(f"a transform of {length} samples: there must be 1 or more")
    n = torch.arange(length)
    angle = (torch.outer(n, n) % length).double() * (-2 * math.pi / length)
    return torch.polar(torch.ones_like(angle), angle).to(dtype)


def dft(x: Float[Tensor, "*batch N"] | Complex[Tensor, "*batch N"]) -> Complex[Tensor, "*batch N"]:
    """The discrete Fourier transform by its definition, N^2 multiplications.

    X[k] = sum over n of x[n] exp(-2 pi i k n / N)

    Raises:
        ValueError: no samples, or half precision.

    Chapter: book/ch15_sound_to_log_mel
    """
    values = _as_complex(x)
    return values @ dft_matrix(values.shape[-1], values.dtype)


def fft(x: Float[Tensor, "*batch N"] | Complex[Tensor, "*batch N"]) -> Complex[Tensor, "*batch N"]:
    """The same transform by divide and conquer, N times the sum of N's prime factors (Cooley and Tukey, 1965).

    With N = p M and x_r[m] = x[p m + r], X[k + M q] = sum over r of exp(-2 pi i r (k + M q) / N) X_r[k]: p transforms
    of length M, turned by twiddle factors, then M transforms of length p. Where p = 2 that is the butterfly.

    Raises:
        ValueError: no samples, or half precision.

    Chapter: book/ch15_sound_to_log_mel
    """
    values = _as_complex(x)
    length = values.shape[-1]
    factor = _smallest_factor(length)
    if factor == length:
        return dft(values)
    rest = length // factor
    parts = fft(values.unflatten(-1, (rest, factor)).mT)  # (*batch, p, M): X_r[k], r over residues
    turns = torch.outer(torch.arange(factor), torch.arange(rest)).double() * (-2 * math.pi / length)
    twiddled = parts * torch.polar(torch.ones_like(turns), turns).to(values.dtype)
    return (dft_matrix(factor, values.dtype) @ twiddled).flatten(-2)  # row q, column k: X[k + M q]


def dft_multiplications(length: int) -> int:
    """Complex multiplications of `dft`: N^2.

    Chapter: book/ch15_sound_to_log_mel
    """
    return length * length


def fft_multiplications(length: int) -> int:
    """Complex multiplications of `fft`: for N = p M, p transforms of M, N twiddles, M transforms of p.

    Chapter: book/ch15_sound_to_log_mel
    """
    factor = _smallest_factor(length)
    if factor == length:
        return dft_multiplications(length)
    rest = length // factor
    return factor * fft_multiplications(rest) + length + rest * factor * factor


def _smallest_factor(length: int) -> int:
    return next((p for p in range(2, math.isqrt(length) + 1) if length % p == 0), length)


def _as_complex(x: Tensor) -> Tensor:
    kinds = {torch.float32: torch.complex64, torch.float64: torch.complex128}
    dtype = x.dtype if x.dtype in kinds.values() else kinds.get(x.dtype)
    if dtype is None:
        raise ValueError(f"x is {x.dtype}: a transform needs float32, float64 or a complex type of these")
    if x.ndim == 0 or x.numel() == 0:
        raise ValueError(f"x of shape {tuple(x.shape)} holds no samples")
    return x.to(dtype)
