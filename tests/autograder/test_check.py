"""The visible checks in a notebook: they say what is wrong, stop nothing and show nothing hidden."""

import numpy as np
import pytest
import torch

from autograder import check as module
from autograder.check import Checker
from autograder.checks.calls import LocalCall
from autograder.runtime.device import Cuda
from tests.autograder.toy import TOY, Toy


@pytest.fixture
def check(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> Checker:
    monkeypatch.setattr(module, "__file__", str(toy.course.package / "check.py"))
    return Checker(TOY)


def test_right_answer_passes_and_says_so(check: Checker, capsys: pytest.CaptureFixture[str]) -> None:
    report = check("add", lambda a, b: a + b)
    assert report.passed
    assert capsys.readouterr().out == (
        "✓ One and two make three.\nAddition: 1 of 1 visible checks passed. The hidden ones run when it is graded.\n"
    )
    assert (
        repr(report)
        in "✓ One and two make three.\nAddition: 1 of 1 visible checks passed. The hidden ones run when it is graded."
    )


def test_wrong_answer_says_what_was_misunderstood(check: Checker, capsys: pytest.CaptureFixture[str]) -> None:
    report = check("add", lambda a, b: a - b)
    assert not report.passed
    out = capsys.readouterr().out
    assert "✗ One and two make three.\n    add gives something else for 1 and 2 (got=-1, want=3)" in out
    assert "0 of 1" in out


def _stub(a: int) -> int:
    raise NotImplementedError


def _unequal(a: int) -> float:
    return float("nan")


def _exits(a: int) -> int:
    raise SystemExit(0)


def _empty_record(a: int) -> object:
    class Record(tuple):
        def _asdict(self) -> None:
            raise AttributeError("no fields")

    return Record()


UNSHOWABLE = [
    lambda a: torch.zeros(5, device="meta"),
    lambda a: torch.zeros(1).expand(2**45),
    lambda a: np.clongdouble(6),
    _empty_record,
]


@pytest.mark.parametrize(
    "answer", [_stub, _unequal, _exits, None, 3, lambda: 8, lambda a: object(), lambda a: 1 << 99, *UNSHOWABLE]
)
def test_no_answer_whatever_stops_the_notebook(check: Checker, answer: object) -> None:
    assert not check("double", answer).passed


def test_a_wide_number_of_numpys_is_a_number() -> None:
    got = LocalCall({"f": lambda: [np.longdouble(6), np.float16(1.5), np.uint8(3)]})("f")
    assert [(type(one), one) for one in got] == [(float, 6.0), (float, 1.5), (int, 3)]


def test_hidden_checks_are_not_run_here(check: Checker, toy: Toy, capsys: pytest.CaptureFixture[str]) -> None:
    (toy.course.tasks(TOY) / "checks" / "add.py").write_text("raise SystemExit('a student must not need this')")
    Checker(TOY).hidden("add")
    assert "where the autograder grades" in capsys.readouterr().out


def test_unknown_names_are_told_with_the_known(check: Checker) -> None:
    with pytest.raises(ValueError, match=r"no assignment 'a91' here; known: a90_toy"):
        Checker("a91")
    with pytest.raises(ValueError, match=r"no exercise 'divide'; known: add, double"):
        check("divide", min)
    with pytest.raises(ValueError, match=r"needs add; got 2 functions"):
        check("add", min, max)


def test_a_notebook_shows_the_report_once(check: Checker) -> None:
    from IPython.core.formatters import DisplayFormatter

    report = check("add", lambda a, b: a + b)
    assert DisplayFormatter().format(report) == ({}, {})


def test_a_loop_without_end_is_stopped_and_named(check: Checker, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 0.2)

    def add(a, b):
        while True:
            pass

    assert not check("add", add).passed
    assert "Still running after 0.2 s and stopped" in capsys.readouterr().out


def test_what_needs_a_gpu_is_not_run_without_one_and_says_what_that_means(
    toy: Toy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    task = toy.course.tasks(TOY) / "task.toml"
    task.write_text(task.read_text().replace('id = "double"', 'id = "double"\nneeds = "gpu"'))
    monkeypatch.setattr(module, "__file__", str(toy.course.package / "check.py"))
    monkeypatch.setattr(Cuda, "is_here", lambda self: False)
    report = Checker(TOY)("double", _stub)
    assert not report.passed
    assert capsys.readouterr().out == (
        "– Twice four is eight.\nDoubling: not checked. This needs a GPU, and there is none here: it counts neither "
        "for you nor against you. If the machine that grades it has one, it is graded there.\n"
    )
    assert Checker(TOY)("add", lambda a, b: a + b).passed
    monkeypatch.setattr(Cuda, "is_here", lambda self: True)
    assert Checker(TOY)("double", lambda a: 2 * a).passed
