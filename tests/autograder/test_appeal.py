"""An appeal replays a submission and shows both outcomes; it changes nothing unless asked."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from autograder.cells.bundle import read_bundle
from autograder.cli import app
from autograder.controller import gradebook, judge_runs
from autograder.controller.appeal import appeal, record
from autograder.controller.grading import grade
from autograder.controller.result import CheckResult, ExerciseResult, Result
from autograder.controller.variation import MAX_RUNS, differing
from autograder.reports.feedback import write_feedback
from autograder.wire.errors import CannotGrade, UsageError
from autograder.wire.files import write_durably
from tests.autograder.toy import CHECKS, TOY, Toy

ADD = "def add(a, b):\n    return a + b"
TIMED = """checks = [one]
    fast = float(open("fast.txt").read())
    if name == "add" and passed:
        timed = {"status": "passed" if fast else "failed", "message": "", "details": {"interval": None}}
        checks.append({"name": "fast", "title": "Fast", "points": fast, "max": 2, **timed})
        one["points"], one["max"], worth = 1, 1, 3
"""


@pytest.fixture
def timed(toy: Toy) -> Toy:
    """Ann's submission is graded, by a judge whose timing gives what `fast.txt` says."""
    judge = toy.course.root / "fake_judge.py"
    text = judge.read_text().replace("checks = [one]\n", TIMED)
    judge.write_text(text.replace('"score": worth * passed,', '"score": sum(c["points"] for c in checks),'))
    fast(toy, 0.5)
    toy.submit("ann", toy.notebook(add=ADD))
    write_feedback(toy.course, grade(toy.course, TOY, policy=toy.policy))
    return toy


def fast(toy: Toy, points: float) -> None:
    (toy.course.root / "fast.txt").write_text(str(points))


def state(toy: Toy) -> dict[str, object]:
    """Everything that an appeal may change when asked to."""
    page = toy.course.feedback(TOY) / "ann" / "index.html"
    with judge_runs.judging_for(toy.course, TOY) as open_judging:
        known = open_judging._ledger._database.execute("SELECT * FROM jobs").fetchall()
    files = sorted(str(path) for path in toy.course.build.rglob("*") if path.name != "nbgrader.log")
    return {
        "ledger": [tuple(one) for one in known],
        "gradebook": gradebook.scores(toy.course, TOY),
        "audit": toy.course.audit_path.read_text(),
        "page": page.read_text(),
        "files": files,
    }


def test_an_appeal_finds_the_same_correctness_and_changes_nothing(timed: Toy) -> None:
    before = state(timed)
    fast(timed, 1.0)
    found = appeal(timed.course, TOY, "ann", timed.policy)
    assert timed.judge_runs == 2
    assert (found.same_judge, found.same_correctness, found.breaks_the_promise) == (True, True, False)
    assert [(p.exercise, p.either.title, p.is_timed, p.differs) for p in found.pairs] == [
        ("add", "It <b>works</b>", False, False),
        ("add", "Fast", True, True),
        ("double", "It <b>works</b>", False, False),
    ]
    assert (found.old.score, found.new.score) == (1.5, 2.0)
    assert state(timed) == before


def test_a_new_outcome_is_recorded_everywhere_when_asked(timed: Toy) -> None:
    fast(timed, 1.0)
    write_feedback(timed.course, record(timed.course, appeal(timed.course, TOY, "ann", timed.policy)))
    assert timed.judge_runs == 2  # what was replayed is recorded: it is not judged a third time
    assert gradebook.scores(timed.course, TOY)["ann"] == {"add_test": 2.0, "double_test": 0.0}
    assert ">2</span> of" in (timed.course.feedback(TOY) / "ann" / "index.html").read_text()
    assert len(timed.course.audit_path.read_text().splitlines()) == 2
    assert grade(timed.course, TOY, policy=timed.policy).json()["scores"]["ann"]["score"] == 2.0


def test_another_correctness_from_the_same_judge_is_an_alarm_and_is_not_recorded(timed: Toy) -> None:
    judge = timed.course.root / "fake_judge.py"
    judge.write_text(judge.read_text().replace("right[name] in source", "name == 'double'"))
    before = state(timed)
    found = appeal(timed.course, TOY, "ann", timed.policy)
    assert found.breaks_the_promise
    with pytest.raises(CannotGrade, match="not to be trusted"):
        record(timed.course, found)
    assert state(timed) == before


