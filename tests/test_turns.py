"""Whoever is alone has nobody beside them, and does not wait for ever."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ALONE, FIRST, TOGETHER

ROOT = Path(__file__).resolve().parents[1]
WORKER = """
import sys, time
from pathlib import Path
from tests.turns import Turns
folder, alone = Path(sys.argv[1]), sys.argv[2] == "alone"
turns = Turns(folder)
for _ in range(int(sys.argv[3])):
    with turns.turn(alone):
        inside = folder / f"inside-{sys.argv[2]}-{sys.argv[4]}"
        inside.touch()
        seen = {path.name for path in folder.glob("inside-*")} - {inside.name}
        time.sleep(0.01)
        print("with alone" if any("inside-alone" in name for name in seen) else "beside" if seen else "by itself")
        inside.unlink()
"""


def start(folder: Path, kind: str, turns: int, name: int) -> subprocess.Popen:
    command = [sys.executable, "-c", WORKER, str(folder), kind, str(turns), str(name)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_nobody_is_beside_one_who_is_alone_and_others_are_beside_each_other(tmp_path):
    others = [start(tmp_path, "shared", 60, name) for name in range(2)]
    alone = start(tmp_path, "alone", 10, 2)
    seen_alone = alone.communicate(timeout=60)[0].splitlines()
    seen = [line for one in others for line in one.communicate(timeout=60)[0].splitlines()]
    assert seen_alone == ["by itself"] * 10
    assert "with alone" not in seen
    assert "beside" in seen


FORKER = """
import os, sys, time
from pathlib import Path
from tests.turns import Turns
with Turns(Path(sys.argv[1])).turn(alone=True):
    if os.fork() == 0:
        time.sleep(60)
    os.abort()
"""


def test_what_a_worker_forked_does_not_keep_its_turn_when_it_dies(tmp_path):
    parent = subprocess.Popen([sys.executable, "-c", FORKER, str(tmp_path)], cwd=ROOT, start_new_session=True)
    try:
        assert parent.wait(30) != 0
        assert start(tmp_path, "alone", 1, 0).communicate(timeout=30)[0] == "by itself\n"
    finally:
        os.killpg(parent.pid, signal.SIGKILL)


@pytest.mark.parametrize("name", sorted({*ALONE, *FIRST, *TOGETHER}))
def test_files_that_run_in_a_way_of_their_own_exist(name):
    assert (ROOT / "tests" / name).is_file()
