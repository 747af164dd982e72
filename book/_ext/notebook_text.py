"""MyST text as Markdown that any notebook shows: nothing of it is lost, and nothing needs Sphinx.

Roles become words, labelled equations get their numbers, listings are copied in, answers and solutions are folded. A
directive or a role that is not known here is an error.
"""

import ast
import re
from collections.abc import Callable, Iterator

from book_names import Names
from fingerprint import ROOT
from traceability import read_exercises, read_slides

_FENCE = re.compile(r"^(?P<fence>`{3,}|:{3,})(?P<rest>.*)$")
_HEAD = re.compile(r"^\{(?P<name>[\w:-]+)\}\s*(?P<argument>.*)$")
_OPTION = re.compile(r"^:([\w-]+):\s*(.*)$")
_ROLE = re.compile(r"\{(?P<name>[\w:-]+)\}`(?P<text>[^`]+)`")
_TITLED = re.compile(r"^(?P<words>.*?)\s*<(?P<target>[^<>]+)>$", re.DOTALL)
_PAGE_LINK = re.compile(r"\[([^\]]*)\]\(([\w/]+)\.(?:md|ipynb)(?:#[\w-]*)?\)")
_TARGET = re.compile(r"^\([\w-]+\)=\s*$\n?", re.MULTILINE)
_LABELLED = re.compile(r"\$\$(?P<formula>(?:(?!\$\$).)+?)\$\$[ \t]*\((?P<label>[\w-]+)\)", re.DOTALL)


class UnknownMarkup(Exception):
    """The text holds a role or a directive that nobody has written out for notebooks."""


class NotebookText:
    """Turns the text of one page into Markdown and remembers which works it cites.

    Args:
        glued: the values that the text may quote.
        pages: the pages that are notebooks; links to them stay links.
        names: the names of what the text refers to.
        chapter: number of the chapter, for its exercises.
    """

    def __init__(self, glued: dict[str, str], pages: set[str], names: Names, chapter: int | None = None):
        self.glued, self.pages, self.names, self.chapter = glued, pages, names, chapter
        self.cited: dict[str, None] = {}
        self.exercises = 0

    def markdown(self, source: str) -> str:
        """The text of a cell.

        Raises:
            KeyError: it quotes a value that no cell glued, or refers to something that the book has not.
            UnknownMarkup: it holds a role or a directive that is not known here.
        """
        return "\n\n".join(part for part in self.blocks(source.split("\n")) if part).strip()

    def blocks(self, lines: list[str]) -> Iterator[str]:
        prose: list[str] = []
        while lines:
            line, lines = lines[0], lines[1:]
            match = _FENCE.match(line)
            if match is None:
                prose.append(line)
                continue
            end = next(i for i, other in enumerate(lines) if other.rstrip() == match["fence"])
            body, lines = lines[:end], lines[end + 1 :]
            yield self.prose("\n".join(prose))
            prose = []
            head = _HEAD.match(match["rest"].strip())
            code = "\n".join([line, *body, match["fence"]])
            yield self.directive(head["name"], head["argument"], body) if head else code
        yield self.prose("\n".join(prose))

    def prose(self, text: str) -> str:
        text = _LABELLED.sub(self.numbered, text)
        text = _ROLE.sub(lambda m: self.role(m["name"], m["text"]), text)
        text = _PAGE_LINK.sub(lambda m: self.link(m[1], m[2]), text)
        return _TARGET.sub("", text).strip()

    def numbered(self, equation: re.Match) -> str:
        return f"$${equation['formula'].rstrip()} \\tag{{{self.names.equations[equation['label']]}}}\n$$"

    def role(self, name: str, text: str) -> str:
        titled = _TITLED.match(text)
        words, target = (titled["words"], titled["target"]) if titled else (None, text)
        if name.startswith("glue:"):
            key, _, spec = text.partition(":")
            return _formatted(self.glued[key], spec)
        if name.startswith("cite:"):
            return self.citation(name.removeprefix("cite:"), [key.strip() for key in text.split(",")])
        known: dict[str, Callable[[], str]] = {
            "doc": lambda: self.link(words or self.names.sections.get(target, target), target),
            "eq": lambda: f"({self.names.equations[target]})",
            "prf:ref": lambda: words or self.names.theorems[target],
            "ref": lambda: words or self.names.sections[target.lower()],
            "term": lambda: words or target,
            "exercise": lambda: read_exercises()[target].title,
            "code": lambda: f"`{text}`",
        }
        if name not in known:
            raise UnknownMarkup(f"the role {{{name}}}`{text}`")
        return known[name]()

    def citation(self, style: str, keys: list[str]) -> str:
        self.cited |= dict.fromkeys(keys)
        works = [self.names.authors[key] for key in keys]
        if style == "t":
            return ", ".join(f"{authors} ({year})" for authors, year in works)
        if style != "p":
            raise UnknownMarkup(f"the role {{cite:{style}}}")
        return f"({'; '.join(f'{authors}, {year}' for authors, year in works)})"

    def link(self, words: str, page: str) -> str:
        return f"[{words}]({page}.ipynb)" if page in self.pages else words

    def directive(self, name: str, argument: str, body: list[str]) -> str:
        options: dict[str, str] = {}
        while body and (option := _OPTION.match(body[0])):
            options[option[1]] = option[2]
            body = body[1:]
        text = "\n".join(body).strip("\n")
        if name.startswith("prf:"):
            return self.theorem(name.removeprefix("prf:"), argument, options, text)
        known: dict[str, Callable[[], str]] = {
            "chapter-header": lambda: f"*Before you start:* {self.markdown(text)}",
            "quiz": lambda: self.quiz(argument, text),
            "exercise": lambda: self.exercise(argument, options, text),
            "exercise-list": lambda: _exercise_list(argument),
            "traceability": lambda: _slide_list(argument, self.names),
            "literalinclude": lambda: _listing(argument, options),
            "math": lambda: self.prose(f"$$\n{text}\n$$" + (f" ({options['label']})" if "label" in options else "")),
            "code-block": lambda: f"```{argument}\n{text}\n```",
            **dict.fromkeys(("note", "tip", "warning"), lambda: f"**{name.capitalize()}.** {self.markdown(text)}"),
            "admonition": lambda: f"**{self.prose(argument)}** {self.markdown(text)}",
        }
        if name not in known:
            raise UnknownMarkup(f"the directive {{{name}}}")
        return known[name]()

    def theorem(self, kind: str, argument: str, options: dict[str, str], text: str) -> str:
        if kind == "proof":
            return f"*Proof.* {self.markdown(text)} $\\square$"
        name = self.names.theorems[options["label"]] if "label" in options else kind.capitalize()
        return f"**{name}**{f' ({self.prose(argument)})' if argument else ''}**.** {self.markdown(text)}"

    def quiz(self, question: str, text: str) -> str:
        """Each answer is a line that unfolds what is right or wrong about it."""
        answers = [item for item in re.split(r"^- ", text, flags=re.MULTILINE) if item.strip()]
        parts = [f"**Quiz.** {self.prose(question)}"]
        for item in answers:
            answer, _, why = item.partition("\n\n")
            parts.append(folded(self.prose(answer), self.markdown(re.sub(r"^ {2}", "", why, flags=re.MULTILINE))))
        return "\n\n".join(parts)

    def exercise(self, title: str, options: dict[str, str], text: str) -> str:
        self.exercises += 1
        number = f"{self.chapter}.{self.exercises}" if self.chapter else str(self.exercises)
        question, hint, solution = (self.markdown(part) for part in re.split(r"^\+\+\+\s*$", text, flags=re.MULTILINE))
        unit = f" (in {options['unit']})" if "unit" in options else ""
        head = f"**Exercise {number}{f' · {self.prose(title)}' if title else ''}.**{unit} {question}"
        return "\n\n".join([head, folded("Hint", hint), folded("Solution", solution)])

    def references(self) -> str:
        """The list of the works that the text cites; empty where it cites none."""
        works = sorted(self.cited, key=lambda key: (self.names.authors[key][0].casefold(), self.names.authors[key][1]))
        return "\n".join(["## References", "", *(f"- {self.names.works[key]}" for key in works)]) if works else ""


