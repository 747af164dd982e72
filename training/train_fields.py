"""A small network of each field's own kind, the transformer that took its place, and what knows less than both.

python training/train_fields.py [--only text translation speech control]     (some five minutes of one CPU core)

Text: the next character of Python's standard library. Translation: English number words to French. Speech: who
speaks, from a quarter of a second. Control: a pole on a cart, learned from an expert. Within a field all networks see
the same batches for the same steps; what is told is measured on what was held out. A field that is done is not done
again.
"""

import argparse
import itertools
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from language_model import track
from nimblelm.control.cart_pole import Episodes, expert, play
from nimblelm.control.imitation import cloning_loss, gail_iteration, state_action
from nimblelm.data.corpus import stdlib_modules
from nimblelm.data.fraction import fraction
from nimblelm.data.number_words import ENGLISH, ENGLISH_TENS, FRENCH, FRENCH_TENS, english_number, french_number
from nimblelm.data.voices import RECORDED, Clip, clips, sound
from nimblelm.data.voices.splits import held_out_word
from nimblelm.language.llama import Llama, LlamaConfig
from nimblelm.language.recurrent import LSTM, RecurrentConfig, RecurrentLM
from nimblelm.language.seq2seq import Seq2Seq, Seq2SeqConfig
from nimblelm.language.t5 import T5, T5Config
from nimblelm.nn.attend import recorded
from nimblelm.nn.checkpoint import save
from nimblelm.nn.deep_belief import RBM, unrolled
from nimblelm.nn.encoder_block import EncoderBlock
from nimblelm.vision.vit import ViT, ViTConfig

FOLDER = Path(__file__).parents[1] / "lib/nimblelm/data/checkpoints/one_architecture"
SEED = 0
Row = dict[str, Any]


def optimize(
    model: nn.Module, loss: Callable[[torch.Generator], Tensor], steps: int, rate: float, what: str
) -> dict[str, float]:
    """AdamW with warm-up and a linear decay; every model of a field draws the same batches."""
    generator = torch.Generator().manual_seed(SEED + 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda i: min(1.0, (i + 1) / 20) * (1 - i / steps))
    began, losses = time.process_time(), []
    for _ in track(range(steps), what):
        value = loss(generator)
        optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(value.item())
    return {
        "steps": steps,
        "rate": rate,
        "loss_first": round(losses[0], 3),
        "loss_last": round(sum(losses[-20:]) / len(losses[-20:]), 3),
        "cpu_s": round(time.process_time() - began, 1),
        "parameters": sum(weight.numel() for weight in model.parameters()),
    }


# ---------------------------------------------------------------- text
LENGTH, TEXT_STEPS = 64, 250


def characters(held_out: bool) -> Tensor:
    texts = (one.text for one in stdlib_modules() if one.held_out is held_out)
    codes = [ord(letter) for text in texts for letter in text[:4000] if ord(letter) < 128]
    return torch.tensor(codes)


def text() -> list[Row]:
    train, test = characters(False), characters(True)[: 200 * LENGTH].view(-1, LENGTH)

    def bits(logits_of: Callable[[Tensor], Tensor]) -> float:
        with torch.no_grad():
            found = [
                F.cross_entropy(logits_of(part)[:, :-1].flatten(0, 1), part[:, 1:].flatten()) for part in test.split(50)
            ]
        return round(sum(found).item() / len(found) / math.log(2), 3)  # pyright: ignore

    frequency = train.bincount(minlength=128).float() + 0.1
    frequency = (frequency / frequency.sum()).log()
    pairs = torch.zeros(128, 128).index_put((train[:-1], train[1:]), torch.tensor(1.0), accumulate=True) + 0.1
    rows: list[Row] = [
        {"model": "frequency of characters", "bits": bits(lambda t: frequency.expand(*t.shape, 128))},
        {"model": "bigrams", "bits": bits(lambda t: (pairs / pairs.sum(1, keepdim=True)).log()[t])},
    ]
    shape = LlamaConfig(128, 96, num_layers=2, num_heads=4, num_kv_heads=4, d_ff=192)
    models = {
        "RNN": lambda: RecurrentLM(RecurrentConfig(128, 96, "rnn")),
        "LSTM": lambda: RecurrentLM(RecurrentConfig(128, 96, "lstm")),
        "transformer": lambda: Llama(shape),
    }
    for name, make in models.items():
        torch.manual_seed(SEED)
        model = make()

        def loss(generator: torch.Generator, model: nn.Module = model) -> Tensor:
            starts = torch.randint(len(train) - LENGTH, (16,), generator=generator)
            batch = train[starts[:, None] + torch.arange(LENGTH)]
            return F.cross_entropy(model(batch)[:, :-1].flatten(0, 1), batch[:, 1:].flatten())

        log = optimize(model, loss, TEXT_STEPS, 5e-3 if name != "transformer" else 3e-3, name)
        rows.append({"model": name, "bits": bits(model), **log})
        print(rows[-1], flush=True)
    return rows


