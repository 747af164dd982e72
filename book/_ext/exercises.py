"""`{quiz}` and `{exercise}`: questions inside a chapter that the page itself checks, without a server.

Both are `details` elements, which work without scripts; `_assets/js/exercises.js` marks answers, checks numbers and
remembers in the reader's browser what was worked through.
"""

import ast
import hashlib
import html
import math
import operator
import re
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from generated_markdown import GeneratedMarkdown
from sphinx.application import Sphinx

_VERDICTS = ("Yes.", "No.")
_PARTS = re.compile(r"^\+\+\+\s*$", re.MULTILINE)
_OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
              ast.Pow: operator.pow, ast.USub: operator.neg}  # fmt: skip
_FUNCTIONS = {"sqrt": math.sqrt, "exp": math.exp, "log": math.log, "log2": math.log2, "ceil": math.ceil}


class Checked(GeneratedMarkdown):
    """The base of both: a box with a name of its own, under which the browser remembers its state."""

    has_content, final_argument_whitespace = True, True

    def box(self, kind: str, question: str, body: list[nodes.Node], attributes: dict[str, str]) -> list[nodes.Node]:
        """The body inside a `div` that a script finds by its `data-exercise`; a changed question is a new one."""
        name = hashlib.sha256(" ".join(question.split()).encode()).hexdigest()[:8]
        label = "Quiz" if kind == "quiz" else f"Exercise {self.number()}"
        given = {"class": kind, "id": f"{kind}-{name}", "data-exercise": name, "role": "group", "aria-label": label}
        text = " ".join(f'{key}="{html.escape(value)}"' for key, value in (given | attributes).items())
        return [_raw(f"<div {text}>"), *body, _raw("</div>")]

    def number(self) -> str:
        """Such as 2.3, the third exercise of chapter 2."""
        chapter = re.match(r"ch0*(\d+)_", self.env.docname)
        count = self.env.temp_data.get("course exercises", 0)
        return f"{chapter[1]}.{count}" if chapter else str(count)

    def folded(self, summary: list[nodes.Node], body: list[nodes.Node], attributes: str = "") -> list[nodes.Node]:
        return [_raw(f"<details{attributes}><summary>"), *summary, _raw("</summary>"), *body, _raw("</details>")]


class Quiz(Checked):
    """A question as the argument; a list of answers as the body, each followed by its explanation.

    The explanation begins with `Yes.` for the one right answer and with `No.` for each of the others.
    """

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        answers = self.parse(list(self.content))
        if len(answers) != 1 or not isinstance(answers[0], nodes.bullet_list):
            raise self.error("the body of a quiz is one list of answers")
        question = self.arguments[0]
        body: list[nodes.Node] = [nodes.container("", *self.parse([question]), classes=["quiz-question"])]
        verdicts = []
        for item in answers[0].children:
            answer, *why = item.children
            verdict = why[0].astext().partition(" ")[0] if why else ""
            if verdict not in _VERDICTS:
                raise self.error(f"the explanation of {answer.astext()!r} begins with neither 'Yes.' nor 'No.'")
            verdicts.append(verdict)
            right = ' data-right=""' if verdict == "Yes." else ""
            body += self.folded([nodes.inline("", "", *answer.children)], why, right)
        if verdicts.count("Yes.") != 1 or len(verdicts) < 3:
            raise self.error(f"a quiz has one right answer and two or more others; here: {verdicts}")
        return self.box("quiz", question, body, {})


class Exercise(Checked):
    """A small exercise. Its body is the question, a hint and the solution, with a line `+++` between them.

    With `:answer:` a reader types a number and the page checks it. The answer is written as it is computed:
    `2 * 32 * 8 * 128 * 2`; `+ - * / **`, parentheses, sqrt, exp, log, log2 and ceil are understood.
    """

    optional_arguments = 1
    option_spec: ClassVar = {"answer": directives.unchanged_required, "tolerance": directives.unchanged_required,
                   "unit": directives.unchanged_required}  # fmt: skip

    def run(self) -> list[nodes.Node]:
        parts = [part.strip("\n") for part in _PARTS.split("\n".join(self.content))]
        if len(parts) != 3 or not all(part.strip() for part in parts):
            raise self.error("an exercise is a question, a hint and a solution, with a line +++ between them")
        self.env.temp_data["course exercises"] = self.env.temp_data.get("course exercises", 0) + 1
        question, hint, solution = (self.parse(part.split("\n")) for part in parts)
        title = f"Exercise {self.number()}" + (f" · {self.arguments[0]}" if self.arguments else "")
        body: list[nodes.Node] = [nodes.container("", *self.parse([title]), classes=["exercise-title"]), *question]
        body += self.folded([nodes.Text("Hint")], hint, ' class="exercise-hint"')
        body += self.folded([nodes.Text("Solution")], solution, ' class="exercise-solution"')
        return self.box("exercise", parts[0], body, self.numeric())

    def numeric(self) -> dict[str, str]:
        """What the script needs to check a number; nothing where none is asked for."""
        if "answer" not in self.options:
            if self.options:
                raise self.error("unit and tolerance belong to an answer")
            return {}
        try:
            answer = value_of(self.options["answer"])
            tolerance = float(self.options.get("tolerance", 0.01))
        except (ValueError, SyntaxError, ZeroDivisionError) as error:
            raise self.error(f"the answer or its tolerance is no number: {error}") from None
        if not 0 <= tolerance < 0.5:
            raise self.error(f"the tolerance {tolerance} is relative: 0 or more, less than 0.5")
        return {
            "data-answer": repr(answer),
            "data-tolerance": repr(tolerance),
            "data-unit": self.options.get("unit", ""),
        }


def value_of(expression: str) -> float:
    """The value of an arithmetic expression.

    Raises:
        ValueError: it holds something besides numbers, operators and the functions named above.
    """

    def evaluate(node: ast.AST) -> float:
        match node:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                return value
            case ast.BinOp() if type(node.op) in _OPERATORS:
                return _OPERATORS[type(node.op)](evaluate(node.left), evaluate(node.right))
            case ast.UnaryOp(op=ast.USub()):
                return -evaluate(node.operand)
            case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name in _FUNCTIONS:
                return _FUNCTIONS[name](evaluate(argument))
        raise ValueError(f"{ast.unparse(node)!r} is not arithmetic")

    return evaluate(ast.parse(str(expression), mode="eval").body)


def _raw(text: str) -> nodes.raw:
    return nodes.raw("", text, format="html")


def setup(app: Sphinx) -> None:
    app.add_directive("quiz", Quiz)
    app.add_directive("exercise", Exercise)
