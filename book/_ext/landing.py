"""What the landing page is made of.

`{race}`           plain against speculative decoding, played from a committed recording
`{chapter-cards}`  every chapter of the course by part: what it is about, its minutes, whether it is here
`{course-size}`    a role: `chapters`, `built`, `minutes` or `exercises`, counted
"""

import json
import re
import tomllib

from docutils import nodes
from fingerprint import ROOT
from generated_markdown import GeneratedMarkdown
from race_picture import race_svg
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxRole
from systems import chapter_page
from traceability import read_exercises

RACE = ROOT / "benchmarks/results/cpu/bench_race.json"
_MINUTES = re.compile(r"^:minutes: *(\d+)", re.MULTILINE)


def read_parts() -> list[dict]:
    """The parts of the course with their chapters, as book/_data/chapters.toml has them."""
    return tomllib.loads((ROOT / "book/_data/chapters.toml").read_text(encoding="utf-8"))["part"]


def minutes_of(number: int) -> int | None:
    """Minutes to read a chapter, as its own header says; None while it is not written."""
    page = chapter_page(number)
    found = _MINUTES.search(page.read_text(encoding="utf-8")) if page else None
    return int(found[1]) if found else None


class ChapterCards(GeneratedMarkdown):
    """A list of cards for each part. Scripts add how far the reader has come."""

    def run(self) -> list[nodes.Node]:
        self.depends_on("book/_data/chapters.toml", "book/ch*.md")
        found: list[nodes.Node] = []
        for part in read_parts():
            cards = nodes.bullet_list(classes=["chapter-cards"])
            cards += [self.card(chapter) for chapter in part["chapters"]]
            found += [nodes.rubric(text=f"Part {part['title']}", classes=["part-title"]), cards]
        return found

    def card(self, chapter: dict) -> nodes.list_item:
        page, number = chapter_page(chapter["number"]), chapter["number"]
        title = f"[{chapter['title']}]({page.name})" if page else chapter["title"]
        minutes = minutes_of(number)
        status = f"{minutes} minutes · assignment {chapter['assignment']}" if page else "planned"
        item = nodes.list_item(classes=["chapter-card", "is-built" if page else "is-planned"])
        item += nodes.container("", *self.parse([str(number)]), classes=["card-number"])
        item += nodes.container("", *self.parse([title]), classes=["card-title"])
        item += nodes.container("", *self.parse([chapter["about"]]), classes=["card-about"])
        item += nodes.container("", *self.parse([status]), classes=["card-status"])
        if page:
            item += nodes.raw("", f'<div class="card-progress" data-page="{page.stem}"></div>', format="html")
        return item


class CourseSize(SphinxRole):
    """A count of what is here."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        chapters = [chapter for part in read_parts() for chapter in part["chapters"]]
        minutes = [minutes for chapter in chapters if (minutes := minutes_of(chapter["number"])) is not None]
        counts = {"chapters": len(chapters), "built": len(minutes), "hours": round(sum(minutes) / 60),
                  "exercises": len(read_exercises())}  # fmt: skip
        if self.text not in counts:
            message = self.inliner.reporter.error(f"course-size counts {', '.join(counts)}, not {self.text!r}")
            return [], [message]
        return [nodes.Text(str(counts[self.text]))], []


class Race(GeneratedMarkdown):
    """The recording as a widget; without scripts and in print, the picture of both."""

    def run(self) -> list[nodes.Node]:
        self.depends_on(str(RACE.relative_to(ROOT)))
        result = json.loads(RACE.read_text(encoding="utf-8"))
        data = json.dumps(result["recording"], ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
        widget = (
            '<div class="course-widget race" data-widget="race" role="group" aria-label="A race of two decoders">'
            f'<script type="application/json">{data}</script>'
            f'<div class="widget-static">{race_svg(result["recording"])}</div></div>'
        )
        (row,), details = result["rows"], result["details"]
        caption = (
            f"Recorded, not staged: the course's own pair of models on {details['threads']} CPU "
            f"core{'s' * (details['threads'] > 1)}, commit `{result['commit']}`. It continues the held-out file "
            f"`{details['shown']}`, at temperature {details['temperature']}, with the same random numbers in both "
            f"lanes. Of {details['prompts']} texts this is the one in the middle; over all of them speculative "
            f"decoding is **{row['ratio']:.2f} times** as fast (95 % interval {row['low']:.2f} to {row['high']:.2f})."
        )
        return [
            nodes.raw("", widget, format="html"),
            nodes.container("", *self.parse([caption]), classes=["race-note"]),
        ]


def setup(app: Sphinx) -> None:
    app.add_directive("chapter-cards", ChapterCards)
    app.add_directive("race", Race)
    app.add_role("course-size", CourseSize())
