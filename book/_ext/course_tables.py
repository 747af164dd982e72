"""Tables of what the course holds, and links into them.

`{exercise-list} assignment`  the exercises of an assignment
`{course-map}`                every chapter of the course, built or planned
`{systems}`                   every system that the lectures name, by part and chapter
`{traceability}`              slide -> section -> symbol -> exercise -> check; `ch02` as argument: one chapter's slides
`{exercise}`                  a role: a link to the exercise `a02_speculative_decoding/accept`
"""

import tomllib

from assignment_pages import PAGES, exercise_label, has_page
from docutils import nodes
from fingerprint import ROOT
from generated_markdown import GeneratedMarkdown
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxRole
from systems import System, chapter_page, full_name, read_systems
from traceability import TASK_FILES, Exercise, Symbol, read_exercises, read_slides, read_symbols


class ExerciseRole(SphinxRole):
    """A link to an exercise by `assignment/exercise`; plain text while the assignment has no notebook."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        exercise = read_exercises().get(self.text)
        assignment, _, identifier = self.text.partition("/")
        title = exercise.title if exercise else identifier
        if not has_page(assignment):
            return [nodes.emphasis(text=title)], []
        if exercise is None:
            message = self.inliner.reporter.error(f"there is no exercise {self.text!r}", line=self.lineno)
            return [nodes.emphasis(text=title)], [message]
        target = {"reftype": "ref", "reftarget": exercise_label(assignment, identifier), "refdoc": self.env.docname}
        link = pending_xref("", nodes.inline(text=title), refdomain="std", refexplicit=True, refwarn=True, **target)
        return [link], []


class ExerciseList(GeneratedMarkdown):
    """The table of an assignment's exercises."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        self.depends_on(*TASK_FILES)
        wanted = [e for e in read_exercises().values() if e.assignment == self.arguments[0]]
        if not wanted:
            return self.parse([f"The exercises of `{self.arguments[0]}` are not written yet."])
        lines = [
            "| Exercise | Points | Minutes | Difficulty | Checks in the notebook | Checks at grading |",
            "|---|" + 5 * "---|",
        ]
        for e in wanted:
            hidden = sum(check.hidden for check in e.checks)
            counts = (f"{e.points:g}", e.minutes, e.difficulty, len(e.checks) - hidden, hidden)
            lines.append(f"| {_exercise_link(e)} | {' | '.join(map(str, counts))} |")
        return self.parse(lines)


def _exercise_link(exercise: Exercise) -> str:
    return f"{{exercise}}`{exercise.assignment}/{exercise.id}`"


class CourseMap(GeneratedMarkdown):
    """The chapters of the whole course. A chapter is built when its page exists."""

    def run(self) -> list[nodes.Node]:
        self.depends_on("book/_data/*.toml", "book/ch*.md")
        data, lines = _chapters(), []
        for part in data["part"]:
            lines += ["", f"**{part['title']}**", ""]
            lines += ["| | Chapter | About | Lectures | Assignment | Systems | Status |", "|---|" + 6 * "---|"]
            lines += [self.row(chapter) for chapter in part["chapters"]]
        lines += ["", "The lectures, by letter:", ""]
        lines += [f"- **{letter}**: {title}" for letter, title in data["lectures"].items()]
        return self.parse(lines)

    @staticmethod
    def row(chapter: dict) -> str:
        page = chapter_page(chapter["number"])
        title = f"[{chapter['title']}]({page.name})" if page else chapter["title"]
        assignment = chapter["assignment"]
        notebook = next(PAGES.glob(f"{assignment}_*.ipynb"), None)
        if notebook:
            assignment = f"[{assignment}](assignments/{notebook.name})"
        systems = [system.works for system in read_systems() if system.chapter == chapter["number"]]
        cells = (chapter["number"], title, chapter["about"], chapter["lectures"], assignment,
                 f"{sum(systems)} of {len(systems)}", "**built**" if page else "planned")  # fmt: skip
        return f"| {' | '.join(map(str, cells))} |"


