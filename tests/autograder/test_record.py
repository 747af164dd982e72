"""One record: pages, tables, JSON, appeals, exports and nbgrader's gradebook say the same of each student."""

import csv
import json
import re
import shutil
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from autograder.controller import judge_runs
from autograder.controller.release import release
from tests.autograder.classroom import (
    DUE,
    LATE,
    TWO_DAYS,
    WRONG,
    ZERO_WHEN_LATE,
    Points,
    Situation,
    give,
    opened,
    run,
    submit,
)
from tests.autograder.toy import ADD, DOUBLE, TOY, Toy, make_toy_course

SITUATIONS = {
    "full": Situation({"add": ADD, "double": DOUBLE}, (5, 5)),
    "half": Situation({"add": f"{ADD}  # half"}, (2, 5)),
    "stub": Situation({}, (0, 5)),
    "marked": Situation(
        {"add": f"{ADD}  # marked"}, (3.5, 5), by_hand={"double": 1.5}, comments={"double": "a <nice> idea"},
        said=("Automatic 0, by a person 1.5.", "a <nice> idea"),
    ),
    "lowered": Situation(
        {"add": ADD, "double": f"{DOUBLE}  # lowered"}, (3, 5), by_hand={"double": 1},
        said=("Automatic 3, by a person 1.",),
    ),
    "extra": Situation({"add": f"{ADD}  # extra"}, (2.5, 5), extra={"add": 0.5}, said=("extra credit 0.5",)),
    "above": Situation({"add": ADD, "double": f"{DOUBLE}  # x"}, (6, 5), extra={"double": 1.0}),
    "commented": Situation({"add": f"{ADD}  # said"}, (2, 5), comments={"add": "well done"}, said=("well done",)),
    "late": Situation({"add": ADD, "double": f"{DOUBLE}  # late"}, (0, 5), late=True, said=(TWO_DAYS,)),
    "late_marked": Situation(
        {"add": f"{ADD}  # both"}, (0, 5), by_hand={"double": 3}, late=True, said=(TWO_DAYS,)
    ),
    "unreadable": Situation("{", None, said=("No score yet", "not valid JSON")),
    "unreadable_marked": Situation(
        "{", (2, 5), by_hand={"add": 2}, said=("not valid JSON", "By a person 2.", "Waits for a mark by a person."),
    ),
    "again": Situation(
        {"add": WRONG}, (4, 5), by_hand={"double": 2}, then={"add": f"{ADD}  # again", "double": DOUBLE},
        said=("Automatic 3, by a person 2.", "it is to be looked at again"),
    ),
    "again_elsewhere": Situation({"add": WRONG}, (4, 5), by_hand={"double": 2}, then={"add": f"{ADD}  # elsewhere"}),
    "disturbed": Situation({"add": f"{ADD}  # JUDGE_DISTURBED"}, (2, 5)),
    "gpu": Situation({"add": f"{ADD}  # JUDGE_NEEDS_GPU", "double": DOUBLE}, (3, 3)),
    "unreadable_commented": Situation("{", None, comments={"add": "come and see me"}, said=("come and see me",)),
    "dies": Situation({"add": f"{ADD}  # JUDGE_DIES"}, None, said=("No score yet", "The grader itself failed")),
    "renamed": Situation({"add": f"{ADD}  # renamed"}, (2, 5), name="homework", said=("is called homework",)),
    "renamed_marked": Situation(
        {"add": WRONG}, (3, 5), by_hand={"double": 1}, then={"add": f"{ADD}  # again", "double": f"{DOUBLE}  # again"},
        name="homework",
    ),
    "resubmitted": Situation({"add": f"{ADD}  # 1"}, None, last={"add": f"{ADD}  # 2"}, said=("not graded since",)),
    "resubmitted_marked": Situation({"add": f"{ADD}  # 3"}, None, by_hand={"add": 1}, last={"add": f"{ADD}  # 4"}),
}  # fmt: skip
OUTDATED = {"again": ["double"], "renamed_marked": ["double"]}


