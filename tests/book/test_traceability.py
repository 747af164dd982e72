"""The thread slide -> section -> symbol -> exercise -> check has no loose end."""

import re
from pathlib import Path

import pytest
from traceability import read_exercises, read_slides, read_symbols

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def anchors() -> set[str]:
    """Every section anchor of every chapter."""
    chapters = (ROOT / "book").glob("ch*.md")
    return {a for c in chapters for a in re.findall(r"^\(([\w-]+)\)=$", c.read_text(encoding="utf-8"), re.MULTILINE)}


def test_every_slide_leads_to_a_section_symbols_and_exercises(anchors):
    symbols, exercises = read_symbols(), read_exercises()
    slides = read_slides()
    assert slides
    for slide in slides:
        assert slide.section in anchors, f"slide {slide.title!r} names the section {slide.section!r}"
        for name in slide.symbols:
            assert name in symbols, f"slide {slide.title!r} names the symbol {name!r}"
        for name in slide.exercises:
            assert name in exercises, f"slide {slide.title!r} names the exercise {name!r}"


def test_every_public_symbol_names_a_chapter_that_exists():
    symbols = read_symbols()
    assert symbols
    for symbol in symbols.values():
        assert symbol.chapter, f"{symbol.name}: the docstring does not end with 'Chapter: book/chNN_slug'"
        assert (ROOT / f"{symbol.chapter}.md").exists(), f"{symbol.name} names {symbol.chapter}"


def test_every_exercise_is_reached_from_a_slide_and_has_checks():
    reached = {name for slide in read_slides() for name in slide.exercises}
    exercises = read_exercises()
    assert exercises
    assert set(exercises) == reached
    for name, exercise in exercises.items():
        assert (ROOT / f"{exercise.chapter}.md").exists()
        assert [c for c in exercise.checks if not c.hidden], f"{name} has no check that a student sees"
        assert len([c for c in exercise.checks if c.hidden]) >= 3, f"{name} has fewer than three hidden checks"


def test_the_page_shows_every_slide_symbol_exercise_and_check(site):
    page = (site / "traceability.html").read_text(encoding="utf-8")
    slides, exercises = read_slides(), read_exercises()
    for slide in slides:
        for name in slide.symbols:
            assert f"reference.html#lib-{name.lower().replace('.', '-').replace('_', '-')}" in page, name
    for exercise in exercises.values():
        for check in exercise.checks:
            assert check.name.replace("_", " ") in page, check.name


def test_a_check_of_an_unknown_exercise_is_an_error(tmp_path):
    task = tmp_path / "autograder/tasks/a99_x"
    task.mkdir(parents=True)
    entry = 'id = "known"\ntitle = "t"\nminutes = 5\ndifficulty = 1\n'
    (task / "task.toml").write_text(f'chapter = "book/ch99_x"\n[[exercise]]\n{entry}')
    (task / "checks.py").write_text('@check("unknown", points=1)\ndef holds(call, rng):\n    """It holds."""\n')
    with pytest.raises(ValueError, match="a99_x/unknown"):
        read_exercises(tmp_path)


def test_a_docstring_must_end_with_its_chapter(tmp_path):
    module = tmp_path / "lib/nimblelm/a.py"
    module.parent.mkdir(parents=True)
    module.write_text('def f():\n    """F.\n\n    Chapter: book/ch02_x\n    """\n\ndef g():\n    """G."""\n')
    symbols = read_symbols(tmp_path)
    assert symbols["nimblelm.a.f"].chapter == "book/ch02_x"
    assert symbols["nimblelm.a.g"].chapter is None
