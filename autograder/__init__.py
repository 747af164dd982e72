"""The autograder: a folder for each level of trust, and `check.py`, all that a notebook imports.

A student's code runs in the sandbox (`worker`) and in the student's own notebook, never beside a secret. `judge` makes
the inputs, holds what is expected and the clock; `controller` starts judges and writes what is graded. ROOMS says of
each folder who runs it where and whose modules it may import; `tests/test_layering.py` holds every module to it. What
is copied into the sandbox, what stands behind the judge's version and what students get are read from it as well.
What a folder of `tasks/` holds, and what of it ships, stands in `checks/task_files.py`.
"""

from typing import NamedTuple

SANDBOX, NODE, STUDENT = "sandbox", "node", "student"  # a GPU node lacks nbgrader and its like; a student has a zip


class Room(NamedTuple):
    """A folder: what it is, where it runs beside the instructor's account, which has all, and what it may import.

    `imports` names rooms, or single modules of a room.
    """

    what: str
    places: frozenset[str]
    imports: tuple[str, ...] = ()


def _places(*names: str) -> frozenset[str]:
    return frozenset(names)


ROOMS = {
    "wire": Room("what both sides of a boundary agree on", _places(SANDBOX, NODE, STUDENT)),
    "runtime": Room("what stands beside a student's code while it runs", _places(SANDBOX, NODE, STUDENT), ("wire",)),
    "worker": Room(
        "UNTRUSTED once the cell runs: serves the judge's calls", _places(SANDBOX, NODE), ("wire", "runtime")
    ),
    "cells": Room("notebooks and cells as text, read and never run", _places(NODE, STUDENT), ("wire", "runtime")),
    "checks": Room("what a check is written with", _places(NODE, STUDENT), ("wire", "runtime", "cells")),
    "judge": Room("TRUSTED: inputs, clock and verdict", _places(NODE), ("wire", "runtime", "cells", "checks")),
    "student": Room("hints, a fresh start, all visible checks", _places(STUDENT), ("wire", "cells", "check")),
    "controller": Room(
        "TRUSTED: submissions, judge runs, ledger, gradebook, record, releases",
        _places(),
        ("wire", "cells", "checks", "judge.job", "judge.version"),
    ),
    "reports": Room("pages, exports and tables of what is on record", _places(), ("wire", "cells", "controller")),
    "assurance": Room(
        "the grader graded: sample class, mutants, exploits, guarantees",
        _places(),
        ("wire", "cells", "checks", "judge", "controller"),
    ),
    "cli": Room("the command line", _places(), ("wire", "cells", "controller", "reports", "assurance", "student")),
}
LONE = {  # modules beside the rooms: where they run, and what they may import
    "__init__": Room("this map", _places(SANDBOX, NODE, STUDENT)),
    "__main__": Room("`python -m autograder`", _places(), ("cli",)),
    "check": Room("what a notebook imports", _places(STUDENT), ("wire", "runtime", "cells", "checks", "student")),
}


def rooms_in(place: str) -> tuple[str, ...]:
    """The folders that there are in a place."""
    return tuple(name for name, room in ROOMS.items() if place in room.places)
