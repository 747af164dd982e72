"""Pasting a module of the library or a cell of a chapter unread earns less than half of any exercise's points.

Students have both: an exercise asks for the same core and something more, which stands in neither.
"""

import re
import tomllib
from collections import namedtuple

import pytest
import torch

from tests.kernels.interpreter import Interpreter
from tests.solutions.adapters import adapters, takes
from tests.solutions.parts import nested_parts_of, parts_of
from tests.solutions.pasted_sources import Source, chapter_sources, defined, library_sources, needed_for
from tests.solutions.pasting import ROOT, Gain, adapted, as_it_is, gains, with_less

ASSIGNMENTS = sorted(path.parent.name for path in (ROOT / "autograder" / "tasks").glob("*/task.toml"))
SOURCES = [*library_sources(), *chapter_sources()]


@pytest.fixture(scope="module")
def interpreted():
    """Calls in a process of their own, where kernels run on the CPU and no call of the library is checked for types."""
    interpreter = Interpreter()
    yield interpreter
    interpreter.close()


def chapters_of(assignment: str) -> list[str]:
    """The pages that an assignment is of."""
    parts = tomllib.loads((ROOT / "book/_data/chapters.toml").read_text(encoding="utf-8"))["part"]
    return [
        f"ch{chapter['number']:02}_{chapter['slug']}.md"
        for part in parts
        for chapter in part["chapters"]
        if assignment.startswith(chapter["assignment"])
    ]


def of_its_chapter(assignment: str) -> list[Source]:
    """What a student has open: the cells of the assignment's chapters, and the modules that these import."""
    pages = [page for page in chapters_of(assignment) if (ROOT / "book" / page).is_file()]
    text = "\n".join((ROOT / "book" / page).read_text(encoding="utf-8") for page in pages)
    imported = {f"lib/{name.replace('.', '/')}" for name in re.findall(r"^from (nimblelm\.[\w.]+) import", text, re.M)}
    starts = *(f"{page}, cell" for page in pages), *(f"{path}{end}" for path in imported for end in (".py", "/"))
    return [source for source in SOURCES if source.name.startswith(starts)]


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_pasted_text_of_its_chapter_earns_less_than_half_of_an_exercise(assignment, interpreted):
    sources = of_its_chapter(assignment) or SOURCES  # before its chapter is there
    assert len(sources) > 8
    assert interpreted(gains, assignment, sources, as_it_is) == []


@pytest.mark.slow
@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_pasted_text_earns_less_than_half_of_an_exercise(assignment, interpreted):
    assert interpreted(gains, assignment, SOURCES, as_it_is) == []


@pytest.mark.release
@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_pasted_text_with_an_adapter_earns_less_than_half_of_an_exercise(assignment, interpreted):
    assert interpreted(gains, assignment, SOURCES, adapted) == []


ROUNDS = """
import torch
from nimblelm.inference.medusa.heads import MedusaHeads

SIZE = 3

def attention(q, k, v, mask):
    raise NotImplementedError

class Tree:
    def __init__(self, root, guesses):
        self.root, self.guesses = root, guesses

    def tokens(self, choices, pairs):
        tokens = {(): self.root}
        for c in choices:
            after = self.guesses[len(c) - 1] + pairs[tokens[c[:-1]]]
            tokens[c] = after.argsort(descending=True)[c[-1]]
        return torch.stack([*tokens.values()])
"""


def test_a_pasted_answer_is_found_under_another_name_and_as_a_method(interpreted):
    """The same answer as a function, with an argument too few, and as a method: what would be found is found."""
    answer = "def guessed(root, guesses, choices, pairs):\n    return Tree(root, guesses).tokens(choices, pairs)\n"
    whole = [Source("a function", ROUNDS + answer, frozenset({"guessed"}))]
    (gain,) = interpreted(gains, "a03_medusa_heads", whole, as_it_is)
    assert gain == Gain("candidates", "a function", "tree_tokens = guessed", 3, 3)
    method = [Source("a method", ROUNDS, frozenset({"Tree"}))]
    assert interpreted(gains, "a03_medusa_heads", method, as_it_is) == []
    (gain,) = interpreted(gains, "a03_medusa_heads", method, adapted)
    assert (gain.exercise, gain.stands, gain.points) == ("candidates", "tree_tokens = Tree(of 2).tokens", 3)


