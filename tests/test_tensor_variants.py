"""Every public function of the library gives one answer, however its tensors lie in memory, or says what it needs."""

from importlib import import_module

import pytest
import torch

from tests.public_tensors import rooms, takes_tensors
from tests.tensor_variants import Case, Exempt, holds, holds_elsewhere

TABLES = {room: import_module(f"tests.variants.{room}") for room in rooms()}
CASES = [
    (room, name) for room, table in TABLES.items() for name, entry in table.CASES.items() if isinstance(entry, Case)
]


@pytest.fixture
def one_thread():
    """Tensors this small take longer to share than to compute."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def interpreted_case(room: str, name: str) -> list[str]:
    """Called in the interpreter's process."""
    return holds(import_module(f"tests.variants.{room}").CASES[name])


@pytest.mark.parametrize("room", rooms())
def test_every_public_function_of_tensors_stands_in_the_table(room):
    table = TABLES[room]
    known = {name.partition("[")[0] for name in table.CASES} | set(table.NOT_YET)
    assert not (missing := set(takes_tensors(room)) - known), f"add to tests/variants/{room}.py: {sorted(missing)}"
    assert not (gone := known - set(takes_tensors(room))), f"the library has no more: {sorted(gone)}"
    assert not (done := set(table.CASES) & set(table.NOT_YET)), f"both held and not yet: {sorted(done)}"
    assert all(entry.reason for entry in table.CASES.values() if isinstance(entry, Exempt))


@pytest.mark.parametrize(("room", "name"), CASES, ids=lambda value: value)
def test_the_answer_does_not_depend_on_how_tensors_lie(room, name, interpreted, one_thread):
    case = TABLES[room].CASES[name]
    found = interpreted(interpreted_case, room, name) if case.interpreted else holds(case)
    assert not found, "\n".join(found)


@pytest.mark.parametrize(("room", "name"), CASES, ids=lambda value: value)
def test_no_dtype_and_no_size_of_numbers_makes_an_answer_wrong_in_silence(room, name, one_thread):
    case = TABLES[room].CASES[name]
    found = [] if case.interpreted else holds_elsewhere(case)
    assert not found, "\n".join(found)
