"""The job file: what the controller gives to a judge."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parents[1]


class BadJob(Exception):
    """The job file cannot be done as it is."""


@dataclass(frozen=True)
class JobLimits:
    """What a job may set beside the limits of a worker."""

    check_s: float = 20.0
    speed: bool = True


@dataclass(frozen=True)
class JobFile:
    """One submission to judge; the fields are those of the job file."""

    assignment: str
    key: str
    run_key: str
    cells: dict[str, str | None]
    exercises: list[str] | None = None
    hidden: bool = True
    sandbox: bool = True
    limits: dict[str, Any] = field(default_factory=dict)
    audit: str | None = None
    tasks: str = str(PACKAGE / "tasks")
    lib: str = str(PACKAGE.parent / "lib")

    @classmethod
    def read(cls, path: Path) -> "JobFile":
        """Read a job file; raises BadJob."""
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise BadJob(f"{path}: {error}") from None
