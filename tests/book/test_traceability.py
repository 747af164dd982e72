"""The thread slide -> section -> symbol -> exercise -> check has no loose end."""

import re
import tomllib
from pathlib import Path

import pytest
from traceability import misleading_chapters, read_exercises, read_slides, read_symbols

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


def test_a_chapter_has_slides_of_just_the_lectures_that_the_map_names():
    parts = tomllib.loads((ROOT / "book/_data/chapters.toml").read_text(encoding="utf-8"))["part"]
    lectures = {c["number"]: set(c["lectures"].split(", ")) for part in parts for c in part["chapters"]}
    shown: dict[int, set[str]] = {}
    for slide in read_slides():
        shown.setdefault(int(slide.section[2:4]), set()).add(slide.letter)
    assert shown == {number: lectures[number] for number in shown}
    assert {int(page.name[2:4]) for page in (ROOT / "book").glob("ch*.md")} <= set(shown)


def test_a_symbol_names_a_chapter_only_where_that_chapter_knows_it():
    assert misleading_chapters() == {}


def test_a_chapter_knows_what_it_mentions_imports_or_has_in_a_table(tmp_path):
    def write(name: str, text: str) -> None:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    page = "book/ch02_x.md"
    write(page, "A `Draft` and\nfrom nimblelm.nn import norms, mlp\nsee lib/nimblelm/shown.py; nimblelm.dotted.do()")
    row = '[[system]]\nname = "Tree"\nlectures = "A"\nchapter = 2\nstatus = "works"\nsymbols = ["trees.Tree"]\n'
    write("book/_data/systems.toml", row)
    slide = 'title = "T"\nsection = "ch02-a"\nsymbols = ["nimblelm.slides.f"]\nexercises = []\n'
    write("book/_data/slides.toml", f'[[lecture]]\nletter = "L"\n[[lecture.slide]]\n{slide}')
    says = '\n    """It.\n\n    Chapter: book/ch02_x\n    """\n'
    for module in ("nn/norms", "nn/mlp", "shown", "dotted", "slides", "plumbing"):
        write(f"lib/nimblelm/{module}.py", f"def f():{says}")
    write("lib/nimblelm/drafts.py", f"class Draft:{says}\n\nclass Drafts:{says}\n\nclass Silent: ...\n")
    write("lib/nimblelm/trees.py", f"class Tree:{says}\n\nclass SubTree:{says}")
    write("lib/nimblelm/nn/positions.py", f"def f():{says}")
    wrong = ("plumbing.f", "drafts.Drafts", "trees.SubTree", "nn.positions.f")
    assert set(misleading_chapters(tmp_path)) == {f"nimblelm.{name}" for name in wrong}


def test_every_exercise_is_reached_from_a_slide_and_has_checks():
    reached = {name for slide in read_slides() for name in slide.exercises}
    exercises = read_exercises()
    assert exercises
    assert set(exercises) == reached
    for name, exercise in exercises.items():
        assert (ROOT / f"{exercise.chapter}.md").exists()
        assert [c for c in exercise.checks if not c.hidden], f"{name} has no check that a student sees"
        assert len([c for c in exercise.checks if c.hidden]) >= 3, f"{name} has fewer than three hidden checks"


def test_labels_that_differ_by_capitals_alone_are_told_apart():
    labels = [symbol.label for symbol in read_symbols().values()]
    assert len(set(labels)) == len(labels)
    voices = {read_symbols()[f"nimblelm.data.voices.{name}"].label for name in ("Clip", "clip")}
    assert voices == {"lib-nimblelm.data.voices.clip", "lib-nimblelm.data.voices.clip-2"}


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
    (task / "checks").mkdir()
    (task / "checks" / "known.py").write_text(
        '@check("unknown", points=1)\ndef holds(call, rng):\n    """It holds."""\n'
    )
    with pytest.raises(ValueError, match="a99_x/unknown"):
        read_exercises(tmp_path)


def test_a_docstring_must_end_with_its_chapter(tmp_path):
    module = tmp_path / "lib/nimblelm/a.py"
    module.parent.mkdir(parents=True)
    module.write_text('def f():\n    """F.\n\n    Chapter: book/ch02_x\n    """\n\ndef g():\n    """G."""\n')
    symbols = read_symbols(tmp_path)
    assert symbols["nimblelm.a.f"].chapter == "book/ch02_x"
    assert symbols["nimblelm.a.g"].chapter is None
