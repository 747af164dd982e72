"""What of lib a worker sees: what an exercise lists, and nothing that lib gains later."""

from pathlib import Path

import pytest

from autograder.judge.workspace import Workspace

MODULES = ("one/__init__", "one/solver", "one/helper", "one/deep/__init__", "one/deep/a", "one/deep/b", "two/__init__")


@pytest.fixture
def space(tmp_path: Path):
    for name in MODULES:
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    (tmp_path / "one" / "data").mkdir()
    (tmp_path / "one" / "data" / "weights.bin").write_bytes(b"")
    with Workspace(tmp_path) as workspace:
        yield workspace


def test_all_that_is_not_listed_is_masked(space: Workspace) -> None:
    assert space.all_but(["one.helper", "one.deep.a"]) == ("one.deep.b", "one.solver", "two")
    assert space.all_but(["one"]) == ("two",)
    assert space.all_but(["one.deep", "two"]) == ("one.helper", "one.solver")
    assert space.all_but([]) == ("one", "two")


def test_a_module_that_lib_gains_is_masked(space: Workspace, tmp_path: Path) -> None:
    (tmp_path / "one" / "faster_solver.py").write_text("")
    assert "one.faster_solver" in space.all_but(["one.helper"])


def test_a_listed_module_that_does_not_exist_is_named(space: Workspace) -> None:
    with pytest.raises(ValueError, match=r"one\.helpr"):
        space.all_but(["one.helpr"])


def test_views_of_different_masks_do_not_mix(space: Workspace) -> None:
    first, second = space.view(["one.solver"]), space.view(["one.helper"])
    assert "raise ImportError" in (first / "one" / "solver.py").read_text()
    assert (second / "one" / "solver.py").read_text() == ""
