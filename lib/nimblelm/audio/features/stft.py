"""The short-time Fourier transform and its inverse."""

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from nimblelm.audio.features.framing import centred, frame, overlap_add


def stft(
    waveform: Float[Tensor, "*batch samples"], window: Float[Tensor, "N"], hop_length: int
) -> Complex[Tensor, "*batch bins T"]:
    """The spectrum of every frame; frame t is centred on sample t H.

    X[k, t] = sum over n of w[n] x[t H + n - N / 2] exp(-2 pi i k n / N), k = 0 .. N / 2     (Allen and Rabiner, 1977,
    Proc. IEEE 65, section II; at the ends x is mirrored)

    Args:
        waveform: x.
        window: w, N samples, an even number.
        hop_length: H, in samples.

    Raises:
        ValueError: the waveform is shorter than half a frame, or dtypes differ.

    Chapter: book/ch15_sound_to_log_mel
    """
    _check_window(window, waveform.dtype)
    frames = frame(centred(waveform, len(window)), len(window), hop_length)
    return torch.fft.rfft(frames * window).mT


def istft(
    spectrum: Complex[Tensor, "*batch bins T"], window: Float[Tensor, "N"], hop_length: int, length: int
) -> Float[Tensor, "*batch length"]:
    """The waveform whose short-time spectrum comes closest to the given one, in least squares.

    x[m] = sum_t w[m - tH] y_t[m - tH] / sum_t w^2[m - tH], y_t the inverse transform of frame t     (Griffin and Lim,
    1984, IEEE Trans. ASSP 32, eq. 6)

    Args:
        spectrum: Y.
        window: w, the one of the analysis.
        hop_length: H, in samples.
        length: samples of the result.

    Raises:
        ValueError: the window does not fit the bins, the frames do not reach as far as `length`, or the overlapping
            windows leave a sample without weight.

    Chapter: book/ch15_sound_to_log_mel
    """
    frame_length = len(window)
    real = spectrum.real.dtype
    _check_window(window, real)
    if spectrum.shape[-2] != frame_length // 2 + 1:
        raise ValueError(f"{spectrum.shape[-2]} bins are not those of a window of {frame_length} samples")
    frames = torch.fft.irfft(spectrum.mT, n=frame_length) * window
    half, num_frames = frame_length // 2, frames.shape[-2]
    if not 0 < length <= (num_frames - 1) * hop_length + frame_length - half:
        raise ValueError(f"{num_frames} frames every {hop_length} samples do not reach {length} samples")
    weight = overlap_add((window * window).expand(num_frames, frame_length), hop_length)[half : half + length]
    if bool((weight < 1e-8).any()):
        raise ValueError(f"a hop of {hop_length} samples leaves gaps between windows of {frame_length}")
    return overlap_add(frames, hop_length)[..., half : half + length] / weight


def power_spectrum(frames: Float[Tensor, "*batch N"], n_fft: int) -> Float[Tensor, "*batch bins"]:
    """Energy in each bin of each frame, |X|^2 = re^2 + im^2, without the root of a magnitude that is squared again.

    Args:
        frames: windowed; filled up with zeros to n_fft samples.
        n_fft: samples of the transform, N or more.

    Raises:
        ValueError: half precision, or a transform that is shorter than a frame.
    """
    if frames.dtype not in (torch.float32, torch.float64) or not 1 <= frames.shape[-1] <= n_fft:
        raise ValueError(f"frames {tuple(frames.shape)} of {frames.dtype}: float32 or float64, at most {n_fft} samples")
    spectrum = torch.fft.rfft(frames, n=n_fft)
    return spectrum.real.square().addcmul(spectrum.imag, spectrum.imag)


def _check_window(window: Tensor, dtype: torch.dtype) -> None:
    if len(window) < 2 or len(window) % 2:
        raise ValueError(f"a window of {len(window)} samples: it must have an even number of them, 2 or more")
    if window.dtype != dtype:
        raise ValueError(f"the window is {window.dtype}, the sound {dtype}")
