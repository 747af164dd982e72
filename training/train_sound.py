"""Train what chapter 15 lets a machine hear: who speaks, in which language, and whether anybody speaks at all.

python training/train_sound.py voices                 say every word in espeak-ng's voices (needs espeak-ng)
python training/train_sound.py speaker  --steps N     an AST on recorded people; run it again to resume
python training/train_sound.py language --steps N     an AST on one speaker a language, one on voices that speak all
python training/train_sound.py votes    --steps N     the same by frames that vote, each with its neighbours
python training/train_sound.py activity --steps N     voice activity in noise
python training/train_sound.py export                 tables beside their baselines, the models in int8, the log
"""

import argparse
import json
import platform
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from language_model import Optimizer, run, say, track
from nimblelm.audio.ast import AST, ASTConfig
from nimblelm.audio.frame_classifier import FrameClassifier, FrameClassifierConfig
from nimblelm.data.voices import RECORDED, Clip, clips
from nimblelm.data.voices.splits import held_out_word
from nimblelm.nn.checkpoint import load, save
from sound_activity import activity_table, train_activity
from sound_data import (
    LANGUAGES,
    NUM_FRAMES,
    NUM_MELS,
    TRAINED_VOICES,
    UNSEEN_VOICES,
    Spoken,
    banks,
    levelled,
    logistic,
    noise,
    of_clips,
    own_means,
    predicted,
    synthesized,
    telephone,
)
from sound_probes import probe_table
from train_pair import RUNS

SEED, BATCH, PEAK_RATE = 15, 48, 2e-3
FOLDER = RUNS / "sound"
OUT = Path(__file__).resolve().parents[1] / "lib/nimblelm/data/checkpoints/sound"


class AdamW(Optimizer):
    def __init__(self, model: nn.Module, rate: float = PEAK_RATE):
        self.parts = [torch.optim.AdamW(model.parameters(), betas=(0.9, 0.95), weight_decay=0.05)]
        self.peaks = [rate]


def small_ast(num_classes: int) -> AST:
    torch.manual_seed(SEED)
    return AST(
        ASTConfig(num_classes, 64, 3, 4, 192, NUM_MELS, NUM_FRAMES, patch_size=16, mel_stride=8, frame_stride=12)
    )


class Votes(FrameClassifier):
    """A class for the whole from the mean of what its frames say, each with its neighbours, in order."""

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features).mean(-1)


def votes(num_classes: int) -> Votes:
    torch.manual_seed(SEED)
    return Votes(FrameClassifierConfig(NUM_MELS, num_classes, d_ff=128, context=8))


def unseen(one: Spoken) -> bool:
    return held_out_word(Clip(one.speaker, one.language, one.meaning, 0, 0, 0, 0))  # the word alone decides


def recorded(languages: Callable[[str, str], bool] = lambda speaker, language: True) -> list[Spoken]:
    return of_clips([c for c in clips() if c.speaker in RECORDED and languages(c.speaker, c.language)])


def train(
    name: str,
    spoken: Sequence[Spoken],
    labels: Tensor,
    held: Sequence[Spoken],
    wanted: Tensor,
    steps: int,
    make: Callable[[int], nn.Module] = small_ast,
) -> None:
    """A model of banks; every batch is levelled, shifted and noisy anew, so that level, place and hiss say nothing."""
    model, generator = make(int(labels.max()) + 1), torch.Generator().manual_seed(SEED)
    waveforms, held_banks = [levelled(one.waveform) for one in spoken], banks(held)
    by_label = [(labels == k).nonzero()[:, 0] for k in range(int(labels.max()) + 1)]

    def changed(waveform: Tensor) -> Tensor:
        draw = torch.rand(4, generator=generator).tolist()
        room = NUM_FRAMES * 160 + 240
        start = int(draw[0] * max(1, room - len(waveform)))
        placed = F.pad(waveform[:room], (start, max(0, room - start - len(waveform))))[:room]
        hiss = noise(("white", "pink")[draw[3] < 0.5], room, generator)
        return placed * 10 ** (draw[1] - 0.5) + hiss * 0.05 * 10 ** (-0.5 - 2 * draw[2])

    def loss_at(step: int) -> Tensor:
        kinds = torch.randint(len(by_label), (BATCH,), generator=generator).tolist()
        picked = [int(by_label[k][torch.randint(len(by_label[k]), (), generator=generator)]) for k in kinds]
        features = masked(torch.stack([_bank(changed(waveforms[i])) for i in picked]), generator)
        return F.cross_entropy(model.train()(features), labels[picked], label_smoothing=0.05)

    def evaluate() -> dict[str, float]:
        return {"held_out_accuracy": (classes(model, held_banks) == wanted).float().mean().item()}

    run(model, AdamW(model), loss_at, evaluate, steps, generator, FOLDER / name)
    save(model, FOLDER / f"{name}.safetensors", int8=True)


