"""What was measured of drafts that were trained in different ways, for pages."""

import json
from pathlib import Path
from typing import Any

from nimblelm import data

DRAFTS_FOLDER = Path(data.__file__).parent / "checkpoints" / "distilled_drafts"


def load_draft_results() -> dict[str, Any]:
    """Acceptance and speedup of each draft, written by `training/distill_drafts.py`.

    Chapter: book/ch07_distillation
    """
    return json.loads((DRAFTS_FOLDER / "results.json").read_text())
