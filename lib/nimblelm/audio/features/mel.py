"""The mel scale and its filter bank: four choices that papers and libraries make differently."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

# Slaney's scale (1998, Auditory Toolbox): straight below 1 kHz, 15 mels there, 27 steps to the factor 6.4 above.
_KNEE_HZ, _HZ_PER_MEL, _LOG_STEP = 1000.0, 200.0 / 3, math.log(6.4) / 27
_HTK = 2595 / math.log(10)
SCALES = ("htk", "slaney")


def hz_to_mel(frequency_hz: Float[Tensor, "*n"], scale: str) -> Float[Tensor, "*n"]:
    """Mels of frequencies, on one of two scales that share a name.

    htk:     2595 log10(1 + f / 700) = 1127 ln(1 + f / 700)      (O'Shaughnessy, 1987; Young et al., The HTK Book)
    slaney:  f / 66.7 below 1 kHz, 15 + 27 ln(f / 1000) / ln 6.4 above       (Slaney, 1998, Auditory Toolbox)

    Raises:
        ValueError: an unknown scale.

    Chapter: book/ch15_sound_to_log_mel
    """
    _check_scale(scale)
    hz = frequency_hz.to(torch.promote_types(frequency_hz.dtype, torch.float32))
    if scale == "htk":
        return (_HTK * torch.log1p(hz / 700)).to(frequency_hz.dtype)
    above = _KNEE_HZ / _HZ_PER_MEL + torch.log(hz.clamp(min=_KNEE_HZ) / _KNEE_HZ) / _LOG_STEP
    return torch.where(hz < _KNEE_HZ, hz / _HZ_PER_MEL, above).to(frequency_hz.dtype)


def mel_to_hz(mel: Float[Tensor, "*n"], scale: str) -> Float[Tensor, "*n"]:
    """Frequencies of mels: the inverse of `hz_to_mel`.

    Raises:
        ValueError: an unknown scale.

    Chapter: book/ch15_sound_to_log_mel
    """
    _check_scale(scale)
    wide, knee = mel.to(torch.promote_types(mel.dtype, torch.float32)), _KNEE_HZ / _HZ_PER_MEL
    if scale == "htk":
        return (700 * torch.expm1(wide / _HTK)).to(mel.dtype)
    above = _KNEE_HZ * torch.exp((wide - knee).clamp(min=0) * _LOG_STEP)
    return torch.where(wide < knee, wide * _HZ_PER_MEL, above).to(mel.dtype)


def mel_filters(
    num_mels: int,
    n_fft: int,
    sample_rate_hz: int,
    scale: str,
    area_norm: bool,
    low_hz: float = 0.0,
    high_hz: float | None = None,
    straight_in_mel: bool = False,
) -> Float[Tensor, "num_mels bins"]:
    """Overlapping triangles, their corners equally far apart in mels; a row a band, in float64.

    band m rises from corner m to 1 at corner m + 1 and falls to 0 at corner m + 2     (Davis and Mermelstein, 1980,
    IEEE Trans. ASSP 28, section II)

    Args:
        num_mels: bands.
        n_fft: samples of a transform; it has n_fft / 2 + 1 bins, sample_rate_hz / n_fft apart.
        sample_rate_hz: samples a second.
        scale: "htk" or "slaney".
        area_norm: divide each triangle by half its width in Hz, so that all have the same area; else the same height.
        low_hz, high_hz: where the first band begins and the last one ends; half the sample rate by default.
        straight_in_mel: sides are straight over mels, as Kaldi and AST have them, instead of over Hz.

    Raises:
        ValueError: no bands, an odd or small n_fft, or frequencies out of order or above half the sample rate.

    Chapter: book/ch15_sound_to_log_mel
    """
    high_hz = sample_rate_hz / 2 if high_hz is None else high_hz
    if num_mels < 1 or n_fft < 2 or n_fft % 2:
        raise ValueError(f"{num_mels} bands over {n_fft} samples: 1 band or more, and an even number of samples")
    if not 0 <= low_hz < high_hz <= sample_rate_hz / 2:
        raise ValueError(f"bands from {low_hz} to {high_hz} Hz must lie in order within 0 and {sample_rate_hz / 2}")
    bins_hz = torch.arange(n_fft // 2 + 1, dtype=torch.float64) * sample_rate_hz / n_fft
    ends = hz_to_mel(torch.tensor([low_hz, high_hz], dtype=torch.float64), scale)
    lowest, highest = ends.tolist()
    corners = torch.linspace(lowest, highest, num_mels + 2, dtype=torch.float64)
    corners_hz = mel_to_hz(corners, scale)
    points, x = (corners, hz_to_mel(bins_hz, scale)) if straight_in_mel else (corners_hz, bins_hz)
    left, peak, right = (points[i : i + num_mels, None] for i in range(3))
    triangles = torch.minimum((x - left) / (peak - left), (right - x) / (right - peak)).clamp(min=0)
    if area_norm:
        triangles = triangles * 2 / (corners_hz[2:] - corners_hz[:-2])[:, None]
    return triangles


def _check_scale(scale: str) -> None:
    if scale not in SCALES:
        raise ValueError(f"no mel scale is named {scale!r}; there are {' and '.join(SCALES)}")
