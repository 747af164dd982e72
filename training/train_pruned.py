"""Shear the committed target to a fifth of its size, continue training, and train the same shape from scratch.

python training/train_pruned.py prune --steps N        masks, multipliers and weights together
python training/train_pruned.py continue --steps N     slice, then train on
python training/train_pruned.py scratch --steps N      the same shape from random weights, on the batches of both
python training/train_pruned.py export                 the continued model in int8 and the log beside lib's loader

Run one again to resume it. `scratch` takes the steps of both other runs; their logs say from which source a batch was
drawn.
"""

import argparse
import json
import platform
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from language_model import Optimizer, random_crops, run, token_stream
from nimblelm.compression.pruning.sheared import SHEARED_FOLDER, SOURCES, TARGET_SHAPE, source_of
from nimblelm.compression.pruning.shearing import DIMENSIONS, LearnedMasks, reweighted
from nimblelm.compression.pruning.slicing import StructuredMasks, masked_gains, masked_weights, sliced_model
from nimblelm.data.corpus import stdlib_modules
from nimblelm.inference.speculative.pair import load_pair, load_pair_tokenizer
from nimblelm.language.llama import Llama
from nimblelm.nn.checkpoint import load, save
from train_pair import FILE, RUNS, SEED

FOLDER = RUNS / "sheared"
LENGTH, ROWS, HELD_OUT_ROWS = 128, 8, 16  # tokens of a crop, crops of a batch and of a source's held-out text
EVERY = 20  # steps between two evaluations, after which batches are drawn by new weights
RATES = {"prune": (3e-4, 3e-4), "continue": (2e-3, 4e-3), "scratch": (3e-3, 6e-3)}  # of matrices and of the rest
MASK_RATE, MULTIPLIER_RATE, WARMUP = 0.15, 0.2, 0.3


class MinMax(Optimizer):
    """AdamW: weights and masks descend, multipliers ascend; masks and multipliers at a constant rate."""

    def __init__(self, model: nn.Module, masks: LearnedMasks, rate: float):
        self.masks = masks
        self.parts = [
            torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.95), weight_decay=0.0),
            torch.optim.Adam(masks.log_alphas.parameters(), lr=MASK_RATE),
            torch.optim.Adam(masks.multipliers.parameters(), lr=MULTIPLIER_RATE, maximize=True),
        ]
        self.peaks = [rate, MASK_RATE, MULTIPLIER_RATE]

    def step(self, loss: Tensor, share: float) -> None:
        self.peaks[1:] = [MASK_RATE / share, MULTIPLIER_RATE / share]
        super().step(loss, share)
        self.masks.clamp_()


def sources(held_out: bool) -> list[Tensor]:
    """The tokens of each source."""
    tokenizer = load_pair_tokenizer()
    texts: dict[str, list[str]] = {name: [] for name in SOURCES}
    for module in stdlib_modules():
        if module.held_out == held_out:
            texts[source_of(module.name)].append(module.text)
    return [token_stream(tokenizer, texts[name]) for name in SOURCES]


class Batches:
    """Crops whose sources are drawn by weights that follow the losses (dynamic batch loading)."""

    def __init__(self):
        self.train, held_out = sources(held_out=False), sources(held_out=True)
        fixed = torch.Generator().manual_seed(0)
        self.held_out = [random_crops(stream, HELD_OUT_ROWS, LENGTH, fixed) for stream in held_out]
        sizes = torch.tensor([float(len(stream)) for stream in self.train])
        self.natural = sizes / sizes.sum()

    def draw(self, weights: Tensor, step: int) -> Tensor:
        """(ROWS, LENGTH) tokens: the same for the same weights at the same step."""
        generator = torch.Generator().manual_seed(SEED + step)
        picked = torch.multinomial(weights, ROWS, replacement=True, generator=generator).tolist()
        return torch.cat([random_crops(self.train[i], 1, LENGTH, generator) for i in picked])

    @torch.no_grad()
    def losses(self, model) -> Tensor:
        """Held-out nats a token of each source."""
        return torch.stack([next_token_loss(model, rows) for rows in self.held_out])


def next_token_loss(model, tokens: Tensor) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(tokens[:, :-1])
    return F.cross_entropy(logits.float().flatten(0, 1), tokens[:, 1:].flatten())


class State(nn.Module):
    """What a pruning run saves beside its model: the masks, the weights of the sources, what happened at each step."""

    weights: Tensor
    trace: Tensor

    def __init__(self, model: Llama, masks: LearnedMasks | None, weights: Tensor, steps: int):
        super().__init__()
        self.model, self.masks = model, masks
        self.register_buffer("weights", weights.clone())
        self.register_buffer("trace", torch.zeros(steps, 1 + 4 * len(DIMENSIONS)))


def held_out(batches: Batches, weights: Tensor, model, references: Tensor | None) -> dict[str, Any]:
    """The losses of the sources; with references, batches are drawn from here on by the weights that follow."""
    losses = batches.losses(model)
    if references is not None:
        weights.copy_(reweighted(weights, losses, references).round(decimals=4))
    figures = {"of sources": losses, "weights": weights}
    return {"held_out_loss": (batches.natural * losses).sum().item()} | {
        name: [round(x, 4) for x in values.tolist()] for name, values in figures.items()
    }


