"""A class with the worst names: each is graded, shown, linked and exported, and costs nobody else anything."""

import csv
import io
import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from typer.testing import CliRunner

from autograder.cells.bundle import Bundle
from autograder.cli import app
from autograder.controller import gradebook
from autograder.controller.appeal import appeal
from autograder.controller.grading import grade
from autograder.controller.names import file_name, is_text, shown
from autograder.controller.record import ClassRecord, Record
from autograder.reports import exports
from autograder.reports.exports import canvas_csv
from autograder.reports.feedback import write_feedback
from autograder.reports.terminal import show_scores
from tests.autograder.toy import TOY, Toy

ADD = "def add(a, b):\n    return a + b"
NASTY = [  # all but the last two are text
    "ann", "Zoë [2]", "M%C3%BCller", "100%s%(name)s", "{student_id}", "[bold] [red]", "\x1b[2J\x1b]0;x\x07",
    "eve\u202etxt.ipynb", "two\nlines", "a\ttab", "=1+1", "＝1+1", "ann;=1+1", "@SUM(A1)", "-rf", '"a",b\'c',
    "<script>alert(1)<script>", "index.html", "class.html", ".hidden", "é" * 120, " lead", "\u200b", "$HOME`id`", "*",
    "not-\udcff-text", "\udce9",
]  # fmt: skip
TEXTS = NASTY[:-2]


@pytest.fixture(scope="module")
def nasty(tmp_path_factory: pytest.TempPathFactory) -> tuple[Toy, ClassRecord]:
    from tests.autograder.toy import make_toy_course

    toy = Toy(make_toy_course(tmp_path_factory.mktemp("nasty") / "course").root)
    from autograder.controller.release import release

    release(toy.course, TOY)
    for name in NASTY:
        toy.submit(name, toy.notebook(add=ADD))
    report = grade(toy.course, TOY, policy=toy.policy)
    write_feedback(toy.course, report)
    return toy, report


def test_everybody_whose_name_is_text_has_a_grade(nasty: tuple[Toy, ClassRecord]) -> None:
    toy, report = nasty
    assert {one.student: one.problem for one in report.students if one.score != 2} == {}
    assert {one.student for one in report.students} == set(TEXTS) == set(gradebook.scores(toy.course, TOY))
    strays = [str(one) for one in report.strays if "not UTF-8 text. Rename it" in str(one)]
    assert len(strays) == 2
    assert "".join(strays).isprintable()
    assert not report.grader_failed


def test_nothing_is_spilled_and_the_log_has_every_line(
    nasty: tuple[Toy, ClassRecord], capfd: pytest.CaptureFixture
) -> None:
    toy, _ = nasty
    grade(toy.course, TOY, policy=toy.policy, students=["100%s%(name)s", "M%C3%BCller", "two\nlines"])
    assert capfd.readouterr().err == ""
    log = (toy.course.build / "nbgrader.log").read_text(encoding="utf-8")
    assert "of 100%s%(name)s: " in log
    assert "of two\\nlines: " in log
    assert "\x1b" not in log


