"""What the codecs do with a voice and two languages that none of them was trained on: tables beside baselines."""

import math
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import soundfile
import torch
import torch.nn.functional as F
from torch import Tensor

from language_model import track
from nimblelm.audio.codec.metrics import mel_distance, si_snr_db
from nimblelm.audio.dtw import recognised, word_features
from nimblelm.data.voices import SAMPLE_RATE_HZ, Clip, clip, clips, sound
from nimblelm.data.voices.strings import Utterance, joined

PAUSE = 1_600  # samples of silence around a word that is judged
SAID = ("day 3", "month 10", "number 19", "number 7", "digits hundred", "number 40", "number 2")
Codec = Callable[[Tensor], Tensor]


def demo() -> Utterance:
    """What the chapter plays: Wednesday, November nineteen, seven hundred forty-two, by Allison."""
    gaps = [0.1, 0.08, 0.05, 0.25, 0.05, 0.05, 0.05, 0.1]
    return joined([clip("allison", "en", one) for one in SAID], gaps)


def opus(waveform: Tensor, bit_rate: str, path: Path) -> Tensor:
    """Through ffmpeg's libopus at a constant bit rate, speech mode; the file stays at `path`."""
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "in.wav"
        soundfile.write(wav, waveform.numpy(), SAMPLE_RATE_HZ, subtype="PCM_16")
        options = ["-c:a", "libopus", "-b:a", bit_rate, "-vbr", "off", "-application", "voip", "-map_metadata", "-1"]
        exact = ["-fflags", "+bitexact", "-flags:a", "+bitexact"]
        subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", wav, *options, *exact, path], check=True)
    decoded, rate_hz = soundfile.read(path, dtype="float32")
    y = torch.from_numpy(decoded)
    return of_length(y if rate_hz == SAMPLE_RATE_HZ else y[:: rate_hz // SAMPLE_RATE_HZ], len(waveform))


def opus_codec(bit_rate: str) -> Codec:
    def through(waveform: Tensor) -> Tensor:
        with tempfile.TemporaryDirectory() as folder:
            return opus(waveform, bit_rate, Path(folder) / "sound.opus")

    return through


def low_pass(hz: float) -> Codec:
    """All above a frequency removed."""

    def through(waveform: Tensor) -> Tensor:
        spectrum = torch.fft.rfft(waveform)
        spectrum[round(hz * len(waveform) / SAMPLE_RATE_HZ) :] = 0
        return torch.fft.irfft(spectrum, n=len(waveform))

    return through


def of_length(waveform: Tensor, samples: int) -> Tensor:
    return F.pad(waveform, (0, max(0, samples - len(waveform))))[:samples]


def judged_words() -> list[Clip]:
    """English numbers, letters, days and months of Allison: a dictionary in which letters sound alike."""
    kinds = ("number", "letter", "day", "month")
    return [c for c in clips() if c.speaker == "allison" and c.language == "en" and c.meaning.split()[0] in kinds]


def quality(name: str, codec: Codec, sentences: Sequence[Tensor]) -> dict[str, list[float] | int]:
    """SI-SNR and mel distance on sentences, and words that DTW still recognises; each with a 95 % interval."""
    decoded = [of_length(codec(x), len(x)) for x in track(sentences, name)]
    pairs = [*zip(sentences, decoded, strict=True)]
    words = judged_words()
    templates = [word_features(sound(one, trim=True)) for one in words]
    right = 0
    for i, one in [*enumerate(words)][::2]:  # against all of them
        spoken = F.pad(sound(one, trim=True), (PAUSE, PAUSE))
        right += recognised(of_length(codec(spoken), len(spoken))[PAUSE:-PAUSE], templates) == i
    return {
        "si_snr_db": mean_interval([si_snr_db(x, y).item() for x, y in pairs]),
        "mel_distance": mean_interval([mel_distance(x, y).item() for x, y in pairs]),
        "words_right": wilson(right, len(words[::2])),
        "words": len(words[::2]),
        "sentences": len(sentences),
    }


def mean_interval(values: Sequence[float]) -> list[float]:
    """Mean, and the ends of its 95 % interval by the normal distribution."""
    x = torch.tensor(values, dtype=torch.float64)
    half = 1.96 * x.std().item() / math.sqrt(len(x))
    return [round(x.mean().item() + shift, 4) for shift in (0.0, -half, half)]


def wilson(right: int, total: int) -> list[float]:
    """Share, and the ends of its 95 % interval (Wilson, 1927)."""
    z, share = 1.96, right / total
    middle, spread = share + z * z / (2 * total), z * math.sqrt(share * (1 - share) / total + (z / (2 * total)) ** 2)
    scale = 1 + z * z / total
    return [
        round(value, 4) for value in (share, max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale))
    ]
