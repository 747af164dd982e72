"""The judge: right and wrong answers, every attack contained, and a result file that is whole or not there."""

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from autograder import NODE, rooms_in
from autograder.checks import Outcome, unusable
from autograder.judge import judge, sandbox, speed
from autograder.judge.job import BadJob, JobFile
from autograder.judge.judge import Judge
from autograder.judge.version import judge_version
from autograder.judge.workspace import PACKAGE
from tests.autograder.toy_judge import ASSIGNMENT, RIGHT, TOY, job, judged, messages, statuses

pytestmark = pytest.mark.skipif(not sandbox.state()[0], reason=sandbox.state()[1])
DOUBLE = ("doubles_three", "doubles_any_number", "doubles_a_tensor")


def double(body: str, **changes):
    """The judged exercise `double` whose cell is given."""
    return judged({"double": body}, **changes)["double"]


def double_once(expression: str, before: str = ""):
    """The exercise with a right answer whose last check, on a tensor, gets something else."""
    return double(f"{before}\ndef double(x):\n    return {expression} if isinstance(x, torch.Tensor) else 2 * x\n")


def test_right_answers_get_all_points():
    cells = {**RIGHT, "double": "print('SCORE 100')\n" + RIGHT["double"]}
    cells["draw"] += "\ntold = double(4)\ndef ask(model, x):\n    assert told == 8\n    return model(x)\n"  # injected
    exercises = judged(cells)
    assert {name: (one["score"], one["max"]) for name, one in exercises.items()} == {
        "double": (3, 3),
        "draw": (4, 4),
        "mix": (1, 1),  # without its speed check
    }
    assert set(statuses(exercises["double"]).values()) == {"passed"}
    assert statuses(exercises["mix"])["mixes_fast"] == "not_graded"
    assert "SCORE 100" in exercises["double"]["log"]


def test_a_wrong_answer_loses_the_points_it_should_and_no_others():
    exercise = double_once("2 * x + 1e-3")
    assert statuses(exercise) == dict(zip(DOUBLE, ("passed", "passed", "failed"), strict=True))
    assert (exercise["score"], exercise["max"]) == (1, 3)
    assert "off by up to 0.001" in messages(exercise)["doubles_a_tensor"]


def test_many_rows_with_nothing_in_them_are_a_wrong_answer_and_no_failure_of_the_grader():
    exercise = double("def double(x):\n    return torch.empty(2**40, 0)\n")
    assert (exercise["status"], exercise["score"]) == ("graded", 0)
    assert "more than the 16 MB that one message may bring" in messages(exercise)["doubles_any_number"]


def test_a_wrong_distribution_and_a_wrong_use_of_the_model_are_seen():
    cell = "def draw(p, g):\n    return int(torch.multinomial(torch.ones(3), 1, generator=g))\n"
    exercise = judged({"draw": cell + "def ask(m, x):\n    return m('x' if isinstance(x, torch.Tensor) else x)\n"})[
        "draw"
    ]
    assert "do not follow the right distribution" in messages(exercise)["draws_follow_the_distribution"]
    assert messages(exercise)["asks_the_model_once"] == "the model was given something else than a tensor"
    assert exercise["score"] == 1


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (None, "There is no cell `double`"),
        (
            "from toylib.doubling import double\n",
            "cannot be used in this exercise: it does, or may do, what",
        ),
        ("import os\nos._exit(0)\n", "It ended the program (exit code 0) instead of returning"),
    ],
)
def test_what_goes_wrong_in_a_cell_is_said_plainly(cell, said):
    exercise = double(cell)
    assert exercise["status"] == "graded"
    assert (exercise["score"], exercise["max"]) == (0, 3)
    assert said in messages(exercise)["doubles_any_number"]


def test_the_rest_of_an_exercise_runs_in_a_fresh_worker():
    cell = "import os\ndef double(x):\n    return os._exit(7) if isinstance(x, int) and x > 3 else 2 * x\n"
    exercise = double(cell)
    assert statuses(exercise) == dict(zip(DOUBLE, ("passed", "failed", "passed"), strict=True))


def test_an_endless_cell_costs_one_deadline_only():
    exercise = double("while True:\n    pass\n", limits={"check_s": 2, "speed": False})
    assert set(messages(exercise).values()) == {
        "The cell did not finish within the limit of 2 s for this check; is there an endless loop?"
    }


def test_visible_checks_alone_carry_no_points():
    exercise = double(None, hidden=False)
    assert statuses(exercise) == {"doubles_three": "failed"}
    assert (exercise["score"], exercise["max"]) == (0, 0)