def _bank(waveform: Tensor) -> Tensor:
    from sound_data import bank

    return bank(waveform)


def masked(features: Tensor, generator: torch.Generator) -> Tensor:
    """Some bands and some frames become the mean (Park et al., 2019, SpecAugment, arXiv:1904.08779)."""
    for dim, widest in ((1, 12), (2, 20)):
        width, begin = (
            int(torch.randint(1, n, (), generator=generator)) for n in (widest, features.shape[dim] - widest)
        )
        features.narrow(dim, begin, width).fill_(0)
    return features


@torch.inference_mode()
def classes(model: nn.Module, features: Tensor) -> Tensor:
    return torch.cat([model.eval()(part).argmax(-1) for part in features.split(64)])


def of(spoken: Sequence[Spoken], names: Sequence[str], what: str) -> Tensor:
    return torch.tensor([names.index(getattr(one, what)) for one in spoken])


def speaker_sets() -> tuple[list[Spoken], dict[str, list[Spoken]]]:
    """Trained: words of four people, Allison in English alone. Held out: words, and all that she says in Spanish."""
    everything = recorded()
    english = [one for one in everything if (one.speaker, one.language) != ("allison", "es")]
    spanish = [one for one in everything if (one.speaker, one.language) == ("allison", "es")]
    return [s for s in english if not unseen(s)], {
        "held-out words": [s for s in english if unseen(s)],
        "Spanish": spanish,
    }


def language_sets() -> tuple[dict[str, list[Spoken]], dict[str, list[Spoken]]]:
    people, known = recorded(), synthesized(TRAINED_VOICES, FOLDER / "voices", SEED)
    strangers = synthesized(UNSEEN_VOICES, FOLDER / "voices", SEED + 1)
    trained = {"people": [s for s in people if not unseen(s)], "voices": [s for s in known if not unseen(s)]}
    held = {
        "same people, new words": [s for s in people if unseen(s)],
        "same voices, new words": [s for s in known if unseen(s)],
        "unseen voices, new words": [s for s in strangers if unseen(s)],
        "unseen voices, trained words": [s for s in strangers if not unseen(s)],
    }
    return trained, held


def train_speaker(steps: int) -> None:
    trained, held = speaker_sets()
    words = held["held-out words"]
    train("speaker", trained, of(trained, RECORDED, "speaker"), words, of(words, RECORDED, "speaker"), steps)


def train_language(steps: int, kind: str) -> None:
    """On people, one a language, and on voices that speak all of them; a trap is learned fast."""
    trained, held = language_sets()
    tests = {"people": "same people, new words", "voices": "unseen voices, new words"}
    for name, spoken in trained.items():
        test = held[tests[name]]
        labels, wanted = of(spoken, LANGUAGES, "language"), of(test, LANGUAGES, "language")
        enough = min(steps, 300) if name == "people" else steps
        train(f"{kind}_{name}", spoken, labels, test, wanted, enough, votes if kind == "votes" else small_ast)


def share(right: Tensor) -> dict[str, float | int]:
    """Accuracy with Wilson's 95 % interval."""
    n, p, z = len(right), right.float().mean().item(), 1.96
    middle, reach = p + z * z / (2 * n), z * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    low, high = ((middle + s * reach) / (1 + z * z / n) for s in (-1, 1))
    return {"accuracy": round(p, 4), "low": round(low, 4), "high": round(high, 4), "clips": n}


