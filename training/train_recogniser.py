"""Train chapter 16's recogniser of numbers and spelled words, on synthesizers alone.

python training/train_recogniser.py voices            say every word in every voice (needs espeak-ng, flite, festival)
python training/train_recogniser.py train --steps N   CTC; run it again to resume
"""

import argparse
import random
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from language_model import Optimizer, run
from nimblelm.audio.recognition.recogniser import Recogniser, RecogniserConfig, num_outputs
from nimblelm.audio.recognition.vocabulary import NUMBER_WORDS, VOCABULARY, meaning_of
from nimblelm.data.voices import clip, sound
from nimblelm.nn.checkpoint import save
from recogniser_data import UNSEEN_VOICES, Voice, batch, composed, synthesized
from sound_data import levelled, noise
from train_pair import RUNS

SEED, BATCH, PEAK_RATE = 16, 16, 2.5e-3
FOLDER = RUNS / "recogniser"
OUT = Path(__file__).resolve().parents[1] / "lib/nimblelm/data/checkpoints/recogniser"


class AdamW(Optimizer):
    def __init__(self, model: nn.Module):
        self.parts = [torch.optim.AdamW(model.parameters(), betas=(0.9, 0.98), weight_decay=0.03)]
        self.peaks = [PEAK_RATE]

    def step(self, loss: Tensor, share: float) -> None:
        for group in self.parts[0].param_groups:
            group["lr"] = self.peaks[0] * share
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parts[0].param_groups[0]["params"], 1.0)
        self.parts[0].step()
        self.parts[0].zero_grad()


def unseen(voice: str) -> bool:
    return voice == "flite slt" or voice in {f"espeak {name}" for name in UNSEEN_VOICES}


def trained_voices(voices: dict[str, Voice]) -> list[Voice]:
    """Voices that train; those that come close to a person are taken three times as often as a formant synthesizer."""
    natural = [voice for name, voice in voices.items() if not unseen(name) and not name.startswith("espeak")]
    formants = [voice for name, voice in voices.items() if not unseen(name) and name.startswith("espeak")]
    return formants + natural * max(1, round(len(formants) / len(natural)))


def recorded_voice(speaker: str, vocabulary: tuple[str, ...] = NUMBER_WORDS) -> Voice:
    return {word: [levelled(sound(clip(speaker, "en", meaning_of(word)), trim=True))] for word in vocabulary}


def strings(voice: Voice, words: tuple[str, ...], count: int, seed: int) -> list[tuple[Tensor, list[str]]]:
    """Test strings of 3 to 7 words in light noise, 20 to 30 dB."""
    draw, generator, made = random.Random(seed), torch.Generator().manual_seed(seed), []
    for _ in range(count):
        said = draw.choices(words, k=draw.randint(3, 7))
        waveform = composed(said, lambda w: draw.choice(voice[w]), draw, False)
        hiss = noise("pink", len(waveform), generator) * waveform.square().mean().sqrt()
        made.append((waveform + hiss * 10 ** (-draw.uniform(20, 30) / 20), said))
    return made


def greedy(log_probs: Tensor) -> list[str]:
    best = log_probs.argmax(-1).tolist()
    return [VOCABULARY[a] for a, b in zip(best, [0, *best], strict=False) if a and a != b]


def distance(a: list[str], b: list[str]) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]


def wer(model: Recogniser, tests: list[tuple[Tensor, list[str]]], allowed: int = len(VOCABULARY)) -> float:
    errors = sum(distance(greedy(model.log_probs(w)[:, :allowed]), said) for w, said in tests)
    return errors / sum(len(said) for _, said in tests)


def train(steps: int, name: str) -> None:
    torch.manual_seed(SEED)
    model, generator = Recogniser(RecogniserConfig()), torch.Generator().manual_seed(SEED)
    voices = synthesized(FOLDER / "voices", SEED)
    known = trained_voices(voices)
    allison, slt = recorded_voice("allison"), voices["flite slt"]
    tests = {"allison": strings(allison, NUMBER_WORDS, 60, 1), "slt": strings(slt, NUMBER_WORDS, 60, 2)}
    tests["digits"] = strings(allison, NUMBER_WORDS[:10], 60, 3)
    andrea = voices[f"espeak {UNSEEN_VOICES[2]}"]
    tests["espeak"] = strings(andrea, NUMBER_WORDS, 40, 4)

    def loss_at(step: int) -> Tensor:
        features, lengths, labels, counts = batch(known, BATCH, random.Random(SEED * 10**6 + step), generator)
        log_probs = model.train()(features, lengths)
        return F.ctc_loss(log_probs.transpose(0, 1), labels, num_outputs(lengths), counts)

    @torch.inference_mode()
    def evaluate() -> dict[str, float]:
        model.eval()
        return {test: round(wer(model, some, len(NUMBER_WORDS) + 1), 3) for test, some in tests.items()}

    run(model, AdamW(model), loss_at, evaluate, steps, generator, FOLDER / name, save_every=250)
    save(model, FOLDER / f"{name}.safetensors", int8=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["voices", "train"])
    parser.add_argument("--steps", type=int, default=5000)
    options = parser.parse_args()
    if options.what == "voices":
        synthesized(FOLDER / "voices", SEED)
    else:
        train(options.steps, "recogniser")


if __name__ == "__main__":
    main()
