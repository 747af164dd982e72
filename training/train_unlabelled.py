"""Labels against a teacher's distributions, and against a teacher on pictures that nobody labelled: digits of 8 x 8.

python training/train_unlabelled.py      one minute; results beside lib's loader
"""

import json
from collections.abc import Callable
from statistics import mean
from typing import Any

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn

from language_model import say
from nimblelm.compression.distillation.generations import UNLABELLED
from nimblelm.compression.distillation.soft_targets import blended_loss, distillation_loss

HELD_OUT, LABELLED, STEPS, SEEDS = 600, 60, 250, 5
TEMPERATURE, ALPHA = 4.0, 0.9
TEACHER_WIDTH, STUDENT_WIDTH = 128, 16


def trained(width: int, seed: int, loss: Callable[[nn.Module], Tensor]) -> nn.Module:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss(model).backward()
        optimizer.step()
    return model.eval()


def main() -> None:
    found: Any = load_digits()
    x, y = torch.tensor(found.data / 16, dtype=torch.float32), torch.tensor(found.target)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    test, few, rest = order.split([HELD_OUT, LABELLED, len(x) - HELD_OUT - LABELLED])
    seen = torch.cat([few, rest])

    def right(model: nn.Module) -> float:
        with torch.no_grad():
            return (model(x[test]).argmax(-1) == y[test]).float().mean().item()

    teacher = trained(TEACHER_WIDTH, 0, lambda m: F.cross_entropy(m(x[seen]), y[seen]))
    with torch.no_grad():
        wanted = teacher(x)
    losses: dict[str, Callable[[nn.Module], Tensor]] = {
        "60 labels": lambda m: F.cross_entropy(m(x[few]), y[few]),
        "60 labels and the teacher on them": lambda m: blended_loss(m(x[few]), wanted[few], y[few], TEMPERATURE, ALPHA),
        "the teacher on the rest, no label": lambda m: distillation_loss(m(x[rest]), wanted[rest], TEMPERATURE),
        "its top-one labels on the rest": lambda m: F.cross_entropy(m(x[rest]), wanted[rest].argmax(-1)),
        "all labels": lambda m: F.cross_entropy(m(x[seen]), y[seen]),
    }
    results: dict[str, Any] = {"teacher": round(right(teacher), 4), "held out": HELD_OUT, "rest": len(rest)}
    results |= {"temperature": TEMPERATURE, "alpha": ALPHA, "widths": [TEACHER_WIDTH, STUDENT_WIDTH]}
    for name, loss in losses.items():
        say(name)
        scores = [right(trained(STUDENT_WIDTH, seed, loss)) for seed in range(1, SEEDS + 1)]
        results[name] = [round(value, 4) for value in (mean(scores), min(scores), max(scores))]
    UNLABELLED.parent.mkdir(parents=True, exist_ok=True)
    UNLABELLED.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
