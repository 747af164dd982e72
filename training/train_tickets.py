"""Small networks for chapter 6: lottery tickets on digits, and Du and Lee's width on random points.

python training/train_tickets.py          a few minutes, resumable; writes results.json beside the checkpoints
"""

import itertools
import json
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits

from language_model import say, track
from nimblelm import data
from nimblelm.compression.pruning.lottery import Weights, find_tickets, masked, shuffled
from nimblelm.compression.pruning.overparameterized import fit_quadratic, sufficient_width
from train_pair import RUNS

FILE = Path(data.__file__).parent / "checkpoints" / "small_networks" / "results.json"
PARTS = RUNS / "tickets"
SEEDS, WIDTHS, TRAINED_ON = 5, (64, 300, 100, 10), 1200
STEPS, BATCH, RATE, ROUNDS, SHARE = 300, 60, 2e-3, 10, 0.35
POINTS, UNITS, INPUTS, TRIALS = (5, 10, 16, 24, 32, 42), tuple(range(1, 11)), 10, 12
FIT_STEPS, NEAR = 1500, 1e-3  # how near to the best, in shares of the labels' mean square, counts as found


def once(name: str, make: Callable[[], Any]) -> Any:
    """What `make` gives, from the file of an earlier run where there is one."""
    file = PARTS / f"{name}.json"
    if not file.exists():
        PARTS.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(make()))
    return json.loads(file.read_text())


def digits() -> tuple[torch.Tensor, ...]:
    """8 x 8 pictures of digits from sklearn, 0 to 1, shuffled once: to train on, their labels, held out, theirs."""
    found: Any = load_digits()
    order = torch.randperm(len(found.target), generator=torch.Generator().manual_seed(0))
    pictures, labels = torch.tensor(found.data).float()[order] / 16, torch.tensor(found.target)[order]
    return pictures[:TRAINED_ON], labels[:TRAINED_ON], pictures[TRAINED_ON:], labels[TRAINED_ON:]


def initial(seed: int) -> Weights:
    """Glorot's normal initialisation, as the paper's; no biases."""
    generator = torch.Generator().manual_seed(seed)
    pairs = itertools.pairwise(WIDTHS)
    return {
        f"layer {i}": torch.randn(b, a, generator=generator) * (2 / (a + b)) ** 0.5 for i, (a, b) in enumerate(pairs)
    }


def logits(weights: Weights, x: torch.Tensor) -> torch.Tensor:
    *hidden, last = weights.values()
    for weight in hidden:
        x = F.relu(x @ weight.T)
    return x @ last.T


def train(weights: Weights, masks: Weights, seed: int, steps: int = STEPS) -> Weights:
    """Adam on random batches; the masks multiply the weights, so no gradient reaches what is gone."""
    pictures, labels, *_ = digits_once
    generator = torch.Generator().manual_seed(seed)
    learned = {name: weight.clone().requires_grad_(True) for name, weight in weights.items()}
    optimizer = torch.optim.Adam(learned.values(), lr=RATE)
    for _ in range(steps):
        rows = torch.randint(len(pictures), (BATCH,), generator=generator)
        now = {name: weight * masks[name] for name, weight in learned.items()}
        optimizer.zero_grad()
        F.cross_entropy(logits(now, pictures[rows]), labels[rows]).backward()
        optimizer.step()
    return masked({name: weight.detach() for name, weight in learned.items()}, masks)


def accuracy(weights: Weights) -> float:
    *_, pictures, labels = digits_once
    return (logits(weights, pictures).argmax(-1) == labels).float().mean().item()


def lottery(seed: int) -> list[dict]:
    """Held-out accuracy after each round: of the ticket, of its mask with new weights, of a random mask."""
    start = initial(seed)
    tickets = find_tickets(start, lambda weights, masks: train(weights, masks, seed), ROUNDS, SHARE)
    lines = []
    for masks in tickets:
        scattered = shuffled(masks, torch.Generator().manual_seed(seed))
        starts = {
            "ticket": (start, masks),
            "new weights": (initial(1000 + seed), masks),
            "random mask": (start, scattered),
        }
        total = sum(mask.numel() for mask in masks.values())
        found = {name: accuracy(train(masked(w, m), m, seed)) for name, (w, m) in starts.items()}
        lines.append({"kept": sum(int(mask.sum()) for mask in masks.values()) / total} | found)
    return lines


def width_needed(n: int) -> list[dict]:
    """Share of random starts from which Adam finds the global optimum over n points, for each number of units k.

    The labels are random numbers above 0. The best of all starts and widths is taken as the optimum: from k = INPUTS on
    there are no worse local minima.
    """
    generator = torch.Generator().manual_seed(n)
    x = torch.randn(TRIALS, n, INPUTS, generator=generator, dtype=torch.float64)
    y = torch.randn(TRIALS, n, generator=generator, dtype=torch.float64).square()
    starts = [torch.randn(TRIALS, k, INPUTS, generator=generator, dtype=torch.float64) for k in UNITS]
    errors = torch.stack([fit_quadratic(x, y, W / (INPUTS * W.shape[1]) ** 0.5, FIT_STEPS, rate=0.03) for W in starts])
    found = ((errors - errors.min(0).values) / y.square().mean(-1) < NEAR).double().mean(-1).tolist()
    return [
        {"points": n, "units": k, "found": share, "sufficient": k >= sufficient_width(n)}
        for k, share in zip(UNITS, found, strict=True)
    ]


def main() -> None:
    torch.set_num_threads(1)
    tickets = [once(f"seed {seed}", lambda seed=seed: lottery(seed)) for seed in track(range(SEEDS), "tickets")]
    for line in zip(*tickets, strict=True):
        say(str({name: round(sum(one[name] for one in line) / SEEDS, 3) for name in line[0]}))
    widths = [line for n in track(POINTS, "widths") for line in once(f"points {n}", lambda n=n: width_needed(n))]
    settings = {
        "seeds": SEEDS,
        "widths": WIDTHS,
        "trained on": TRAINED_ON,
        "steps": STEPS,
        "batch": BATCH,
        "rate": RATE,
    }
    record = {
        "torch": torch.__version__,
        "python": platform.python_version(),
        "lottery": {"settings": settings | {"share that goes": SHARE}, "seeds": tickets},
        "quadratic": {"inputs": INPUTS, "trials": TRIALS, "near": NEAR, "cells": widths},
    }
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(json.dumps(record) + "\n")


digits_once = digits()

if __name__ == "__main__":
    main()
