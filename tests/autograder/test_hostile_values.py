"""No value, whatever the arguments, earns a point or breaks a check."""

import math
from typing import Any

import pytest
import torch

from autograder.checks import UNUSABLE, Check, CheckFailed, Draws, load_task, run_check
from autograder.checks.calls import Call
from autograder.controller.course import Course
from tests.autograder.toy import ROOT

COURSE = Course(ROOT)
TASKS = {name: load_task(COURSE.tasks(name)) for name in COURSE.assignments()}
CHECKS = [one for task in TASKS.values() for checks in task.checks.values() for one in checks]
NAN = torch.full((3,), math.nan)


def nested(depth: int) -> list:
    tree: list = []
    for _ in range(depth):
        tree = [tree]
    return tree


VALUES: dict[str, Any] = {
    "nothing": None,
    "true": True,
    "a huge number": 2**63 - 1,
    "a number beyond float32": 1e300,
    "not a number": math.nan,
    "infinity": -math.inf,
    "a text": "passed",
    "a long text": "passed " * 9000,
    "an empty list": [],
    "a deep list": nested(14),
    "a list of everything": [None, True, 1.5, "x", NAN, {"a": ()}],
    "many values": list(range(40_000)),
    "an empty dict": {},
    "a dict with all names": {
        name: NAN for name in ("tokens", "num_accepted", "draft_tokens", "score", "passed", "rounds")
    },
    "a round of texts": {"tokens": "0", "num_accepted": "0", "draft_tokens": "0"},
    "a round of wholes": {
        "tokens": torch.arange(3),
        "num_accepted": torch.tensor(10**12),
        "draft_tokens": torch.arange(2),
    },
    "a scalar tensor": torch.tensor(1e30),
    "an empty tensor": torch.zeros(0),
    "an impossible tensor": torch.zeros(0, 5, 0),
    "tokens out of range": torch.full((25,), 2**62),
    "negative tokens": torch.full((25,), -1),
    "a large tensor": torch.zeros(2**20, dtype=torch.uint8),
    "many dimensions": torch.zeros(1, 1, 1, 1, 1, 1, 1, 1),
    "bfloat16": torch.full((4,), math.nan, dtype=torch.bfloat16),
    "booleans": torch.ones(9, dtype=torch.bool),
    "NaN": NAN,
    "a pair of NaN": (NAN, NAN),
    "three of infinity": (torch.full((6, 4), math.inf),) * 3,
    "a pair of texts": ("a", "b"),
}


class Returning(Call):
    """A student whose every function returns the same."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value

    def _request(self, name: str, args: tuple, kwargs: dict, repeat: int | None, part: Any) -> Any:
        return self.value


@pytest.mark.parametrize(
    "one", [one for one in CHECKS if one.speed is None], ids=lambda one: f"{one.exercise}:{one.name}"
)
def test_no_value_earns_a_point_or_breaks_a_check(one: Check) -> None:
    passed = []
    for name, value in VALUES.items():
        outcome = run_check(one, Returning(value), Draws(b"key", one.name))
        assert len(outcome.message) < 1500, name
        passed += [name] if outcome.passed and one.points else []
    assert passed == []


@pytest.mark.parametrize("one", [one for one in CHECKS if one.speed is not None], ids=lambda one: one.name)
def test_no_value_passes_for_the_answer_of_a_timed_call(one: Check) -> None:
    trial = one.run(Draws(b"key", one.name, 0))
    for value in VALUES.values():
        with pytest.raises((CheckFailed, *UNUSABLE)):
            trial.verify(value)