class Links(HTMLParser):
    """The targets of a page's links, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.targets += [str(value) for name, value in attrs if tag == "a" and name == "href"]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_every_link_of_the_class_leads_to_a_page_with_that_name(nasty: tuple[Toy, ClassRecord]) -> None:
    toy, _ = nasty
    folder = toy.course.feedback(TOY)
    page = (folder / "index.html").read_text(encoding="utf-8")
    found = Links(page)
    pages = [unquote(target) for target in found.targets if target.endswith("/index.html")]
    assert len(pages) == len(set(pages)) == len(TEXTS)
    assert all((folder / one).is_file() and one.count("/") == 1 for one in pages)
    everything = "".join(path.read_text(encoding="utf-8") for path in folder.rglob("*.html"))
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069]", everything)
    assert "<script>alert" not in everything
    for name in NASTY:
        assert not is_text(name) or shown(name) in found.text


def test_a_terminal_is_told_nothing_that_it_obeys(
    nasty: tuple[Toy, ClassRecord], capsys: pytest.CaptureFixture
) -> None:
    show_scores(nasty[1])
    said = capsys.readouterr().out
    assert said.replace("\n", "").isprintable()
    assert "[bold] [red]" in said


def test_exports_hold_everybody_and_nothing_that_a_spreadsheet_runs(
    nasty: tuple[Toy, ClassRecord], tmp_path: Path
) -> None:
    toy, _ = nasty
    found = exports.exportable(toy.course, TOY)
    exports.write_canvas(toy.course, TOY, found, tmp_path / "canvas.csv", None)
    text = (tmp_path / "canvas.csv").read_text(encoding="utf-8")
    rows = list(csv.reader(io.StringIO(text)))
    assert len(rows) == 2 + len(TEXTS)
    assert {row[3].removeprefix("'") for row in rows[2:]} == set(map(shown, TEXTS))
    assert sum(row[5] == "2" for row in rows[2:]) == len(TEXTS)
    for row in rows:
        for cell in row:
            assert not re.match(r"""[\s"'�]*[=+@＝＋＠﹦-]""", cell) or cell.startswith("'")
    for line in text.splitlines():
        assert re.fullmatch(r'("([^"]|"")*",)*"([^"]|"")*"', line), line  # whatever the separator, a cell stays one
    exports.write_gradescope(toy.course, TOY, found, tmp_path / "scope")
    written = list((tmp_path / "scope").iterdir())
    assert len(written) == len(TEXTS)
    assert all(json.loads((one / "results.json").read_text(encoding="utf-8"))["score"] == 2 for one in written)


def test_commands_end_well(nasty: tuple[Toy, ClassRecord], monkeypatch: pytest.MonkeyPatch) -> None:
    """The same names through the command line, in words and as JSON."""
    toy, _ = nasty
    monkeypatch.chdir(toy.course.root)
    monkeypatch.setattr("autograder.controller.judge_runs.JUDGE_COMMAND", toy.policy.judge_command)
    some = [word for name in TEXTS[3:10] for word in ("--student", name)]
    ran = CliRunner().invoke(app, ["grade", TOY, *some])
    assert ran.exit_code == 0, ran.output
    assert ran.output.replace("\n", "").isprintable()
    for extra in ([], ["--json"]):
        ran = CliRunner().invoke(app, ["export", TOY, "--format", "canvas", *extra])
        assert ran.exit_code == 0, ran.output
        assert ran.output.replace("\n", "").isprintable()
    assert set(json.loads(CliRunner().invoke(app, ["grade", TOY, "--json"]).stdout)["scores"]) == set(TEXTS)
    for name in ("100%s%(name)s", "[bold] [red]", "\x1b[2J\x1b]0;x\x07", "two\nlines", "\udce9", "no such \x1b[31m"):
        ran = CliRunner().invoke(app, ["appeal", "--", name, TOY])
        assert ran.exit_code == (0 if name in TEXTS else 2), ran.output
        assert ran.output.replace("\n", "").isprintable()


def test_an_appeal_takes_any_name(nasty: tuple[Toy, ClassRecord]) -> None:
    toy, _ = nasty
    assert appeal(toy.course, TOY, "index.html", toy.policy).same_correctness


def test_a_plain_name_names_its_files_and_any_other_gets_one_of_its_own() -> None:
    for plain in ("ann", "Zoë Müller", "bob [2]", "M%C3%BCller", "a+b@c.d", "_x", "s123-4"):
        assert file_name(plain) == plain
    others = [*NASTY, "index.html ", "Class.HTML", "a/b", "..", ".", "", "x" * 201, "x" * 199 + "\x1b"]
    names = [file_name(name) for name in others]
    assert len(set(names)) == len(names)
    for name in names:
        assert name.isprintable()
        assert "/" not in name
        assert name not in ("", ".", "..", "index.html", "class.html")
        assert len(os.fsencode(name)) <= 100


@pytest.mark.parametrize(
    "name",
    [
        "=1",
        " =1",
        "＝1",
        "\t=1",
        "\n=1",
        "\x1b=1",
        "'=1",
        '"=1',
        "﹦1",
        "＋1",
        "－1",
        "+1",
        "-1",
        "@x",
        "＠x",
        "\u200b=1",
    ],
)
def test_no_cell_begins_as_a_formula(name: str) -> None:
    one = Record(name, Bundle(TOY, {}), None)
    row = list(csv.reader(io.StringIO(canvas_csv("A", ClassRecord(TOY, (one,))))))[2]
    for cell in (row[0], row[3]):
        assert cell.startswith(("'", "\\"))