def test_the_same_run_key_gives_the_same_result():
    cell = (
        "def double(x):\n    raise ValueError(f'{x.tolist() if isinstance(x, torch.Tensor) else x} {torch.rand(())}')\n"
    )
    first = double(cell)
    assert first == double(cell)
    assert "raised ValueError: “[0." in messages(first)["doubles_a_tensor"]


def test_a_bug_in_a_check_of_ours_takes_no_points(monkeypatch):
    monkeypatch.setattr(judge, "run_check", lambda *_: 1 / 0)
    exercise = double(RIGHT["double"])
    assert (exercise["status"], exercise["score"], exercise["max"]) == ("not_graded", 0, 0)
    assert "ZeroDivisionError" in exercise["log"]
    assert set(statuses(exercise).values()) == {"not_graded"}


def test_what_students_print_is_bounded_and_never_the_graders_last_word(monkeypatch):
    flood = "import sys\nfor _ in range(2000):\n    print('\\x00\\x1b[31m\\udcff' * 20, file=sys.stderr)\n"
    noisy = double(flood.replace("\\udcff", "�") + "print('TypeError: all is well')\n" + RIGHT["double"])
    assert len(json.dumps(noisy)) < 400_000
    monkeypatch.setattr(judge, "run_check", lambda one, call, rng: call("double", 3) and 1 / 0)
    exercise = double("print('All tests passed')\n" + RIGHT["double"])
    assert "All tests passed" in exercise["log"]
    assert exercise["log"].strip().splitlines()[-1] == "ZeroDivisionError: division by zero"


def test_a_check_that_takes_the_judge_too_long_fails_where_the_result_is_to_blame(monkeypatch):
    monkeypatch.setattr(judge, "MAX_OWN_S", 0.3)

    def looks_long(answered):
        def run(one, call, rng):
            call.answered = answered
            try:
                while True:
                    pass
            except RuntimeError as error:
                if not answered:
                    raise
                return Outcome(False, unusable(error))

        return run

    monkeypatch.setattr(judge, "run_check", looks_long(True))
    assert "took more than 0.3 s" in messages(double(RIGHT["double"]))["doubles_any_number"]
    monkeypatch.setattr(judge, "run_check", looks_long(False))
    assert double(RIGHT["double"])["status"] == "not_graded"


BUSY = {
    "double": """
import gc, socket, struct


def double(x):
    talk = next(one for one in gc.get_objects() if isinstance(one, socket.socket) and one.fileno() > 0)
    talk.sendall(struct.pack("!I", 2**22))
    while True:
        talk.send(b" ")
""",
    "draw": """
def draw(probs, generator):
    return 0


def ask(model, x):
    while True:
        try:
            model(x)
        except RuntimeError:
            pass
""",
}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a file that was being read just then
@pytest.mark.parametrize("exercise", BUSY)
def test_who_keeps_the_judge_busy_in_a_call_fails_the_check(exercise, monkeypatch):
    """A frame whose bytes come one by one, and callbacks without end: the grader did not fail, the student did."""
    monkeypatch.setattr(judge, "MAX_OWN_S", 0.3)
    found = judged({exercise: BUSY[exercise]})[exercise]
    assert (found["status"], found["score"]) == ("graded", 0)
    assert any("kept the grader busy without an answer" in said for said in messages(found).values())


def test_nothing_is_left_running_while_speed_is_measured(monkeypatch):
    made, call, left = [], Judge._call, []
    monkeypatch.setattr(Judge, "_call", lambda *given, **named: made.append(call(*given, **named)) or made[-1])
    outcome = speed.SpeedOutcome(1.0, "", {})
    monkeypatch.setattr(judge, "time_check", lambda *_: left.extend(one._worker for one in made) or outcome)
    found = judged({"mix": RIGHT["mix"]}, limits={})["mix"]
    assert found["status"] == "graded", found["log"]
    assert left == [None] * 3


def test_a_setup_that_does_not_run_is_our_fault():
    judging = Judge(job({"double": RIGHT["double"]}))
    judging.task = judge.replace(judging.task, setup="import nothing_of_that_name")
    exercise = judging.run()["exercises"]["double"]
    assert exercise["status"] == "not_graded"
    assert "nothing_of_that_name" in exercise["log"]


@pytest.mark.parametrize(
    "changes",
    [
        {"exercises": ["other"]},
        {"cells": {"other": "x"}},
        {"limits": {"speling": 1}},
        {"assignment": "a99"},
        {"run_key": "no"},
    ],
)
def test_a_job_that_makes_no_sense_is_refused(changes):
    sound = vars(job({"double": ""}))
    with pytest.raises(BadJob):
        Judge(JobFile(**{**sound, **changes}))


