"""What a check is written with: `from autograder.checks import check, expect_close, ...`."""

from autograder.checks.calls import Call, LocalCall
from autograder.checks.differences import known_mistake
from autograder.checks.draws import Draws, generator, integer
from autograder.checks.expect import (
    MISSING_RETURN,
    CheckFailed,
    expect_close,
    expect_distribution,
    expect_equal,
    expect_parts,
    expect_tensor,
    explained,
    fail,
)
from autograder.checks.statistics import chi_square_test, draws_needed
from autograder.checks.task import (
    UNUSABLE,
    Check,
    Exercise,
    Outcome,
    Speed,
    Task,
    Trial,
    check,
    load_task,
    run_check,
    seed,
    speed_check,
    unusable,
)
from autograder.wire.values import Callback, Remote, Seed

__all__ = [
    "MISSING_RETURN",
    "UNUSABLE",
    "Call",
    "Callback",
    "Check",
    "CheckFailed",
    "Draws",
    "Exercise",
    "LocalCall",
    "Outcome",
    "Remote",
    "Seed",
    "Speed",
    "Task",
    "Trial",
    "check",
    "chi_square_test",
    "draws_needed",
    "expect_close",
    "expect_distribution",
    "expect_equal",
    "expect_parts",
    "expect_tensor",
    "explained",
    "fail",
    "generator",
    "integer",
    "known_mistake",
    "load_task",
    "run_check",
    "seed",
    "speed_check",
    "unusable",
]
