"""What a worker is to run, and what holds it."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Program:
    """What runs in a worker: the task's setup, injected names ("module:attribute"), then a cell, if there is one.

    Where it is to hold Triton `kernels`, interpreted ones are kept within their tensors, see `triton_bounds`.
    """

    name: str
    setup: str
    injects: Mapping[str, str] = field(default_factory=dict)
    source: str | None = None
    kernels: bool = False


@dataclass(frozen=True)
class Guard:
    """What the self-test inside a sandbox must not reach, and how long code may run."""

    paths: tuple[str, ...]
    masks: tuple[str, ...]
    check_s: float
    total_s: float