def run_judge(tmp_path, content, *options, **environment):
    (tmp_path / "job.json").write_text(json.dumps(content))
    command = [
        sys.executable,
        "-m",
        "autograder.judge",
        str(tmp_path / "job.json"),
        str(tmp_path / "result.json"),
        *options,
    ]
    path = {"PYTHONPATH": f"{PACKAGE.parent}:{TOY / 'lib'}", "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, env={**path, **environment}, cwd=tmp_path)


def test_the_command_leaves_a_whole_result_and_tells_its_progress(tmp_path):
    content = vars(job({"double": RIGHT["double"]}, audit=str(tmp_path / "audit.jsonl")))
    done = run_judge(tmp_path, content)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["key"] == "key"
    assert result["sandbox"] == "bubblewrap"
    assert result["exercises"]["double"]["score"] == 3
    assert 0 < result["round_trip_us"] < 50_000
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert [event["event"] for event in events] == ["start", "check", "check", "check", "end"]
    assert events[3]["done"] == events[3]["of"] == 3
    audit = json.loads((tmp_path / "audit.jsonl").read_text())
    assert audit["result"] == result
    assert audit["limits"]["check_s"] == 20
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".tmp")] == []


GREEDY = """
import sys

from autograder.judge import judge
from autograder.checks.calls import Call
from autograder.checks import Check, run_check


class Small(Call):
    def _request(self, name, args, kwargs, repeat, part):
        return judge.torch.zeros(20_000, 1)


judge.MAX_MEMORY = 2**30
judge.main(["no job", "no result"])
for use in (lambda x: x + x.mT, lambda x: [0] * 2**28):
    print(run_check(Check("", "", "", 1, lambda call, rng: use(call("f"))), Small(), judge.torch.Generator()))
"""


def test_what_makes_the_judge_need_too_much_memory_is_a_wrong_answer():
    path = {"PYTHONPATH": str(PACKAGE.parent), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", GREEDY], capture_output=True, text=True, env=path)
    assert done.stdout.count("Outcome(passed=False") == 2, done.stderr
    assert "allocate" in done.stdout
    assert "MemoryError" in done.stdout


def test_the_command_says_in_one_line_why_it_did_not_grade(tmp_path, capsys, monkeypatch):
    paths = [str(tmp_path / "job.json"), str(tmp_path / "result.json")]
    (tmp_path / "job.json").write_text(json.dumps({"assignment": ASSIGNMENT}))
    assert judge.main(paths) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    (tmp_path / "job.json").write_text(json.dumps(vars(job({"double": RIGHT["double"]}))))
    monkeypatch.setenv("PATH", "/nowhere")
    with open(os.devnull, "wb") as progress:
        assert judge.main([*paths, "--progress", str(progress.fileno())]) == 3
    (said,) = capsys.readouterr().err.splitlines()
    assert "apt install bubblewrap" in said
    assert not (tmp_path / "result.json").exists()


def test_a_killed_judge_leaves_no_worker_behind(tmp_path):
    (tmp_path / "job.json").write_text(json.dumps(vars(job({"double": "while True:\n    pass\n"}))))
    command = [sys.executable, "-m", "autograder.judge", str(tmp_path / "job.json"), str(tmp_path / "result.json")]
    path = {"PYTHONPATH": f"{PACKAGE.parent}:{TOY / 'lib'}", "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    judging = subprocess.Popen(command, env=path, cwd=tmp_path, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not (workers := _descendants(judging.pid)[2:]) and time.monotonic() < until:
        time.sleep(0.1)
    judging.kill()
    judging.wait()
    while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < until:
        time.sleep(0.1)
    assert workers
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)


def _descendants(pid: int) -> list[int]:
    """Process ids below one: bubblewrap, its process 1, the worker."""
    found = []
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            children = [int(child) for child in (thread / "children").read_text().split()]
            found += [one for child in children for one in (child, *_descendants(child))]
    return found


def test_the_judges_version_covers_all_of_its_code():
    program = "import sys, autograder.judge.judge, autograder.worker.fork_server\nprint(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    ours = {name.removeprefix("autograder.") for name in loaded if name.startswith("autograder.")}
    assert {name.partition(".")[0] for name in ours} <= set(rooms_in(NODE))


def test_judge_and_controller_agree_on_the_judges_version():
    content = job({"double": RIGHT["double"]}, sandbox=False)
    assert Judge(content).run()["judge_version"] == judge_version(Path(content.tasks) / ASSIGNMENT, Path(content.lib))


def test_the_weaker_mode_is_named_in_the_result(tmp_path):
    result = Judge(job({"double": RIGHT["double"]}, sandbox=False)).run()
    assert "weaker" in result["sandbox"]
    assert result["exercises"]["double"]["score"] == 3