def _chapters() -> dict:
    return tomllib.loads((ROOT / "book/_data/chapters.toml").read_text(encoding="utf-8"))


class Systems(GeneratedMarkdown):
    """A table a chapter: each system, the lectures that name it, its symbols, its proof and its exercises."""

    def run(self) -> list[nodes.Node]:
        self.depends_on("book/_data/*.toml", "lib/nimblelm/**/*.py", "book/ch*.md")
        systems, symbols = read_systems(), read_symbols()
        works = sum(system.works for system in systems)
        lines = [f"{len(systems)} systems, of which {works} work.", ""]
        for part in _chapters()["part"]:
            lines += [f"**{part['title']}**", ""]
            for chapter in part["chapters"]:
                page, title = chapter_page(chapter["number"]), f"{chapter['number']} · {chapter['title']}"
                rows = [system for system in systems if system.chapter == chapter["number"]]
                lines += [f"[{title}]({page.name})" if page else f"{title}, planned", ""]
                lines += self.table(rows, symbols) if page else [self.planned(rows), ""]
        return self.parse(lines)

    @staticmethod
    def planned(rows: list[System]) -> str:
        return "; ".join(f"{system.name} ({system.lectures})" for system in rows) + "."

    @staticmethod
    def table(rows: list[System], symbols: dict[str, Symbol]) -> list[str]:
        lines = ["| System | Lectures | Symbols of lib | Proof | Exercises |", "|---|" + 4 * "---|"]
        for system in rows:
            names = "<br>".join(_symbol_link(full_name(short, symbols), symbols) for short in system.symbols)
            graded = "<br>".join(f"{{exercise}}`{name}`" for name in system.graded) or f"none: {system.shown}"
            lines.append(f"| {system.name} | {system.lectures} | {names} | `{system.proof}` | {graded} |")
        return [*lines, ""]


class Traceability(GeneratedMarkdown):
    """One row for each slide; without an argument, also the checks of each exercise."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        self.depends_on("book/_data/slides.toml", "lib/nimblelm/**/*.py", *TASK_FILES)
        chapter = self.arguments[0] if self.arguments else ""
        lines = self.slide_rows(chapter)
        return self.parse(lines if chapter else [*lines, *self.check_rows()])

    @staticmethod
    def slide_rows(chapter: str) -> list[str]:
        symbols = read_symbols()
        lines = ["| Lecture | Slide | Section | Symbols of lib | Exercises |", "|---|" + 4 * "---|"]
        for slide in read_slides():
            if slide.section.startswith(chapter):
                names = "<br>".join(_symbol_link(name, symbols) for name in slide.symbols) or "(none)"
                graded = "<br>".join(f"{{exercise}}`{name}`" for name in slide.exercises) or "(to read)"
                title = f"(added) {slide.title}" if slide.added else slide.title
                lines.append(f"| {slide.letter} | {title} | {{ref}}`{slide.section}` | {names} | {graded} |")
        return lines

    @staticmethod
    def check_rows() -> list[str]:
        lines = ["", "The checks of each exercise. Some run in the notebook; the others run when it is graded.", ""]
        lines += ["| Exercise | Checks in the notebook | Checks at grading |", "|---|---|---|"]
        for e in read_exercises().values():
            shown, hidden = ([_in_words(c.name) for c in e.checks if c.hidden is kind] for kind in (False, True))
            lines.append(f"| {_exercise_link(e)} | {'<br>'.join(shown)} | {'<br>'.join(hidden)} |")
        return lines


def _in_words(check_name: str) -> str:
    return check_name.replace("_", " ")


def _symbol_link(name: str, symbols: dict[str, Symbol]) -> str:
    short = name.rsplit(".", 1)[-1]
    return f"{{ref}}`{short} <{symbols[name].label}>`" if name in symbols else f"`{short}`"


def setup(app: Sphinx) -> None:
    app.add_role("exercise", ExerciseRole())
    app.add_directive("exercise-list", ExerciseList)
    app.add_directive("course-map", CourseMap)
    app.add_directive("systems", Systems)
    app.add_directive("traceability", Traceability)