def folded(summary: str, body: str) -> str:
    """A fold that Jupyter, Colab and GitHub show; the empty line lets them read the Markdown in it."""
    return f"<details><summary>{summary}</summary>\n\n{body}\n\n</details>"


def _formatted(text: str, spec: str) -> str:
    text = text.strip("'\"")
    return format(float(text), spec) if spec else text


def _listing(path: str, options: dict[str, str]) -> str:
    """The lines of a file that the page shows, as a code block under the file's name."""
    file = (ROOT / "book" / path).resolve()
    lines = file.read_text(encoding="utf-8").splitlines()
    unknown = options.keys() - {"language", "pyobject", "lines", "linenos", "caption"}
    if unknown:
        raise UnknownMarkup(f"literalinclude with {', '.join(sorted(unknown))}")
    if "pyobject" in options:
        lines = _python_object(lines, options["pyobject"])
    if "lines" in options:
        spans = [span.partition("-") for span in options["lines"].split(",")]
        ends = [(int(first), int(last or len(lines)) if dash else int(first)) for first, dash, last in spans]
        lines = [line for first, last in ends for line in lines[first - 1 : last]]
    if "linenos" in options:
        lines = [f"{number:>3}  {line}" for number, line in enumerate(lines, 1)]
    name = file.relative_to(ROOT).as_posix()
    return f"`{name}`\n\n```{options.get('language', 'python')}\n" + "\n".join(lines) + "\n```"


def _python_object(lines: list[str], name: str) -> list[str]:
    tree = ast.parse("\n".join(lines))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            return lines[first - 1 : node.end_lineno]
    raise KeyError(f"there is no {name}")


def _exercise_list(assignment: str) -> str:
    exercises = [exercise for exercise in read_exercises().values() if exercise.assignment == assignment]
    lines = [f"- {e.title}: {e.points:g} points, about {e.minutes} minutes" for e in exercises]
    return "\n".join([f"The exercises of the assignment `{assignment}`:", "", *lines])


def _slide_list(chapter: str, names: Names) -> str:
    slides = [slide for slide in read_slides() if slide.section.startswith(chapter)]
    return "\n".join(f"- {slide.title}: {names.sections.get(slide.section, slide.section)}" for slide in slides)