def row(tested: dict[str, tuple[Tensor, Tensor]]) -> dict[str, dict]:
    return {name: share(got == want) for name, (got, want) in tested.items()}


def table(
    trained: Sequence[Spoken],
    held: dict[str, list[Spoken]],
    names: Sequence[str],
    what: str,
    model: AST,
    change=levelled,
) -> dict[str, dict]:
    """Majority, the mean spectrum alone, mean and spread, and the AST, on every held-out set."""
    labels = of(trained, names, what)
    wanted = {name: of(some, names, what) for name, some in held.items()}
    most = Counter(labels.tolist()).most_common(1)[0][0]
    pooled, theirs = own_means(trained), {name: own_means(some, change) for name, some in held.items()}
    mean, both = (logistic(pooled[:, :n], labels, len(names)) for n in (NUM_MELS, 2 * NUM_MELS))
    return {
        "majority": row({n: (torch.full_like(w, most), w) for n, w in wanted.items()}),
        "mean spectrum": row({n: (predicted(mean, theirs[n][:, :NUM_MELS]), w) for n, w in wanted.items()}),
        "mean and spread": row({n: (predicted(both, theirs[n]), w) for n, w in wanted.items()}),
        "AST": row({n: (classes(model, banks(held[n], change)), w) for n, w in wanted.items()}),
    }


def export() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    tables: dict[str, dict] = {}
    trained, held = speaker_sets()
    model = load(AST, FOLDER / "speaker.safetensors")
    tables["speaker"] = table(trained, held, RECORDED, "speaker", model)
    on_line = table(trained, held, RECORDED, "speaker", model, lambda w: levelled(telephone(w)))
    tables["speaker, telephone band"] = on_line
    sets, held = language_sets()
    for name, spoken in track([*sets.items()], "language"):
        others = held | {"recorded people": recorded()} if name == "voices" else held
        others = {
            test: some for test, some in others.items() if (name == "people") or not test.startswith("same people")
        }
        model = load(AST, FOLDER / f"language_{name}.safetensors")
        found = table(spoken, others, LANGUAGES, "language", model)
        voting = load(Votes, FOLDER / f"votes_{name}.safetensors")
        wanted = {test: of(some, LANGUAGES, "language") for test, some in others.items()}
        found["voting frames"] = row({n: (classes(voting, banks(others[n])), w) for n, w in wanted.items()})
        tables[f"language, trained on {name}"] = found
    tables["voice activity"] = activity_table(load(FrameClassifier, FOLDER / "activity.safetensors"), SEED)
    tables["what a front end keeps"] = probe_table(SEED)
    (OUT / "results.json").write_text(json.dumps(tables, indent=1) + "\n")
    logs = {}
    for name in ("speaker", "language_people", "language_voices", "votes_people", "votes_voices", "activity"):
        if not name.startswith("votes"):  # a baseline: its figures are enough
            (OUT / f"{name}.safetensors").write_bytes((FOLDER / f"{name}.safetensors").read_bytes())
        logs[name] = [json.loads(line) for line in (FOLDER / name / "log.jsonl").read_text().splitlines()]
    made = {"seed": SEED, "batch": BATCH, "python": platform.python_version(), "torch": torch.__version__}
    voices = {"trained_voices": TRAINED_VOICES, "unseen_voices": UNSEEN_VOICES}
    (OUT / "log.json").write_text(json.dumps(made | voices | {"log": logs}, indent=1) + "\n")
    say(json.dumps(tables, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["voices", "speaker", "language", "votes", "activity", "export"])
    parser.add_argument("--steps", type=int, default=800)
    options = parser.parse_args()
    if options.what == "voices":
        synthesized(TRAINED_VOICES, FOLDER / "voices", SEED)
        synthesized(UNSEEN_VOICES, FOLDER / "voices", SEED + 1)
    elif options.what == "activity":
        model = FrameClassifier(FrameClassifierConfig(40))
        train_activity(model, AdamW(model, 4e-3), options.steps, SEED, FOLDER)
    elif options.what == "speaker":
        train_speaker(options.steps)
    else:
        export() if options.what == "export" else train_language(options.steps, options.what)


if __name__ == "__main__":
    main()
