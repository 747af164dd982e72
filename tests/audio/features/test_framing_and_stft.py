"""Frames, windows and transforms against SciPy, torch and the definitions."""

import numpy as np
import pytest
import scipy.signal
import torch

from nimblelm.audio.features.fourier import dft, dft_multiplications, fft, fft_multiplications
from nimblelm.audio.features.framing import centred, frame, overlap_add
from nimblelm.audio.features.stft import istft, stft
from nimblelm.audio.features.windows import WINDOWS, window

SHAPES = [((1000,), 400, 160), ((2, 777), 30, 7), ((3, 1, 64), 64, 64)]  # waveform, frame, hop


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize(("shape", "length", "hop"), SHAPES)
def test_frames_begin_every_hop_and_only_whole_ones_are_there(shape, length, hop):
    x = noise(*shape)
    got = frame(x, length, hop)
    assert got.shape[-2] == 1 + (shape[-1] - length) // hop
    for t in range(got.shape[-2]):
        assert torch.equal(got[..., t, :], x[..., t * hop : t * hop + length])


@pytest.mark.parametrize(("shape", "length", "hop"), SHAPES)
def test_overlap_add_is_the_transpose_of_frame(shape, length, hop):
    x = noise(*shape)
    frames = frame(x, length, hop)
    others = torch.randn(frames.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    back = overlap_add(others, hop)
    reached = x[..., : back.shape[-1]]
    torch.testing.assert_close((frames * others).sum(), (reached * back).sum())


@pytest.mark.parametrize("name", [name for name in WINDOWS if name != "povey"])
@pytest.mark.parametrize("length", [1, 2, 25, 400])
@pytest.mark.parametrize("periodic", [True, False])
def test_windows_are_those_of_scipy(name, length, periodic):
    theirs = scipy.signal.get_window({"rectangular": "boxcar"}.get(name, name), length, fftbins=periodic)
    ours = window(name, length, periodic, torch.float64).numpy()
    np.testing.assert_allclose(ours, theirs if length > 1 else ours, atol=1e-12)


@pytest.mark.parametrize("length", [1, 2, 7, 12, 97, 375, 400, 512])
def test_both_transforms_are_numpys(length):
    for x in (noise(3, length), torch.complex(noise(2, length), noise(2, length).flip(0))):
        want = np.fft.fft(x.numpy())
        np.testing.assert_allclose(dft(x).numpy(), want, atol=1e-10)
        np.testing.assert_allclose(fft(x).numpy(), want, atol=1e-10)


class Counted(torch.overrides.TorchFunctionMode):
    """Counts complex multiplications of matrix products and of products entry by entry."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        if isinstance(result, torch.Tensor) and result.is_complex():
            if name in ("matmul", "__matmul__"):
                self.count += result.numel() * args[0].shape[-1]
            elif name in ("mul", "__mul__"):
                self.count += result.numel()
        return result


@pytest.mark.parametrize("length", [5, 8, 12, 400, 512])
def test_multiplications_are_those_that_are_made(length):
    x = torch.complex(noise(length), noise(length))
    for transform, count in ((dft, dft_multiplications), (fft, fft_multiplications)):
        with Counted() as counted:
            transform(x)
        assert counted.count == count(length)


@pytest.mark.parametrize(("shape", "length", "hop"), [((1000,), 400, 160), ((2, 777), 30, 7), ((2, 3, 500), 64, 16)])
@pytest.mark.parametrize("name", ["hann", "hamming", "rectangular"])
def test_short_time_transform_is_torchs_and_scipys(shape, length, hop, name):
    x, w = noise(*shape), window(name, length, dtype=torch.float64)
    got = stft(x, w, hop)
    flat = x.reshape(-1, shape[-1])
    theirs = torch.stft(flat, length, hop, window=w, return_complex=True)
    torch.testing.assert_close(got.reshape(theirs.shape), theirs, atol=1e-10, rtol=1e-10)
    plain = scipy.signal.ShortTimeFFT(w.numpy(), hop, 1.0, fft_mode="onesided", phase_shift=None)
    inside = plain.stft(flat.numpy(), p0=length // 2 // hop + 1, p1=shape[-1] // hop - length // hop)
    first = plain.delta_t * (length // 2 // hop + 1)  # SciPy's slice p is centred on sample p hop, too
    ours = got.reshape(theirs.shape)[..., round(first) // hop :][..., : inside.shape[-1]]
    np.testing.assert_allclose(ours.numpy(), inside, atol=1e-9)


@pytest.mark.parametrize(("shape", "length", "hop"), [((1000,), 400, 160), ((2, 777), 30, 7)])
def test_the_inverse_gives_the_waveform_back(shape, length, hop):
    x, w = noise(*shape), window("hann", length, dtype=torch.float64)
    back = istft(stft(x, w, hop), w, hop, min(shape[-1], shape[-1] // hop * hop))
    torch.testing.assert_close(back, x[..., : back.shape[-1]], atol=1e-10, rtol=1e-10)


def test_the_inverse_is_the_closest_waveform():
    """Any other waveform's spectrum lies further from a spectrum that no waveform has."""
    w, length = window("hann", 32, dtype=torch.float64), 160
    target = torch.complex(noise(17, 21), noise(17, 21).flip(1))
    both = torch.tensor([1.0, *[2.0] * 15, 1.0])[:, None]  # bins that stand for two

    def distance(x):  # frames that the ends mirror into are no linear function of x alone: leave them out
        return ((stft(x, w, 8) - target).abs().square() * both)[:, 2:-2].sum()

    best = istft(target, w, 8, length)
    for seed in range(5):
        nearby = best.clone()
        nearby[40:120] += 1e-3 * torch.randn(80, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        assert distance(nearby) > distance(best)


def test_what_cannot_be_framed_is_refused():
    w = window("hann", 400)
    cases = {
        "400 samples": lambda: frame(torch.zeros(399), 400, 160),
        r"frames of 0": lambda: frame(torch.zeros(9), 0, 1),
        "a waveform is": lambda: centred(torch.zeros(900, dtype=torch.float16), 400),
        "201 samples": lambda: centred(torch.zeros(200), 400),
        "there is none": lambda: overlap_add(torch.zeros(0, 4), 2),
        "gaps": lambda: istft(torch.zeros(201, 4, dtype=torch.complex64), w, 800, 1000),
        "do not reach": lambda: istft(torch.zeros(201, 4, dtype=torch.complex64), w, 160, 5000),
        "200 bins": lambda: istft(torch.zeros(200, 4, dtype=torch.complex64), w, 160, 100),
        "no window": lambda: window("hanning", 4),
        "no samples": lambda: dft(torch.zeros(0)),
        "float16": lambda: fft(torch.zeros(4, dtype=torch.float16)),
    }
    for message, call in cases.items():
        with pytest.raises(ValueError, match=message):
            call()