def test_a_part_of_what_a_pasted_function_returns_is_found(interpreted):
    """The answer as a field, as an item and as what becomes a tuple."""
    result = "Tree(root, guesses).tokens(choices, pairs)"
    kinds = "from collections import namedtuple\nTokens = namedtuple('Tokens', 'tokens rest')\n"
    cases = (
        (f"Tokens({result}, None)", "tree_tokens = guessed(...).tokens"),
        (f"[None, {result}]", "tree_tokens = guessed(...)[1]"),
        (f"{{'tokens': {result}}}", "tree_tokens = guessed(...)['tokens']"),
    )
    for returned, stands in cases:
        answer = f"{kinds}def guessed(root, guesses, choices, pairs):\n    return {returned}\n"
        source = [Source("a function", ROUNDS + answer, frozenset({"guessed"}))]
        (gain,) = interpreted(gains, "a03_medusa_heads", source, as_it_is)
        assert (gain.stands, gain.points) == (stands, 3)


def test_arguments_that_a_pasted_function_does_without_are_left_out():
    def doubled(x, y=0):
        return 2 * x + y

    left_out = dict(with_less("doubled", doubled))["doubled without the last 1"]
    assert takes(left_out, 2)
    assert left_out(3, [4]) == 6
    assert not takes(left_out, 1)


def test_what_a_line_can_take_from_a_result():
    def of(result):
        return [part.of("f") for part in parts_of(result)]

    assert of((1, 2)) == ["f(...)[0]", "f(...)[1]", "f(...)[-1]", "list(f(...))"]
    assert of(Gain("a", "b", "c", 1, 2))[:2] == ["f(...).exercise", "f(...).source"]
    assert of(iter([1])) == ["list(f(...))"]
    assert of(3) == of(None) == []


def test_a_part_of_a_part_is_taken():
    pair = namedtuple("Pair", "x y")
    result = pair([4, 5], pair(6, torch.ones(2)))
    taken = {part.of("f"): part(result) for part in nested_parts_of(result)}
    assert taken["f(...).x[1]"] == 5
    assert taken["f(...).y.x"] == 6
    assert "f(...).y.y[0]" not in taken


def test_of_a_chapter_is_pasted_what_its_functions_are_made_from():
    text = "import math\nside = 2\nprint(side)\nside = 3\ndef area(x):\n    y = x\n    return math.pi * side * y\ny = 1"
    assert defined(text) == {"area"}
    assert needed_for(defined(text), text).split("\n")[:3] == ["import math", "side = 3", "def area(x):"]
    assert len(chapter_sources()) > 20
    assert len(library_sources()) > 60


def test_other_forms_of_arguments_and_results_are_tried():
    """A record for the last arguments, dimensions in front, one part more, a limit, and what is changed in place."""
    pair = namedtuple("Pair", "x y")
    x, y = torch.arange(6.0).reshape(2, 3), torch.ones(2)

    def halve(both, by):
        both[0].div_(by)

    tried = dict(adapters("f", lambda x, both: x + both.x * both.y, [pair]))
    assert tried["f of the last 2 in Pair"](1, 2, 3) == 7
    lifted = dict(adapters("f", lambda x, y: (x * 2, x + y.shape[2]), []))["f with 2 more dimensions"]
    assert torch.equal(torch.stack(lifted(x, y)), torch.stack([2 * x, x + 2]))
    appended = dict(adapters("f", lambda outs, lses: (outs, lses), []))["f with the last appended"]
    outs, lses = appended(torch.ones(2, 3, 4), torch.ones(2, 3), torch.full((3,), 5.0))
    assert outs[2].eq(0).all()
    assert lses[2].eq(5).all()
    assert len(outs) == len(lses) == 3
    limited = dict(adapters("f", lambda x: 2 * x, []))["f, at most the last"]
    assert torch.equal(limited(torch.tensor([1, 2]), torch.tensor([5, 3])), torch.tensor([2, 3]))
    assert limited(3, 4) == 4
    assert limited(3, None) == 6
    changed = dict(adapters("f", halve, []))["what f changes"]
    assert torch.equal(changed(x.clone(), y.clone(), 2)[0], x / 2)
    assert changed.takes(3)
    assert not changed.takes(2)