def prune(steps: int) -> None:
    generator = torch.Generator().manual_seed(SEED)
    batches, target = Batches(), load_pair().target
    references = batches.losses(target)
    print("target", references.tolist(), "shares", batches.natural.tolist(), flush=True)
    model = load_pair().target.requires_grad_(True)
    masks = LearnedMasks(model.config, TARGET_SHAPE, round(WARMUP * steps))
    state = State(model, masks, batches.natural, steps)

    def masked(z: StructuredMasks):
        weights = masked_weights(model, z) | masked_gains(model, z)
        return lambda tokens: functional_call(model, weights, (tokens,))

    def loss_at(step: int) -> Tensor:
        loss = next_token_loss(masked(masks.sample(generator)), batches.draw(state.weights, step))
        with torch.no_grad():
            targets = masks.targets(step)
            rows = [
                [s.mean().item(), targets[n], *masks.multipliers[n].tolist()] for n, s in masks.sparsities().items()
            ]
            state.trace[step] = torch.tensor([loss.item(), *(x for row in rows for x in row)])
        return loss + masks.penalty(step)

    def evaluate() -> dict[str, Any]:
        shares = {name: round(s.mean().item(), 3) for name, s in masks.sparsities().items()}
        pairs = {name: [round(x, 2) for x in pair.tolist()] for name, pair in masks.multipliers.items()}
        with torch.no_grad():
            found = held_out(batches, state.weights, masked(masks.settled()), references)
        return found | {"sparsity": shares, "multipliers": pairs}

    log = run(
        state, MinMax(model, masks, RATES["prune"][0]), loss_at, evaluate, steps, generator, FOLDER / "prune", EVERY
    )
    settled = masks.settled()
    small = sliced_model(model, settled).eval()
    save(small, FOLDER / "prune" / FILE)
    record = {
        "shares": batches.natural.tolist(),
        "target": held_out(batches, batches.natural, target, None),
        "prune": log,
        "sliced": held_out(batches, state.weights, small, None),
        "kept": {name: getattr(settled, name).nonzero().tolist() for name in ("layers", "heads")},
        "trace": [[round(x, 4) for x in row] for row in state.trace.tolist()],
    }
    (FOLDER / "pruned.json").write_text(json.dumps(record))


def train_on(kind: str, steps: int) -> None:
    """The sliced model on batches that its own losses choose, or a new one of its shape on all batches of both runs."""
    pruned = json.loads((FOLDER / "pruned.json").read_text())
    batches, before = Batches(), len(pruned["trace"])
    small = load(Llama, FOLDER / "prune" / FILE)
    torch.manual_seed(SEED)
    model = (small if kind == "continue" else Llama(small.config)).requires_grad_(True)
    state = State(model, None, torch.tensor(pruned["sliced"]["weights"]), 1)
    references = torch.tensor(pruned["target"]["of sources"])
    drawn_by = [{"step": 0, "weights": pruned["shares"]}, *pruned["prune"]]
    if kind == "scratch":
        lines = [json.loads(line) for line in (FOLDER / "continue" / "log.jsonl").read_text().splitlines()]
        drawn_by += [line | {"step": line["step"] + before} for line in lines]

    def loss_at(step: int) -> Tensor:
        if kind == "continue":
            return next_token_loss(model, batches.draw(state.weights, before + step))
        weights = [line["weights"] for line in drawn_by if line["step"] <= step][-1]
        return next_token_loss(model, batches.draw(torch.tensor(weights), step))

    def evaluate() -> dict[str, Any]:
        return held_out(batches, state.weights, model, references if kind == "continue" else None)

    optimizer, generator = Optimizer(model, *RATES[kind]), torch.Generator()
    run(state, optimizer, loss_at, evaluate, steps, generator, FOLDER / kind, EVERY)
    save(model.eval(), FOLDER / kind / FILE)


def export() -> None:
    """The weights; the log keeps losses, masks and multipliers of every run, the seed and the versions."""
    SHEARED_FOLDER.mkdir(parents=True, exist_ok=True)
    log = {"seed": SEED, "torch": torch.__version__, "python": platform.python_version(), "device": "cpu"}
    log |= {"tokens a step": ROWS * (LENGTH - 1), "rates": RATES} | json.loads((FOLDER / "pruned.json").read_text())
    for kind in ("continue", "scratch"):
        log[kind] = [json.loads(line) for line in (FOLDER / kind / "log.jsonl").read_text().splitlines()]
    save(load(Llama, FOLDER / "continue" / FILE), SHEARED_FOLDER / "sheared.safetensors", int8=True)
    (SHEARED_FOLDER / "log.json").write_text(json.dumps(log) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=["prune", "continue", "scratch", "export"])
    parser.add_argument("--steps", type=int, help="optimizer steps")
    arguments = parser.parse_args()
    if arguments.stage != "export" and not arguments.steps:
        parser.error(f"{arguments.stage} needs --steps")
    match arguments.stage:
        case "prune":
            prune(arguments.steps)
        case "export":
            export()
        case kind:
            train_on(kind, arguments.steps)


if __name__ == "__main__":
    main()
