"""Whisper's log-mel spectrum of 30 s of sound beside torchaudio's and transformers', and the transform itself.

All take turns on the same waveform and give the same numbers, which is asserted before anything is timed.
"""

import torch
import torchaudio
from report import Row, arguments, report
from transformers import WhisperFeatureExtractor

from nimblelm.audio.features.fourier import dft, dft_multiplications, fft, fft_multiplications
from nimblelm.audio.features.kaldi import kaldi_fbank
from nimblelm.audio.features.whisper import whisper_log_mel
from nimblelm.measure.timing import interleaved_times, ratio_interval

SECONDS, RATE_HZ, LENGTH = 30, 16_000, 400


class Torchaudio:
    """Its spectrogram and filters, followed by Whisper's logarithm."""

    def __init__(self, num_mels: int = 80):
        options = {"n_fft": LENGTH, "hop_length": 160, "n_mels": num_mels, "norm": "slaney", "mel_scale": "slaney"}
        self.mel = torchaudio.transforms.MelSpectrogram(RATE_HZ, power=2.0, **options)

    def __call__(self, waveform: torch.Tensor) -> torch.Tensor:
        log = self.mel(waveform)[..., :-1].clamp(min=1e-10).log10()
        return (torch.maximum(log, log.amax((-2, -1), keepdim=True) - 8.0) + 4.0) / 4.0


def main() -> None:
    options = arguments(__doc__ or "")
    torch.manual_seed(0)
    waveform = 0.1 * torch.randn(SECONDS * RATE_HZ)
    theirs, extractor = Torchaudio(), WhisperFeatureExtractor()
    kaldi = torchaudio.compliance.kaldi.fbank
    frames = torch.randn(200, LENGTH)
    alternatives = {
        "ours": lambda: whisper_log_mel(waveform),
        "torchaudio": lambda: theirs(waveform),
        "transformers": lambda: extractor._torch_extract_fbank_features(waveform.numpy()),
        "our filter bank": lambda: kaldi_fbank(waveform, 128, "hann"),
        "kaldi of torchaudio": lambda: kaldi(waveform[None], num_mel_bins=128, window_type="hanning"),
        "fft": lambda: fft(frames),
        "dft": lambda: dft(frames),
        "torch.fft": lambda: torch.fft.fft(frames),
    }
    ours = alternatives["ours"]()
    torch.testing.assert_close(ours, alternatives["torchaudio"](), atol=5e-5, rtol=0)
    torch.testing.assert_close(ours, torch.from_numpy(alternatives["transformers"]()), atol=5e-5, rtol=0)
    bank = alternatives["our filter bank"]()
    torch.testing.assert_close(bank, alternatives["kaldi of torchaudio"]().T, atol=5e-3, rtol=1e-3)
    times = interleaved_times(alternatives, 9 if options.quick else 101, warmups=3)
    pairs = {
        "torchaudio's log-mel / ours": ("torchaudio", "ours", 1.0),
        "transformers' log-mel / ours": ("transformers", "ours", 1.0),
        "torchaudio's kaldi fbank / ours": ("kaldi of torchaudio", "our filter bank", 1.0),
        "our fft of 400 samples / torch.fft": ("fft", "torch.fft", float("nan")),
        "our dft of 400 samples / our fft": ("dft", "fft", float("nan")),
    }
    rows = [Row(name, *ratio_interval(times[slow], times[fast]), goal) for name, (slow, fast, goal) in pairs.items()]
    details = {
        "seconds of sound a second": round(SECONDS / sorted(times["ours"])[len(times["ours"]) // 2]),
        "threads": torch.get_num_threads(),
        "multiplications dft": dft_multiplications(LENGTH),
        "multiplications fft": fft_multiplications(LENGTH),
    }
    report("bench_log_mel", rows, details, options)


if __name__ == "__main__":
    main()