# ---------------------------------------------------------------- translation
SOURCE_WORDS = ["", *ENGLISH, *ENGLISH_TENS, "hundred", "thousand"]
TARGET_WORDS = ["", *FRENCH, *FRENCH_TENS, "cent", "cents", "mille", "vingts", "et"]
SOURCE_LENGTH, TARGET_LENGTH, TRANSLATION_STEPS = 9, 16, 400


def held_out_number(number: int) -> bool:
    return fraction("number", str(number)) < 0.1


def encoded(numbers: list[int]) -> tuple[Tensor, Tensor]:
    """Sources aligned to the right, targets to the left, both filled up with 0."""
    source, target = torch.zeros(len(numbers), SOURCE_LENGTH).long(), torch.zeros(len(numbers), TARGET_LENGTH).long()
    for row, number in enumerate(numbers):
        words = [SOURCE_WORDS.index(word) for word in english_number(number)]
        source[row, SOURCE_LENGTH - len(words) :] = torch.tensor(words)
        words = [TARGET_WORDS.index(word) for word in french_number(number)]
        target[row, : len(words)] = torch.tensor(words)
    return source, target


def word_by_word(number: int) -> list[str]:
    """Each English word as the French word for that number alone."""
    values = {word: n for n, word in enumerate(ENGLISH)}
    values |= {word: 10 * n for n, word in enumerate(ENGLISH_TENS, 2)} | {"hundred": 100, "thousand": 1000}
    return [part for word in english_number(number) for part in french_number(values[word])]


