"""What is expected, computed in the judge: sample by sample, without the ways of a good answer."""

import math

import torch

from autograder.checks import integer


def normal(rng, *shape):
    return torch.randn(*shape, generator=rng())


def mirrored(x, i):
    """Sample i of a recording that is mirrored at both ends."""
    last = len(x) - 1
    return x[-i] if i < 0 else x[2 * last - i] if i > last else x[i]


def frames_of(x, size, hop):
    """(T, N) of one recording, sample by sample."""
    starts = range(-(size // 2), len(x) // hop * hop - size // 2 + 1, hop)
    return torch.stack([torch.stack([mirrored(x, start + n) for n in range(size)]) for start in starts])


def batch_of(rng, *lengths):
    """(waveforms, lengths): random recordings, what stands behind their ends is large."""
    waveforms = 1e3 * normal(rng, len(lengths), max(lengths) + integer(rng, 0, 3))
    for row, length in zip(waveforms, lengths, strict=True):
        row[:length] = normal(rng, length)
    return waveforms, list(lengths)


PRIMES = (65537, 786433, 40961, 12289)  # p - 1 has many factors of two


def root_of(order, modulus):
    """A number whose powers first reach 1 at this order."""
    for base in range(2, 200):
        root = pow(base, (modulus - 1) // order, modulus)
        if order == 1 or all(pow(root, order // q, modulus) != 1 for q in (2, 3, 5, 7) if order % q == 0):
            return root
    raise AssertionError(f"no root of order {order} modulo {modulus}")


def transformed(x, root, modulus):
    """The sum, in Python's whole numbers."""
    return [sum(v * pow(root, n * k, modulus) for n, v in enumerate(x)) % modulus for k in range(len(x))]


SCALES = ("htk", "slaney", "bark")


def pitch(hz, scale):
    """The table of exercise 3, for one number."""
    if scale == "htk":
        return 1127 * math.log1p(hz / 700) * (2595 / math.log(10) / 1127)
    if scale == "bark":
        return 26.81 * hz / (1960 + hz) - 0.53
    return 3 * hz / 200 if hz < 1000 else 15 + 27 * math.log(hz / 1000) / math.log(6.4)


def hertz(value, scale):
    """The frequency of a pitch, found by halving."""
    low, high = 0.0, 1e5
    for _ in range(200):
        middle = low + (high - low) / 2
        low, high = (middle, high) if pitch(middle, scale) < value else (low, middle)
    return low


def bank_of(bands, n_fft, rate, scale, low_hz, high_hz, norm):
    """Entry by entry."""
    first, last = pitch(low_hz, scale), pitch(high_hz, scale)
    corners = [hertz(first + i * (last - first) / (bands + 1), scale) for i in range(bands + 2)]
    rows = []
    for m in range(bands):
        left, peak, right = corners[m : m + 3]
        bins = [k * rate / n_fft for k in range(n_fft // 2 + 1)]
        row = [max(0.0, min((f - left) / (peak - left), (right - f) / (right - peak))) for f in bins]
        divisor = {"height": 1.0, "area": (right - left) / 2, "bins": sum(row) or 1.0}[norm]
        rows.append([value / divisor for value in row])
    return torch.tensor(rows, dtype=torch.float64)


def whisper_of(x, filters, total):
    """(M, total) of one recording, in float64."""
    n = torch.arange(400, dtype=torch.float64)
    frames = frames_of(x.double(), 400, 160)[:-1] * (0.5 - 0.5 * torch.cos(2 * math.pi * n / 400))
    spectrum = torch.fft.fft(frames)[:, :201]
    mel = (spectrum.real.square() + spectrum.imag.square()) @ filters.double().T
    log = mel.clamp(min=1e-10).log10().T
    whole = torch.full((len(filters), total), -10.0, dtype=torch.float64)
    whole[:, : log.shape[1]] = log
    return (whole.clamp(min=float(log.max()) - 8) + 4) / 4


def cepstra_of(log_mel, count, lifter):
    """Coefficient by coefficient."""
    bands = log_mel.shape[1]
    rows = []
    for i in range(count):
        lift = 1 + lifter / 2 * math.sin(math.pi * i / lifter) if lifter else 1.0
        scale = lift * math.sqrt((1 if i == 0 else 2) / bands)
        rows.append(sum(scale * math.cos(math.pi * i * (m + 0.5) / bands) * log_mel[:, m] for m in range(bands)))
    return torch.stack(rows, dim=1)


def slopes_of(features, width):
    """The slope of a least-squares line through each frame and its neighbours."""
    total, offsets = features.shape[-1], range(-width, width + 1)
    columns = []
    for t in range(total):
        near = [features[..., min(max(t + j, 0), total - 1)] for j in offsets]
        columns.append(sum(j * x for j, x in zip(offsets, near, strict=True)) / sum(j * j for j in offsets))
    return torch.stack(columns, dim=-1)


def closest_sound(spectrum, window, hop, length):
    """The waveform whose frames come closest, summed frame by frame."""
    size = len(window)
    frames = torch.fft.irfft(spectrum.T, n=size) * window
    total, weight = torch.zeros(length + size, dtype=torch.float64), torch.zeros(length + size, dtype=torch.float64)
    for t, one in enumerate(frames):
        total[t * hop : t * hop + size] += one
        weight[t * hop : t * hop + size] += window * window
    return (total / weight.clamp(min=1e-12))[size // 2 : size // 2 + length]


def rounds_of(magnitude, known, angle, window, hop, length, rounds):
    """(waveform, errors) of the text of exercise 6."""
    spectrum, errors = torch.polar(magnitude * known, angle), []
    for _ in range(rounds):
        sound = closest_sound(spectrum, window, hop, length)
        y = torch.fft.rfft(frames_of(sound, len(window), hop) * window).T
        gap = ((y.abs() - magnitude) * known).square().sum() / (magnitude * known).square().sum()
        errors.append(float(gap.sqrt()))
        phase = torch.where(y == 0, torch.ones_like(y), y / y.abs().clamp(min=1e-300))
        spectrum = torch.where(known, magnitude, y.abs()) * phase
    return closest_sound(spectrum, window, hop, length), errors
