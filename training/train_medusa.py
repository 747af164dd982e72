"""Train Medusa heads on the committed target, which stays as it is: Medusa-1 (Cai et al., 2024, arXiv:2401.10774).

python training/train_medusa.py data                let the target write text and keep its hidden states
python training/train_medusa.py heads --steps N     train the heads on these; run it again to resume
python training/train_medusa.py export              put the heads, their accuracies and the log beside lib's loader

The target reads every row once; the heads then learn from its stored hidden states, so a step costs the heads alone.
"""

import argparse
import json
import platform
import shutil

import torch
import torch.nn.functional as F

from language_model import Optimizer, random_crops, run, track
from nimblelm.inference.decoding.cache import KVCache
from nimblelm.inference.decoding.sampling import Sampling, probabilities, sample
from nimblelm.inference.medusa.heads import HEADS_FOLDER, MedusaHeads
from nimblelm.inference.speculative.pair import load_pair
from nimblelm.language.llama import Llama
from nimblelm.nn.checkpoint import load, save
from train_pair import RUNS, SEED, streams

NUM_HEADS, DECAY, PEAK_RATE = 4, 0.8, 1e-3  # the loss of head k counts DECAY^k
PROMPT, LENGTH, TOP = 64, 160, 10
ROWS = {"train": {"corpus": 512, 0.0: 1024, 1.0: 256}, "held_out": {0.0: 48, 1.0: 48}}  # by what wrote them
POSITIONS = 2048  # a step
FOLDER, FILE = RUNS / "medusa", "heads.safetensors"


class AdamW(Optimizer):
    """One rate for all weights."""

    def __init__(self, heads: MedusaHeads):
        self.parts = [torch.optim.AdamW(heads.parameters(), betas=(0.9, 0.95), weight_decay=0.0)]
        self.peaks = [PEAK_RATE]


@torch.inference_mode()
def written(target: Llama, prompts: torch.Tensor, temperature: float, generator: torch.Generator) -> torch.Tensor:
    """(N, LENGTH) rows that the target wrote after the prompts: it is its own text that heads must guess."""
    tokens, cache = prompts, KVCache.allocate(target, LENGTH, batch_size=len(prompts))
    logits = target(tokens, cache.at(0, tokens.shape[1]))[:, -1]
    for _ in track(range(LENGTH - tokens.shape[1]), f"text at temperature {temperature}"):
        drawn = sample(probabilities(logits, Sampling(temperature)), generator)[:, None]
        logits = target(drawn, cache.at(tokens.shape[1], 1))[:, -1]
        tokens = torch.cat([tokens, drawn], dim=1)
    return tokens


@torch.inference_mode()
def make_data() -> None:
    """Rows of the corpus, and rows that the target wrote after it: mostly greedily, where its choices are sharpest."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    target = load_pair().target
    for (name, rows), stream, seed in zip(ROWS.items(), streams(), (SEED + 3, SEED + 4), strict=True):
        generator, parts = torch.Generator().manual_seed(seed), []
        for temperature, count in rows.items():
            if isinstance(temperature, str):
                parts.append(random_crops(stream, count, LENGTH, generator))
                continue
            for prompts in random_crops(stream, count, PROMPT, generator).split(256):
                parts.append(written(target, prompts, temperature, generator))
        tokens = torch.cat(parts)
        with torch.autocast("cpu", torch.bfloat16):
            states = [target.states(target.embed(part)).half() for part in track(tokens.split(8), f"{name} states")]
        torch.save((tokens, torch.cat(states)), FOLDER / f"{name}.pt")


def ahead(tokens: torch.Tensor) -> torch.Tensor:
    """(N, L - 1 - K, K): for each position t the tokens t + 2 .. t + 1 + K, which heads 1 .. K are to guess."""
    return tokens[:, 2:].unfold(1, NUM_HEADS, 1)


def top_accuracies(heads: MedusaHeads, tokens: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
    """(K, TOP): share of positions at which head k's guess of that rank is the token that came, in written text."""
    labels = ahead(tokens)[:, PROMPT:].flatten(0, 1)  # (N, K)
    hidden = states[:, PROMPT : states.shape[1] - 1 - NUM_HEADS].flatten(0, 1).float()
    with torch.inference_mode():
        guesses = heads(hidden).topk(TOP).indices  # (K, N, TOP)
    return (guesses == labels.T[..., None]).float().mean(1)


def train_heads(steps: int) -> None:
    tokens, states = torch.load(FOLDER / "train.pt", weights_only=True)
    held_out = torch.load(FOLDER / "held_out.pt", weights_only=True)
    labels = ahead(tokens).flatten(0, 1)
    hidden = states[:, : labels.shape[0] // len(tokens)].flatten(0, 1)
    torch.manual_seed(SEED)
    heads = MedusaHeads.of_model(load_pair().target, NUM_HEADS).requires_grad_(True)
    weights = DECAY ** torch.arange(1, NUM_HEADS + 1)
    generator = torch.Generator().manual_seed(SEED)

    def evaluate() -> dict[str, float]:
        greedy, sampled = (top_accuracies(heads, *(part.chunk(2)[i] for part in held_out))[:, 0] for i in (0, 1))
        figures = {"greedy": greedy.tolist(), "T=1": sampled.tolist()}
        return {f"held_out_top1 head {k + 1} {name}": v[k] for name, v in figures.items() for k in range(NUM_HEADS)}

    def loss_at(step: int) -> torch.Tensor:
        picked = torch.randint(len(hidden), (POSITIONS,), generator=generator)
        with torch.autocast("cpu", torch.bfloat16):
            logits = heads(hidden[picked].float())
        losses = [F.cross_entropy(logits[k].float(), labels[picked, k]) for k in range(NUM_HEADS)]
        return (weights * torch.stack(losses)).sum()

    run(heads, AdamW(heads), loss_at, evaluate, steps, generator, FOLDER)
    save(heads, FOLDER / FILE, int8=True)


def export() -> None:
    """The heads; how often each rank is right, on greedy held-out text; the log with the seed and the versions."""
    HEADS_FOLDER.mkdir(parents=True, exist_ok=True)
    shutil.copy(FOLDER / FILE, HEADS_FOLDER / FILE)
    heads, held_out = load(MedusaHeads, FOLDER / FILE), torch.load(FOLDER / "held_out.pt", weights_only=True)
    texts = {"greedy": 0, "temperature 1": 1}
    shares = {name: top_accuracies(heads, *(part.chunk(2)[i] for part in held_out)) for name, i in texts.items()}
    rounded = {name: [[round(x, 4) for x in row] for row in table.tolist()] for name, table in shares.items()}
    (HEADS_FOLDER / "accuracies.json").write_text(json.dumps(rounded, indent=1) + "\n")
    log = {"seed": SEED, "torch": torch.__version__, "python": platform.python_version(), "device": "cpu"}
    log["heads"] = [json.loads(line) for line in (FOLDER / "log.jsonl").read_text().splitlines()]
    (HEADS_FOLDER / "log.json").write_text(json.dumps(log, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=["data", "heads", "export"])
    parser.add_argument("--steps", type=int, help="optimizer steps; a resumed run may name another number")
    arguments = parser.parse_args()
    if arguments.stage == "heads" and not arguments.steps:
        parser.error("heads needs --steps")
    match arguments.stage:
        case "data":
            make_data()
        case "heads":
            train_heads(arguments.steps)
        case "export":
            export()


if __name__ == "__main__":
    main()
