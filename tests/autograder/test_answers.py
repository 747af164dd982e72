"""Answer files become the notebooks and wrong answers they describe; the sample class and kill matrix use them."""

import json
from pathlib import Path

import pytest

from autograder.assurance.answers import (
    AnswerFile,
    AnswerFileError,
    answered_cells,
    answered_notebook,
    read_answer_file,
    solution_cells,
)
from autograder.assurance.mutants import kill_matrix, read_mutants
from autograder.assurance.sample import expected_points, sample_students, write_sample_class
from autograder.cells.bundle import read_bundle
from autograder.wire.errors import UsageError
from autograder.wire.files import write_durably
from tests.autograder.toy import TOY, Toy

ANSWER = '''"""Subtracts.

base: stub
kills: add_is_right, another
"""


# %% add
def add(a, b):
    return a - b


# %% delete: add_test
# %% add: double
print("mine")
'''


def written(path: Path, text: str = ANSWER) -> Path:
    write_durably(path, text)
    return path


def test_an_answer_file_is_read_as_written(tmp_path: Path) -> None:
    found = read_answer_file(written(tmp_path / "add__minus.py"))
    assert (found.name, found.summary, found.from_stub) == ("add__minus", "Subtracts.", True)
    assert found.listed("kills") == ("add_is_right", "another")
    assert found.cells == {"add": "def add(a, b):\n    return a - b"}
    assert found.deleted == ("add_test",)
    assert found.added == (("double", 'print("mine")'),)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\n", "must begin with a docstring"),
        ('"""A.\n\nbase: nothing\n"""\n', "base is 'solution' or 'stub'"),
        ('"""A."""\n# %% two words\nx = 1\n', "not 'two words'"),
        ('"""A."""\n# %% add\n', "not 'add'"),
        ('"""A."""\ndef (\n', "invalid syntax"),
    ],
)
def test_a_malformed_answer_file_names_itself(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(AnswerFileError, match=said) as caught:
        read_answer_file(written(tmp_path / "broken.py", text))
    assert "broken.py" in str(caught.value)


def test_solution_cells_have_the_solution_and_no_marks(toy: Toy) -> None:
    cells = solution_cells(toy.course, TOY)
    assert list(cells) == ["add", "double"]
    assert cells["add"] == "def add(a, b):\n    return a + b  # canary-solution-add"


def test_the_base_fills_the_other_cells(toy: Toy) -> None:
    solutions = solution_cells(toy.course, TOY)
    for base, expected in (("solution", solutions["double"]), ("stub", toy.released().stubs["double"])):
        answer = AnswerFile("x", "", {"base": base}, {"add": "mine"}, (), ())
        assert answered_cells(answer, toy.released(), solutions) == {"add": "mine", "double": expected}
    stranger = AnswerFile("x", "", {}, {"divide": "mine"}, (), ())
    with pytest.raises(AnswerFileError, match="no exercise 'divide'"):
        answered_cells(stranger, toy.released(), solutions)


def test_a_notebook_has_cells_taken_out_and_put_in(toy: Toy, tmp_path: Path) -> None:
    answer = read_answer_file(written(tmp_path / "x.py"))
    notebook = answered_notebook(answer, toy.released(), solution_cells(toy.course, TOY))
    sources = ["".join(cell["source"]) for cell in notebook["cells"]]
    assert 'check("add", add)' not in sources
    assert sources[sources.index('print("mine")') - 1] == toy.released().stubs["double"]
    found = read_bundle(toy.submit("x", notebook), TOY, toy.released())
    assert found.cells["add"] == "def add(a, b):\n    return a - b"
    assert len(toy.released().document["cells"]) == 7


def sample(toy: Toy, name: str, text: str) -> None:
    written(toy.course.sample_class(TOY) / f"{name}.py", text)


def test_sample_class_is_handed_in_once_and_renewed(toy: Toy) -> None:
    sample(toy, "full", '"""All.\n\nkeeps: all\n"""\n')
    sample(toy, "none", '"""None.\n\nbase: stub\nkeeps: none\n"""\n')
    assert write_sample_class(toy.course, TOY) == ["full", "none"]
    assert write_sample_class(toy.course, TOY) == []
    sample(toy, "full", '"""All.\n\nkeeps: all\n"""\n# %% add\nadd = 3\n')
    assert write_sample_class(toy.course, TOY) == ["full"]


def test_real_students_are_left_alone(toy: Toy) -> None:
    sample(toy, "full", '"""All."""\n')
    sample(toy, "ann", '"""Has the name of a student."""\n')
    path = toy.submit("ann", toy.notebook(add="hers"))
    before = path.read_bytes()
    assert write_sample_class(toy.course, TOY) == []
    assert write_sample_class(toy.course, TOY, force=True) == ["full"]
    assert path.read_bytes() == before


def test_a_sample_class_that_is_not_there_is_said_to_be_missing(toy: Toy) -> None:
    with pytest.raises(UsageError, match="no sample class"):
        write_sample_class(toy.course, TOY)


def test_expected_points_follow_keeps_and_loses(toy: Toy) -> None:
    points = {"add": {"a": 1.0, "b": 1.0}, "double": {"c": 3.0}}
    cases = {
        '"""X."""\n': {"add": 2.0, "double": 3.0},
        '"""X.\n\nkeeps: none\n"""\n': {"add": 0.0, "double": 0.0},
        '"""X.\n\nkeeps: add\nloses: b, c\n"""\n': {"add": 1.0, "double": 0.0},
    }
    for number, (text, expected) in enumerate(cases.items()):
        sample(toy, f"s{number}", text)
        assert expected_points(sample_students(toy.course, TOY)[number], points) == expected
    sample(toy, "wrong", '"""X.\n\nloses: d\n"""\n')
    with pytest.raises(AnswerFileError, match="'d' is no exercise or check"):
        expected_points(sample_students(toy.course, TOY)[-1], points)


def mutant(toy: Toy, name: str, kills: str, body: str) -> None:
    text = f'"""A bug.\n\nkills: {kills}\n"""\n# %% {name.partition("__")[0]}\n{body}\n'
    written(toy.course.tasks(TOY) / "mutants" / f"{name.replace('__', '/')}.py", text)


def test_kill_matrix_tells_caught_survivors_and_collateral(toy: Toy) -> None:
    mutant(toy, "add__minus", "add_is_right", "def add(a, b):\n    return a - b")
    mutant(toy, "add__harmless", "add_is_right", "def add(a, b):\n    return a + b")
    mutant(toy, "double__other", "something_else", "def double(a):\n    return a")
    table = kill_matrix(toy.course, TOY, policy=toy.policy)
    assert table.json() == {
        "assignment": TOY,
        "exercises": 2,
        "mutants": 3,
        "killed": 1,
        "survivors": ["add__harmless", "double__other"],
        "not_run": [],
        "collateral": [],
        "solution": {"score": 5.0, "max": 5.0},
        "stub": {"score": 0.0, "max": 5.0},
    }
    lost = {one.mutant: one.points_lost for one in table.mutants}
    assert lost == {"add__harmless": 0.0, "add__minus": 2.0, "double__other": 3.0}
    runs = toy.judge_runs
    kill_matrix(toy.course, TOY, policy=toy.policy)
    assert toy.judge_runs == runs


def test_wrong_answers_whose_device_is_not_here_are_in_no_count(toy: Toy) -> None:
    mutant(toy, "add__minus", "add_is_right", "def add(a, b):  # JUDGE_NEEDS_GPU\n    return a - b")
    mutant(toy, "double__other", "double_is_right", "def double(a):\n    return a")
    found = kill_matrix(toy.course, TOY, policy=toy.policy).json()
    assert (found["mutants"], found["killed"], found["survivors"]) == (1, 1, [])
    assert found["not_run"] == ["add__minus"]


def test_points_lost_in_another_exercise_are_collateral(toy: Toy) -> None:
    mutant(toy, "add__spreads", "add_is_right", "SPREADS = 'JUDGE_SPREADS'")
    judge = toy.course.root / "fake_judge.py"
    judge.write_text(
        judge.read_text().replace(
            "passed = right[name] in source", "passed = right[name] in source and 'SPREADS' not in str(job['cells'])"
        )
    )
    found = kill_matrix(toy.course, TOY, policy=toy.policy).json()
    assert found["collateral"] == ["add__spreads: double"]
    assert kill_matrix(toy.course, TOY, policy=toy.policy, quick=True).json()["collateral"] == []


def test_wrong_answers_say_what_kills_them_and_name_their_exercise(toy: Toy) -> None:
    mutant(toy, "add__minus", "add_is_right", "def add(a, b):\n    return a - b")
    assert [one.name for one in read_mutants(toy.course, TOY, "add")] == ["add__minus"]
    assert read_mutants(toy.course, TOY, "double") == []
    with pytest.raises(UsageError, match=r"Unknown exercise 'divide'. Known: add, double"):
        read_mutants(toy.course, TOY, "divide")
    mutant(toy, "add__quiet", "", "def add(a, b):\n    return a - b")
    with pytest.raises(AnswerFileError, match=r"mutants/add/quiet\.py: it does not say which checks catch it"):
        read_mutants(toy.course, TOY)


def test_the_notebook_of_a_sample_student_is_marked(toy: Toy) -> None:
    sample(toy, "full", '"""All."""\n')
    write_sample_class(toy.course, TOY)
    assert json.loads(toy.course.submission("full", TOY).read_text())["metadata"]["sample_class"] is True