class Class(NamedTuple):
    """A class in every situation, and what the commands printed about it."""

    toy: Toy
    table: str
    printed: dict[str, Any]
    exported: dict[str, Any]


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory, empty_gradebook: Path) -> Iterator[Class]:
    root = tmp_path_factory.mktemp("class")
    made = make_toy_course(root)
    shutil.copy(empty_gradebook, root)
    release(made, TOY)
    config = root / "nbgrader_config.py"
    config.write_text(config.read_text() + ZERO_WHEN_LATE)
    toy = Toy(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setattr(judge_runs, "JUDGE_COMMAND", toy.policy.judge_command)
        with opened(toy) as book:
            book.update_or_create_assignment(TOY, duedate=DUE)
            book.update_or_create_student("nowhere", first_name="No", last_name="Where", lms_user_id="9")
        for student, one in SITUATIONS.items():
            submit(toy, student, one.cells, one.name)
            if one.late:
                (toy.course.submission(student, TOY).parent / "timestamp.txt").write_text(LATE)
        run("grade", TOY)
        for student, one in SITUATIONS.items():
            give(toy, student, one)
            if one.then:
                submit(toy, student, one.then, one.name)
        run("grade", TOY)
        for student, one in SITUATIONS.items():
            if one.last:
                submit(toy, student, one.last)
        run("grade", TOY, "--student", "full")
        graded = [word for student, one in SITUATIONS.items() if not one.last for word in ("--student", student)]
        printed = json.loads(run("grade", TOY, "--json", *graded).stdout)
        table = run("grade", TOY, *graded).stdout
        exported = json.loads(run("export", TOY, "--format", "canvas", "--json").stdout)
        run("export", TOY, "--format", "gradescope")
        yield Class(toy, table, printed, exported)


def on_page(found: Class, student: str) -> Points:
    text = (found.toy.course.feedback(TOY) / student / "index.html").read_text()
    points = re.search(r"total>([\d.]+)</span> of ([\d.]+) points", text)
    assert bool(points) != ("No score yet" in text)
    return (float(points[1]), float(points[2])) if points else None


def in_table(found: Class, student: str) -> Points:
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in found.table.splitlines() if "│" in line]
    (row,) = [row for row in rows if row[0] == student]
    return None if row[1] == "–" else (float(row[1]), float(row[2]))


def in_index(found: Class, student: str) -> Points:
    text = (found.toy.course.feedback(TOY) / "index.html").read_text()
    (row,) = re.findall(rf'<tr><th scope=row><a href="{student}/index.html">.*?</tr>', text)
    score, best, *_ = re.findall(r"<td class=number>(.*?)</td>", row)
    return None if score == "–" else (float(score), float(best))


def in_json(found: Class, student: str) -> Points:
    score = found.printed["scores"][student]
    exercises = found.printed["students"][student]["exercises"].values()
    if score["score"] is not None:
        points = sum(one["score"] or 0 for one in exercises) - found.printed["students"][student]["penalty"]
        assert (points, sum(one["max"] or 0 for one in exercises)) == (score["score"], score["max"])
    return None if score["score"] is None else (score["score"], score["max"])


def in_gradescope(found: Class, student: str) -> Points:
    path = found.toy.course.root / "_build/export" / TOY / "gradescope" / student / "results.json"
    if not path.is_file():
        return None
    content = json.loads(path.read_text())
    assert sum(test.get("max_score", 0) for test in content["tests"]) == content["extra_data"]["max_score"]
    return content["score"], content["extra_data"]["max_score"]


def in_canvas(found: Class, student: str) -> Points:
    """The points; Canvas has one maximum for all, to which they are scaled."""
    with open(found.toy.course.root / "_build/export" / TOY / "canvas.csv", newline="", encoding="utf-8") as file:
        rows = {row[3]: row[5] for row in csv.reader(file)}
    expected = SITUATIONS[student].expected
    best = expected[1] if expected else 5
    return (float(rows[student]) * best / 5, best) if rows[student] else None


def in_gradebook(found: Class, student: str) -> Points:
    """What formgrader and nbgrader's own export say; nbgrader knows one maximum for all and no missing score."""
    expected = SITUATIONS[student].expected
    if expected is None:
        return None
    with opened(found.toy) as book:
        one = book.find_submission(TOY, student)
        return one.score - one.late_submission_penalty, expected[1]


def in_appeal(found: Class, student: str) -> Points:
    printed = run("appeal", student, TOY, "--json").stdout
    on_record = json.loads(printed).get("record", {"score": None})
    return None if on_record["score"] is None else (on_record["score"], on_record["max"])