def translation() -> list[Row]:
    generator = torch.Generator().manual_seed(SEED)
    drawn = [int(10 ** (6 * u)) - 1 for u in torch.rand(6000, generator=generator).tolist()]  # short ones too
    known, new = (sorted({n for n in drawn if held_out_number(n) is held}) for held in (False, True))
    source, target = encoded(known)
    test_source, test_target = encoded(new)
    rows: list[Row] = [
        {
            "model": "word by word",
            "right": round(sum(word_by_word(n) == french_number(n) for n in new) / len(new), 4),
            "trained_numbers": len(known),
            "held_out_numbers": len(new),
        }
    ]
    shape = T5Config(
        len(SOURCE_WORDS) + len(TARGET_WORDS),
        64,
        num_layers=2,
        num_decoder_layers=2,
        num_heads=4,
        head_dim=16,
        d_ff=128,
    )
    models: dict[str, Callable[[], nn.Module]] = {
        "LSTM to LSTM": lambda: Seq2Seq(Seq2SeqConfig(len(SOURCE_WORDS), len(TARGET_WORDS), 64, attention=False)),
        "LSTM to LSTM with attention": lambda: Seq2Seq(Seq2SeqConfig(len(SOURCE_WORDS), len(TARGET_WORDS), 64)),
        "transformer": lambda: T5(shape),
    }
    for name, make in models.items():
        torch.manual_seed(SEED)
        model = make()

        def logits(source: Tensor, written: Tensor, model: nn.Module = model) -> Tensor:
            if isinstance(model, T5):
                return model(source, written, source != 0)[..., : len(TARGET_WORDS)]
            return model(source, written)

        def loss(generator: torch.Generator, logits: Callable[..., Tensor] = logits) -> Tensor:
            chosen = torch.randint(len(source), (64,), generator=generator)
            written = F.pad(target[chosen], (1, -1))
            ends = (target[chosen] != 0).sum(1, keepdim=True)
            counts = torch.arange(TARGET_LENGTH) <= ends  # the words and one 0, the end
            return F.cross_entropy(logits(source[chosen], written)[counts], target[chosen][counts])

        log = optimize(model, loss, TRANSLATION_STEPS, 4e-3 if name != "transformer" else 2e-3, name)
        with torch.no_grad():
            written = torch.zeros(len(new), 1).long()
            for _ in range(TARGET_LENGTH):
                written = torch.cat([written, logits(test_source, written)[:, -1:].argmax(-1)], dim=1)
        ended = (written[:, 1:] == 0).cumsum(1) > 0
        right = (written[:, 1:].masked_fill(ended, 0) == test_target).all(1)
        long = (test_source != 0).sum(1) >= 6
        rows.append({"model": name, "right": round(right.float().mean().item(), 4), **log})
        rows[-1] |= {"right_of_long": round(right[long].float().mean().item(), 4), "long": int(long.sum())}
        print(rows[-1], flush=True)
        if name == "LSTM to LSTM with attention":
            FOLDER.mkdir(parents=True, exist_ok=True)
            save(model, FOLDER / "seq2seq.safetensors", int8=True)
            shown = max(new, key=lambda number: len(english_number(number)))  # a long one that was not trained
            words = {"source": SOURCE_WORDS, "target": TARGET_WORDS, "shown": shown}
            (FOLDER / "words.json").write_text(json.dumps(words, ensure_ascii=False) + "\n", encoding="utf-8")
    return rows


# ---------------------------------------------------------------- speech
SIDE, HOP, FFT, SPEECH_STEPS = 24, 160, 512, 120  # bands and frames; samples


