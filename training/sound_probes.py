"""What a front end keeps of a voice beside its words: how well pitch, loudness and the line can be read off it.

Ridge regression on mean and spread of the features over a word; pitch and loudness carry much of an emotion, the line
stands for the surroundings. Read on held-out words.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from nimblelm.audio.features.mel_spectrum import MelConfig, compressed, mel_spectrum
from nimblelm.audio.features.mfcc import mean_normalised, mfcc
from nimblelm.audio.features.stft import power_spectrum
from nimblelm.audio.features.whisper import whisper_log_mel
from nimblelm.data.voices import RECORDED, clips, sound
from nimblelm.data.voices.splits import held_out_word
from sound_data import RATE_HZ, levelled, telephone

LOWEST_HZ, HIGHEST_HZ = 70, 400


def log_mel(waveform: Tensor) -> Tensor:
    return compressed(mel_spectrum(waveform, MelConfig()), "ln", 1e-8)


FRONT_ENDS: dict[str, Callable[[Tensor], Tensor]] = {
    "log-mel, 80 bands": log_mel,
    "Whisper's log-mel": whisper_log_mel,
    "log-mel, 20 bands": lambda w: compressed(mel_spectrum(w, MelConfig(20)), "ln", 1e-8),
    "13 MFCCs": lambda w: mfcc(log_mel(w), 13),
    "13 MFCCs minus their mean": lambda w: mean_normalised(mfcc(log_mel(w), 13)),
}


def pitch_hz(waveform: Tensor) -> float:
    """Median over voiced frames of the first lag at which a frame nearly resembles itself most (autocorrelation)."""
    frames = waveform.unfold(0, 1024, 160) * torch.hann_window(1024)
    correlation = torch.fft.irfft(power_spectrum(frames, 2048))
    own = torch.fft.irfft(power_spectrum(torch.hann_window(1024)[None], 2048))[0]  # the window's, divided out
    lags = slice(RATE_HZ // HIGHEST_HZ, RATE_HZ // LOWEST_HZ)
    alike = correlation[:, lags] / correlation[:, :1].clamp(min=1e-9) / (own[lags] / own[0])
    best = alike.amax(1, keepdim=True)
    inner = alike[:, 1:-1]
    peaks = (
        (inner >= alike[:, :-2]) & (inner > alike[:, 2:]) & (inner > 0.9 * best)
    )  # its multiples resemble it as well
    lag, best = peaks.float().argmax(1) + 1, best[:, 0]
    loud = correlation[:, 0] > 0.1 * correlation[:, 0].max()
    voiced = loud & (best > 0.5) & peaks.any(1)
    return float(RATE_HZ / (lag[voiced] + lags.start).float().median()) if voiced.any() else float("nan")


def pooled(waveform: Tensor, front_end: Callable[[Tensor], Tensor]) -> Tensor:
    features = front_end(waveform)
    return torch.cat([features.mean(-1), features.std(-1, correction=0)])


def explained(x: Tensor, y: Tensor, trained: Tensor, l2: float = 3.0) -> dict[str, float]:
    """Share of the variance of y on the others, with a bootstrap interval over clips; 0 is what the mean explains."""
    mean, std = x[trained].mean(0), x[trained].std(0).clamp(min=1e-4)
    z = torch.cat([(x - mean) / std, torch.ones(len(x), 1)], dim=1).double()
    gram = z[trained].T @ z[trained] + l2 * torch.eye(z.shape[1], dtype=torch.float64)
    weights = torch.linalg.solve(gram, z[trained].T @ y[trained].double())
    wanted, error = y[~trained].double(), (z @ weights)[~trained] - y[~trained].double()
    picks = torch.randint(len(error), (1000, len(error)), generator=torch.Generator().manual_seed(0))
    shares = 1 - error[picks].square().mean(1) / wanted[picks].var(1, correction=0)
    low, high = shares.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    share = 1 - error.square().mean() / wanted.var(correction=0)
    return {"share": round(float(share), 3), "low": round(low, 3), "high": round(high, 3)}


def probe_table(seed: int) -> dict[str, dict]:
    """Front end -> what is read off it: pitch within speakers, the gain that was put on, and telephone or not."""
    generator = torch.Generator().manual_seed(seed)
    chosen = [one for one in clips() if one.speaker in RECORDED]
    waveforms = [levelled(sound(one, trim=True)) for one in chosen]
    pitches = torch.tensor([pitch_hz(torch.nn.functional.pad(w, (0, max(0, 1184 - len(w))))) for w in waveforms])
    usable = [i for i in range(len(chosen)) if pitches[i] == pitches[i] and len(waveforms[i]) > 1600]
    semitones = 12 * torch.log2(pitches)
    for speaker in RECORDED:  # an emotion is a pitch beside the speaker's own
        own = [i for i in usable if chosen[i].speaker == speaker]
        semitones[own] -= semitones[own].median()
    gains_db = 20 * torch.rand(len(chosen), generator=generator) - 10
    on_line = torch.rand(len(chosen), generator=generator) < 0.5
    played = [telephone(w) if on_line[i] else w for i, w in enumerate(waveforms)]
    louder = [w * 10 ** (float(gains_db[i]) / 20) for i, w in enumerate(waveforms)]
    trained = torch.tensor([not held_out_word(chosen[i]) for i in usable])
    table = {}
    for name, front_end in FRONT_ENDS.items():
        x, loud, line = (
            torch.stack([pooled(some[i], front_end) for i in usable]) for some in (waveforms, louder, played)
        )
        table[name] = {
            "pitch": explained(x, semitones[usable], trained),
            "loudness": explained(loud, gains_db[usable], trained),
            "telephone": explained(line, on_line[usable].float(), trained),
            "clips": int((~trained).sum()),
        }
    return table