OUTPUTS: dict[str, Callable[[Class, str], Points]] = {
    "page": on_page, "table": in_table, "index": in_index, "json": in_json, "gradescope": in_gradescope,
    "canvas": in_canvas, "gradebook": in_gradebook, "appeal": in_appeal,
}  # fmt: skip
NOT_PRINTED = {student for student, one in SITUATIONS.items() if one.last}


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("student", SITUATIONS)
def test_every_output_says_the_same_of_a_student(course: Class, student: str, output: str) -> None:
    if output in ("table", "json") and student in NOT_PRINTED:
        pytest.skip("was not among those who were graded last")
    if output == "appeal" and isinstance(SITUATIONS[student].cells, str):
        pytest.skip("there is nothing to judge once more")
    assert OUTPUTS[output](course, student) == SITUATIONS[student].expected


@pytest.mark.parametrize("student", SITUATIONS)
def test_a_page_says_what_a_person_did_and_nothing_of_the_server(course: Class, student: str) -> None:
    text = (course.toy.course.feedback(TOY) / student / "index.html").read_text()
    shown = unescape(re.sub(r"<[^>]+>", " ", text))
    for part in SITUATIONS[student].said:
        assert part in shown, part
    assert str(course.toy.course.root) not in text
    assert "Traceback" not in text
    assert ("is to be looked at again" in text) == (student in OUTDATED)


def test_a_mark_for_other_code_wants_another_look_in_every_output(course: Class) -> None:
    flagged = {name: one["exercises"] for name, one in course.printed["students"].items()}
    found = {
        student: [name for name, about in exercises.items() if about["wants_another_look"]]
        for student, exercises in flagged.items()
    }
    assert {student: names for student, names in found.items() if names} == OUTDATED
    assert course.exported["wants_another_look"] == OUTDATED
    assert "again, renamed_marked: double: the mark by hand needs another look" in " ".join(course.table.split())
    page = (course.toy.course.feedback(TOY) / "class.html").read_text()
    assert '<a href="again/index.html">again</a>: double' in page
    with opened(course.toy) as book:
        for student in SITUATIONS:
            if SITUATIONS[student].by_hand.get("double"):
                grade = book.find_grade("double_test", TOY, TOY, student)
                assert grade.needs_manual_grade == (student in OUTDATED), student


def test_every_dash_has_its_reason(course: Class) -> None:
    index = (course.toy.course.feedback(TOY) / "index.html").read_text()
    for student, one in SITUATIONS.items():
        (row,) = re.findall(rf'<tr><th scope=row><a href="{student}/index.html">.*?</tr>', index)
        remarks = re.search(r"<td class=remarks>(.*?)</td>", row)
        assert remarks is not None
        assert ("–" in row) <= bool(remarks[1]), student
        if student not in NOT_PRINTED:
            assert bool(course.printed["students"][student]["reasons"]) >= (one.expected is None)
    assert "the judge fell over" in index  # what failed is for the teacher, who alone has this page


@pytest.mark.parametrize("student", [name for name, one in SITUATIONS.items() if one.comments])
def test_a_comment_is_in_every_output_that_names_checks(course: Class, student: str) -> None:
    for exercise, comment in SITUATIONS[student].comments.items():
        assert course.printed["students"][student]["exercises"][exercise]["comment"] == comment
        path = course.toy.course.root / "_build/export" / TOY / "gradescope" / student / "results.json"
        assert path.is_file() == (SITUATIONS[student].expected is not None)
        if path.is_file():
            outputs = [test["output"] for test in json.loads(path.read_text())["tests"]]
            assert sum(output.startswith(comment) for output in outputs) == 1


def test_who_submitted_nothing_is_listed_and_has_a_row(course: Class) -> None:
    assert course.printed["missing"] == ["nowhere"]
    assert "handed nothing in: nowhere" in course.table
    assert "Where, No" in (course.toy.course.feedback(TOY) / "index.html").read_text()
    with open(course.toy.course.root / "_build/export" / TOY / "canvas.csv", newline="", encoding="utf-8") as file:
        assert ["Where, No", "9", "", "nowhere", "", ""] in list(csv.reader(file))
    assert any(f"{len(SITUATIONS)} without an ID" in said for said in course.exported["remarks"])
    assert any("Scaled to 5 points" in said and "gpu (of 3)" in said for said in course.exported["remarks"])
    assert course.exported["reasons"].keys() == {
        "unreadable", "unreadable_commented", "dies", "resubmitted", "resubmitted_marked"
    }  # fmt: skip