def band_energies(waveform: Tensor) -> Tensor:
    """(frames, 24): log energy of 24 bands that widen with frequency, scaled to 0 .. 1."""
    if len(waveform) < FFT:
        return torch.zeros(0, SIDE)
    frames = waveform.unfold(0, FFT, HOP) * torch.hann_window(FFT)
    power = torch.fft.rfft(frames).abs().square()
    edges = (700 * (10 ** (torch.linspace(0.05, 1.0, SIDE + 1) * 3.0 / 2.7) - 1) / 8000).clamp(max=1.0)
    edges = (edges / edges[-1] * (FFT // 2)).long()
    edges = torch.maximum(edges, torch.arange(SIDE + 1))
    bands = torch.stack([power[:, a : max(b, a + 1)].mean(1) for a, b in itertools.pairwise(edges)], dim=1)
    return ((bands + 1e-6).log10() / 8 + 0.75).clamp(0, 1)


def windows(chosen: list[Clip]) -> tuple[Tensor, Tensor]:
    """Quarter seconds (N, 24, 24), and who speaks."""
    found, labels = [], []
    for one in chosen:
        energies = band_energies(sound(one, trim=True))
        for start in range(0, len(energies) - SIDE + 1, SIDE // 2):
            found.append(energies[start : start + SIDE])
            labels.append(RECORDED.index(one.speaker))
    return torch.stack(found), torch.tensor(labels)


def speech() -> list[Row]:
    spoken = [one for one in clips() if one.speaker in RECORDED]
    train, labels = windows([one for one in spoken if not held_out_word(one)])
    test, truth = windows([one for one in spoken if held_out_word(one)])
    generator = torch.Generator().manual_seed(SEED)
    few = torch.randperm(len(train), generator=generator)[:200]
    mean = torch.stack([train[few][labels[few] == one].mean((0, 1)) for one in range(len(RECORDED))])
    rows: list[Row] = [
        {
            "model": "most frequent speaker",
            "right": round((truth == labels[few].bincount().argmax()).float().mean().item(), 4),
            "windows": len(train),
            "labelled": len(few),
            "held_out_windows": len(test),
        },
        {
            "model": "nearest mean spectrum",
            "right": round((torch.cdist(test.mean(1), mean).argmin(1) == truth).float().mean().item(), 4),
        },
    ]
    machines, sizes, seen = [], (SIDE * SIDE, 256, 128), train.flatten(1)
    began = time.process_time()
    torch.manual_seed(SEED)
    for inputs, outputs in itertools.pairwise(sizes):
        machine = RBM(inputs, outputs)
        optimizer = torch.optim.SGD(machine.parameters(), lr=0.05, momentum=0.8)
        for _ in track(range(200), f"RBM of {outputs}"):
            batch = seen[torch.randint(len(seen), (64,), generator=generator)]
            value = machine.contrastive_divergence(batch, generator)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
        with torch.no_grad():
            seen = machine.hidden(seen)
        machines.append(machine)
    pretraining_s = round(time.process_time() - began, 1)
    torch.manual_seed(SEED)
    fresh = [RBM(inputs, outputs) for inputs, outputs in itertools.pairwise(sizes)]
    for machine in fresh:
        nn.init.xavier_uniform_(machine.weight, gain=4.0)  # as sigmoids want it
    shape = ViTConfig(SIDE, 6, 1, d_model=64, num_layers=3, num_heads=4, d_ff=128, num_classes=len(RECORDED))
    flat = lambda network: lambda x: network(x.flatten(1))  # noqa: E731
    for name, network in (
        ("sigmoid network, random", unrolled(fresh, len(RECORDED))),
        ("deep belief network", unrolled(machines, len(RECORDED))),
        ("transformer on patches", ViT(shape)),
    ):
        is_vit = isinstance(network, ViT)
        logits = (lambda x, network=network: network(2 * x[:, None] - 1, recorded([]))) if is_vit else flat(network)

        def loss(generator: torch.Generator, logits=logits) -> Tensor:
            chosen = few[torch.randint(len(few), (64,), generator=generator)]
            return F.cross_entropy(logits(train[chosen]), labels[chosen])

        log = optimize(network, loss, SPEECH_STEPS, 1e-3, name)
        with torch.no_grad():
            right = (logits(test).argmax(1) == truth).float().mean().item()
        rows.append({"model": name, "right": round(right, 4), "labelled": len(few), **log})
        if name.startswith("deep"):
            rows[-1]["pretraining_cpu_s"] = pretraining_s
        print(rows[-1], flush=True)
    return rows


# ---------------------------------------------------------------- control
CARTS, SPREAD, HISTORY = 200, 0.15, 8


def perceptron(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, 32), nn.Tanh(), nn.Linear(32, outputs))


def steps_survived(policy: Callable[[Tensor], Tensor]) -> float:
    played = play(policy, CARTS, torch.Generator().manual_seed(SEED + 9), spread=SPREAD)
    return round(played.lengths.float().mean().item(), 1)


def from_one_demonstration(seed: int) -> dict[str, float]:
    """Ten states of one episode that began near the middle; the tests begin further out."""
    shown = play(expert, 1, torch.Generator().manual_seed(seed), spread=0.05)
    rows = torch.arange(0, shown.states.shape[1], 20)
    states, actions = shown.states[0, rows], shown.actions[0, rows]
    torch.manual_seed(seed)
    clone = perceptron(4, 2)
    optimize(clone, lambda _: cloning_loss(clone, states, actions), 300, 1e-2, "behaviour cloning")
    torch.manual_seed(seed)
    policy, discriminator = perceptron(4, 2), perceptron(6, 1)
    optimizer = torch.optim.Adam(discriminator.parameters(), 1e-2)
    generator = torch.Generator().manual_seed(seed)
    for _ in track(range(40), "GAIL"):
        gail_iteration(policy, discriminator, optimizer, state_action(states, actions), 30, generator, spread=SPREAD)
    return {"cloning": steps_survived(clone), "gail": steps_survived(policy)}


class HistoryPolicy(nn.Module):
    """Left or right from the last 8 positions and angles, no velocities: what a network makes of them."""

    def __init__(self, kind: str):
        super().__init__()
        self.kind = kind
        self.embedding, self.head = nn.Linear(2, 32), nn.Linear(32, 2)
        self.positions = nn.Parameter(torch.zeros(HISTORY, 32))
        self.block: nn.Module = (
            LSTM(32, 32) if kind == "LSTM" else EncoderBlock(32, num_heads=4, d_ff=64, norm_eps=1e-12)
        )
        if kind == "perceptron":
            self.block = nn.Sequential(nn.Tanh(), nn.Linear(32, 32), nn.Tanh())

    def forward(self, seen: Tensor) -> Tensor:
        """Logits (B, 2) from what was seen (B, 8, 2), the last step last."""
        x = self.embedding(10 * seen)
        if self.kind == "LSTM":
            return self.head(self.block(x)[0][:, -1])
        if self.kind == "perceptron":  # sees the last step only
            return self.head(self.block(x[:, -1]))
        return self.head(self.block(x + self.positions, recorded([]))[:, -1])

    def acting(self) -> Callable[[Tensor], Tensor]:
        """A policy for one `play`: it remembers what it was shown."""
        seen: list[Tensor] = []

        def policy(states: Tensor) -> Tensor:
            seen.append(states[:, [0, 2]])
            last = [*[seen[0]] * (HISTORY - len(seen)), *seen[-HISTORY:]]
            return self(torch.stack(last, dim=1))

        return policy


def histories(shown: Episodes) -> tuple[Tensor, Tensor]:
    """What was seen up to each step (N, 8, 2), and what the expert did then."""
    seen = shown.states[..., [0, 2]]
    padded = torch.cat([seen[:, :1].expand(-1, HISTORY - 1, -1), seen], dim=1)
    return padded.unfold(1, HISTORY, 1).mT.flatten(0, 1), shown.actions.flatten()


def control() -> list[Row]:
    pushed_at_random = steps_survived(lambda states: torch.zeros(len(states), 2))
    rows: list[Row] = [
        {"model": "random pushes", "steps_up": pushed_at_random},
        {"model": "the expert", "steps_up": steps_survived(expert)},
    ]
    found = [from_one_demonstration(seed) for seed in range(3)]
    for name, key in (("behaviour cloning", "cloning"), ("GAIL", "gail")):
        each = sorted(one[key] for one in found)
        rows.append({"model": name, "steps_up": each[len(each) // 2], "of_each_demonstration": each})
        print(rows[-1], flush=True)
    seen, actions = histories(play(expert, 30, torch.Generator().manual_seed(SEED), spread=SPREAD))
    for kind in ("perceptron", "LSTM", "transformer"):
        torch.manual_seed(SEED)
        model = HistoryPolicy(kind)

        def loss(generator: torch.Generator, model: nn.Module = model) -> Tensor:
            chosen = torch.randint(len(seen), (128,), generator=generator)
            return cloning_loss(model, seen[chosen], actions[chosen])

        log = optimize(model, loss, 250, 3e-3, f"{kind} without velocities")
        rows.append({"model": f"{kind}, no velocities", "steps_up": steps_survived(model.acting()), **log})
        print(rows[-1], flush=True)
    return rows


FIELDS: dict[str, Callable[[], list[Row]]] = {
    "text": text,
    "translation": translation,
    "speech": speech,
    "control": control,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=FIELDS, default=list(FIELDS), help="these fields, once more")
    chosen = parser.parse_args().only
    torch.set_num_threads(1)
    FOLDER.mkdir(parents=True, exist_ok=True)
    file = FOLDER / "results.json"
    report = json.loads(file.read_text()) if file.exists() else {"made_by": "training/train_fields.py", "seed": SEED}
    for name in chosen:
        if name not in report or len(chosen) < len(FIELDS):
            report[name] = FIELDS[name]()
            file.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
