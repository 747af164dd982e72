"""What was measured of models that learn from models' labels and from models' text, for pages."""

import json
from pathlib import Path
from typing import Any

from nimblelm import data

GENERATIONS_FOLDER = Path(data.__file__).parent / "checkpoints" / "generations"
UNLABELLED = GENERATIONS_FOLDER / "unlabelled.json"


def load_generations() -> dict[str, Any]:
    """Losses and vocabularies of each generation, written by `training/train_generations.py`.

    Chapter: book/ch07_distillation
    """
    return json.loads((GENERATIONS_FOLDER / "results.json").read_text())


def load_unlabelled() -> dict[str, Any]:
    """Accuracies of students with and without labels, written by `training/train_unlabelled.py`.

    Chapter: book/ch07_distillation
    """
    return json.loads(UNLABELLED.read_text())
