"""Adapt the committed target, which knows Python, to English: to the definitions of a dictionary, WordNet 3.0.

python training/adapt_target.py data                   read Debian's wordnet-base, split it by entry, encode it
python training/adapt_target.py full --steps N         train all weights; run it again to resume
python training/adapt_target.py lora --steps N         train adapters on the weights as they are
python training/adapt_target.py qlora --steps N        train adapters on the weights in NF4
python training/adapt_target.py export                 put adapters, log and held-out entries beside lib's loader

All three see the same batches. `export` takes the states that were saved last, of runs that are not done as well.
"""

import argparse
import hashlib
import json
import platform
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from language_model import Optimizer, random_crops, run
from nimblelm.compression.adapted import ADAPTER_FOLDER, ALPHA, RANK
from nimblelm.compression.lora import add_lora, load_adapter
from nimblelm.compression.qlora import add_qlora
from nimblelm.data.tokenizer import END_OF_TEXT_ID
from nimblelm.inference.speculative.pair import load_pair, load_pair_tokenizer
from nimblelm.language.llama import Llama
from nimblelm.nn.checkpoint import to_int8
from train_pair import RUNS, SEED

WORDNET, FOLDER = Path("/usr/share/wordnet"), RUNS / "adapted"
PARTS_OF_SPEECH = ("noun", "verb", "adj", "adv")
LENGTH, ROWS, HELD_OUT_ROWS = 128, 8, 48
PEAKS = {"full": 1e-3, "lora": 5e-3, "qlora": 5e-3}  # at 1e-2 and half the batch an adapter's loss rose again
SHOWN = 240  # held-out entries that are committed, for pages and tests


class AdamW(Optimizer):
    """One rate for all weights that learn."""

    def __init__(self, model: nn.Module, peak: float):
        learning = [weight for weight in model.parameters() if weight.requires_grad]
        self.parts, self.peaks = [torch.optim.AdamW(learning, betas=(0.9, 0.95), weight_decay=0.0)], [peak]


def entries() -> tuple[list[str], list[str]]:
    """Lines of "word (part of speech): definition", to train on and held out: one entry in sixteen, by its words."""
    train, held_out = [], []
    for kind in PARTS_OF_SPEECH:
        for line in (WORDNET / f"data.{kind}").read_text().splitlines():
            if line.startswith("  "):
                continue
            fields, gloss = line.split(" | ", 1)
            word = fields.split()[4].split("(")[0].replace("_", " ")
            definition = gloss.split('; "')[0].strip()
            part = held_out if hashlib.sha256(word.lower().encode()).digest()[0] % 16 == 0 else train
            part.append(f"{word} ({kind}): {definition}\n")
    return train, held_out


def make_data() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    tokenizer = load_pair_tokenizer()
    generator = torch.Generator().manual_seed(SEED)
    for name, lines in zip(("train", "held_out"), entries(), strict=True):
        shuffled = [lines[i] for i in torch.randperm(len(lines), generator=generator).tolist()]
        ids = [i for encoding in tokenizer.encode_batch(shuffled) for i in encoding.ids]
        torch.save(torch.tensor([END_OF_TEXT_ID, *ids], dtype=torch.int32), FOLDER / f"{name}.pt")
        if name == "held_out":
            (FOLDER / "held_out.txt").write_text("".join(shuffled[:SHOWN]))
        print(name, len(lines), "entries", len(ids), "tokens")


def build(kind: str) -> Llama:
    """The target in the state from which it learns."""
    model, generator = load_pair().target, torch.Generator().manual_seed(SEED)
    if kind == "full":
        return model.requires_grad_(True)
    add = add_lora if kind == "lora" else add_qlora
    add(model, RANK, ALPHA, generator=generator)
    return model


def loss_of(model: Llama, tokens: torch.Tensor) -> torch.Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(tokens[:, :-1])
    return F.cross_entropy(logits.float().flatten(0, 1), tokens[:, 1:].flatten())


@torch.no_grad()
def held_out_loss(model: Llama) -> float:
    """Nats a token over the same crops of held-out entries at every evaluation."""
    held_out = torch.load(FOLDER / "held_out.pt", weights_only=True)
    batch = random_crops(held_out, HELD_OUT_ROWS, LENGTH, torch.Generator().manual_seed(0))
    return torch.stack([loss_of(model, part) for part in batch.split(8)]).mean().item()


def train(kind: str, steps: int, peak: float | None, name: str) -> None:
    stream = torch.load(FOLDER / "train.pt", weights_only=True)
    model, generator = build(kind), torch.Generator().manual_seed(SEED)

    def evaluate() -> dict[str, float]:
        return {"held_out_loss": held_out_loss(model)}

    def loss_at(step: int) -> torch.Tensor:
        return loss_of(model, random_crops(stream, ROWS, LENGTH, generator))

    run(model, AdamW(model, peak or PEAKS[kind]), loss_at, evaluate, steps, generator, FOLDER / name, save_every=40)


def export() -> None:
    """The adapters in int8, the losses of all three runs and of the target before, the entries that pages read."""
    ADAPTER_FOLDER.mkdir(parents=True, exist_ok=True)
    log = {"seed": SEED, "torch": torch.__version__, "python": platform.python_version(), "device": "cpu"}
    log |= {"tokens a step": ROWS * (LENGTH - 1), "peak rates": PEAKS, "before": held_out_loss(load_pair().target)}
    for kind in PEAKS:
        state = torch.load(FOLDER / kind / "state.pt", weights_only=True)["model"]
        weights = state if kind == "full" else {name: w for name, w in state.items() if name.endswith((".A", ".B"))}
        lines = [json.loads(line) for line in (FOLDER / kind / "log.jsonl").read_text().splitlines()]
        log[kind] = {
            "parameters trained": sum(weight.numel() for weight in build(kind).parameters() if weight.requires_grad),
            "log": lines,
        }
        if kind != "full":
            load_adapter(build(kind), {name: weight.float() for name, weight in weights.items()})  # it fits
            save_file(to_int8({name: w.float() for name, w in weights.items()}), ADAPTER_FOLDER / f"{kind}.safetensors")
    (ADAPTER_FOLDER / "log.json").write_text(json.dumps(log, indent=1) + "\n")
    (ADAPTER_FOLDER / "definitions.txt").write_text((FOLDER / "held_out.txt").read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=["data", *PEAKS, "export"])
    parser.add_argument("--steps", type=int, help="optimizer steps; a resumed run may name another number")
    parser.add_argument("--peak", type=float, help="another learning rate than the chosen one")
    parser.add_argument("--name", help="of the run, by default the stage's")
    arguments = parser.parse_args()
    if arguments.stage in PEAKS and not arguments.steps:
        parser.error(f"{arguments.stage} needs --steps")
    match arguments.stage:
        case "data":
            make_data()
        case "export":
            export()
        case kind:
            train(kind, arguments.steps, arguments.peak, arguments.name or kind)


if __name__ == "__main__":
    main()