def test_a_changed_task_is_told_apart_and_the_audit_still_knows_the_old_outcome(timed: Toy) -> None:
    write_durably(timed.course.tasks(TOY) / "checks" / "add.py", CHECKS["add"] + "\n# another version\n")
    judge = timed.course.root / "fake_judge.py"
    judge.write_text(judge.read_text().replace("right[name] in source", "name == 'double'"))
    found = appeal(timed.course, TOY, "ann", timed.policy)
    assert (found.same_judge, found.same_correctness, found.breaks_the_promise) == (False, False, False)
    assert (found.old.score, found.new.score) == (1.5, 3.0)
    record(timed.course, found)
    assert gradebook.scores(timed.course, TOY)["ann"] == {"add_test": 0.0, "double_test": 3.0}


def test_only_checks_seen_under_the_same_policy_count_as_the_outcome_on_record(timed: Toy) -> None:
    timed.submit("bob", timed.notebook(add=f"{ADD}  # bob"))
    bundle = read_bundle(timed.course.submission("bob", TOY), TOY, timed.released())
    with judge_runs.judging_for(timed.course, TOY) as open_judging:
        open_judging.result(judge_runs.Job(bundle, timed.with_policy(hidden=False)))
    with pytest.raises(CannotGrade, match="was never graded"):
        appeal(timed.course, TOY, "bob", timed.policy)


def test_what_was_not_graded_or_is_not_there_cannot_be_appealed(timed: Toy) -> None:
    timed.submit("ann", timed.notebook(add=f"{ADD}  # submitted again"))
    with pytest.raises(CannotGrade, match=f"never graded.*autograder grade {TOY} --student ann"):
        appeal(timed.course, TOY, "ann", timed.policy)
    timed.submit("ann", "{")
    with pytest.raises(CannotGrade, match="not valid JSON"):
        appeal(timed.course, TOY, "ann", timed.policy)
    linked = timed.submit("bob", "{")
    linked.unlink()
    linked.symlink_to(timed.submit("ann", timed.notebook(add=ADD)))
    with pytest.raises(CannotGrade, match="is a link"):
        appeal(timed.course, TOY, "bob", timed.policy)
    with pytest.raises(UsageError, match="submitted/zoe"):
        appeal(timed.course, TOY, "zoe", timed.policy)


