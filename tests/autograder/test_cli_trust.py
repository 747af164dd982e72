"""The commands `exploits` and `verify`: one JSON object, a table otherwise, exit 3 where the grader gave too much."""

import json

import pytest
from typer.testing import CliRunner

from autograder.assurance import guarantees
from autograder.cli import app
from autograder.controller import judge_runs
from autograder.judge import sandbox
from autograder.wire.files import write_durably
from tests.autograder.toy import TOY, Toy

CHEAT = '"""Prints a score.\n\nbase: stub\nkeeps: {keeps}\nproof: {proof}\n"""\n\n\n# %% add\n{cell}\n'


@pytest.fixture
def run(toy: Toy, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(toy.course.root)
    monkeypatch.setattr(judge_runs, "JUDGE_COMMAND", toy.policy.judge_command)

    def invoke(*arguments: str):
        return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})

    return invoke


def exploit(toy: Toy, name: str, cell: str, keeps: str = "none", proof: str = "notebook") -> None:
    text = CHEAT.format(keeps=keeps, proof=proof, cell=cell)
    write_durably(toy.course.package / "exploits" / TOY / f"{name}.py", text)


def test_exploits_tells_contained_and_gained_and_its_status_says_so(run, toy: Toy) -> None:
    exploit(toy, "prints", "print(2.0)")
    exploit(toy, "on_a_gpu", "print(2.0)", proof="gpu (for a reason)")
    found = run("exploits", "--json")
    assert found.exit_code == 0
    assert json.loads(found.stdout) == {"exploits": 1, "contained": 1, "gained": []}
    assert "prints done" in found.stderr
    exploit(toy, "honest_after_all", "def add(a, b):\n    return a + b")
    found = run("exploits", "--json")
    assert found.exit_code == 3
    assert json.loads(found.stdout) == {"exploits": 2, "contained": 1, "gained": ["honest_after_all"]}
    table = run("exploits", TOY).stdout
    assert "needs a gpu (for a reason)" in table
    assert "1 of 2 contained; gained: honest_after_all" in table


def test_an_exploit_that_breaks_the_grader_is_no_success(run, toy: Toy) -> None:
    exploit(toy, "kills_the_judge", "# JUDGE_DIES")
    found = run("exploits")
    assert found.exit_code == 3
    assert "kills_the_judge made the grader fail" in found.stderr


def test_an_exploit_without_a_proof_and_an_unknown_assignment_are_told(run, toy: Toy) -> None:
    assert run("exploits", "a91").exit_code == 2
    exploit(toy, "boasts", "pass", proof="trust me")
    found = run("exploits")
    assert "'proof:' is one of notebook, script, without, gpu" in found.stderr


def test_verify_tells_each_guarantee_and_its_figure(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "state", lambda: (True, "works"))
    monkeypatch.setattr(guarantees, "_tried", lambda name, trying: (name != "G7", f"{name} figure"))
    found = run("verify", "--quick", "--json")
    assert found.exit_code == 3
    told = json.loads(found.stdout)
    assert list(told) == [f"G{number}" for number in range(1, 11)]
    assert told["G7"] == {"holds": False, "figure": "G7 figure"}
    assert told["G3"] == {"holds": True, "figure": "G3 figure"}
    assert "planted contention" in run("verify").stdout


def test_without_a_sandbox_nothing_is_verified(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "state", lambda: (False, "no bubblewrap"))
    found = run("verify", "--json")
    assert found.exit_code == 3
    assert "no bubblewrap" in json.loads(found.stdout)["error"]