def test_the_command_shows_both_outcomes_and_exits_3_on_an_alarm(
    timed: Toy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(timed.course.root)
    monkeypatch.setattr(judge_runs, "JUDGE_COMMAND", timed.policy.judge_command)

    def run(*arguments: str):
        return CliRunner().invoke(app, ["appeal", "ann", TOY, *arguments], env={"COLUMNS": "200"})

    fast(timed, 1.0)
    shown = run()
    assert shown.exit_code == 0
    for part in ("passed 0.5 of 2", "passed 1 of 2", "measured", "1.5 of", "2 other checks", "Nothing was changed"):
        assert part in shown.stdout, part
    assert "failed 0 of 3" not in shown.stdout  # what came out as it was is only counted
    assert shown.stdout.startswith("Correctness came out the same.")
    found = json.loads(run("--json", "--record").stdout)
    assert (found["same_correctness"], found["recorded"]) == (True, True)
    assert (found["old"]["score"], found["new"]["score"]) == (1.5, 2.0)
    judge = timed.course.root / "fake_judge.py"
    judge.write_text(judge.read_text().replace("right[name] in source", "name == 'double'"))
    alarm = run()
    assert alarm.exit_code == 3
    assert "do not trust it" in alarm.stdout


TOSS = """right = {"add": "a + b", "double": "add(a, a)"}
runs = open("judge_runs.txt").read().count(job["key"])
if outcomes := open("tosses.txt").read().split():
    right["add"] = "a + b" if outcomes[min(runs, len(outcomes)) - 1] == "heads" else "never"
"""


@pytest.fixture
def tossing(toy: Toy) -> Toy:
    """Ann's submission comes out as `tosses.txt` says, a word for each run of the judge; the first was tails."""
    judge = toy.course.root / "fake_judge.py"
    judge.write_text(judge.read_text().replace('right = {"add": "a + b", "double": "add(a, a)"}\n', TOSS))
    tosses(toy, "tails")
    toy.submit("ann", toy.notebook(add=ADD))
    grade(toy.course, TOY, policy=toy.policy)
    return toy


def tosses(toy: Toy, outcomes: str) -> None:
    (toy.course.root / "tosses.txt").write_text(outcomes)


def test_an_appeal_names_a_submission_that_varies_and_blames_nobody_else(
    tossing: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    tosses(tossing, "tails heads heads tails")
    found = appeal(tossing.course, TOY, "ann", tossing.policy)
    assert found.varies == ("add: It <b>works</b>",)
    assert (found.breaks_the_promise, found.same_correctness, tossing.judge_runs) == (False, False, 4)
    with pytest.raises(CannotGrade, match=r"The submission varies.*add: It.*nothing was recorded"):
        record(tossing.course, found)
    monkeypatch.chdir(tossing.course.root)
    monkeypatch.setattr(judge_runs, "JUDGE_COMMAND", tossing.policy.judge_command)
    tosses(tossing, "tails " * 4 + "heads tails")
    shown = CliRunner().invoke(app, ["appeal", "ann", TOY], env={"COLUMNS": "200"})
    assert shown.exit_code == 1
    assert "The submission varies" in shown.stdout
    assert "do not trust it" not in shown.stdout


GUESS = """
        if open("judge_runs.txt").read().count(job["key"]) % 2:
            checks[-1] |= {"points": 0, "status": "failed", "message": "In a timed call: wrong", "details": {}}
"""


def test_a_wrong_answer_in_a_timed_call_is_no_measurement(timed: Toy) -> None:
    """Else whoever guesses in timed calls could appeal until the guesses are right."""
    judge = timed.course.root / "fake_judge.py"
    judge.write_text(judge.read_text().replace("**timed})\n", f"**timed}}){GUESS}"))
    timed.submit("bob", timed.notebook(add=f"{ADD}  # guesses"))
    assert grade(timed.course, TOY, policy=timed.policy).json()["scores"]["bob"]["score"] == 1.0
    found = appeal(timed.course, TOY, "bob", timed.policy)
    assert (found.same_correctness, found.varies) == (False, ("add: Fast",))
    with pytest.raises(CannotGrade, match="The submission varies"):
        record(timed.course, found)
    again = grade(timed.course, TOY, policy=timed.policy, regrade=True)
    assert again.json()["scores"]["bob"]["score"] == 1.0
    assert any("The submission varies" in said for said in again.of(["bob"]).students[0].reasons)


def test_a_record_that_no_run_confirms_is_an_alarm(tossing: Toy) -> None:
    tosses(tossing, "tails " + "heads " * 9)
    found = appeal(tossing.course, TOY, "ann", tossing.policy)
    assert found.breaks_the_promise
    assert tossing.judge_runs == 1 + MAX_RUNS


def test_judging_again_does_not_let_a_submission_throw_its_coin_again(tossing: Toy) -> None:
    """Its first outcome stands whatever comes later, and whoever reads the record is told."""
    for outcomes, score in (("tails heads heads heads tails", 0.0), ("heads " * 9, 0.0)):
        tosses(tossing, outcomes)
        found = grade(tossing.course, TOY, policy=tossing.policy, regrade=True)
        assert found.json()["scores"]["ann"]["score"] == score
        assert any("The submission varies" in said for said in found.students[0].reasons)
        assert gradebook.scores(tossing.course, TOY)["ann"]["add_test"] == score


def test_judging_again_mends_a_record_that_no_run_confirms(tossing: Toy) -> None:
    tosses(tossing, "tails " + "heads " * 9)
    found = grade(tossing.course, TOY, policy=tossing.policy, regrade=True)
    assert found.json()["scores"]["ann"]["score"] == 2.0
    assert not any("varies" in said for said in found.students[0].reasons)


def test_who_varies_is_told_from_measurements_and_from_failures_of_the_grader() -> None:
    def result(status: str, score: float, log: str = "", **details: float) -> Result:
        check = CheckResult("one", "One", score, 1.0, "passed" if score else "failed", "", details)
        exercise = ExerciseResult(score, 1.0, status, (check,), log)
        return Result("k", "v", "s", {"add": exercise}, 1.0)

    right, wrong, quick = result("graded", 1.0), result("graded", 0.0), result("graded", 1.0, speedup=2.0)
    assert differing([right, right]) == []
    assert differing([right, wrong]) == ["add: One"]
    assert differing([quick, result("graded", 0.0, speedup=1.0)]) == []
    assert differing([quick, wrong]) == ["add: One"]
    assert differing([right, result("not_graded", 0.0, "TypeError: ours")]) == []
