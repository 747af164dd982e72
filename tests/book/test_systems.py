"""Every system that the lectures name has a row, and every link of a row leads somewhere."""

import importlib
import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from systems import chapter_page, full_name, is_test, loose_ends, read_systems
from traceability import read_exercises, read_symbols

ROOT = Path(__file__).resolve().parents[2]
SYSTEMS = read_systems()
CHAPTERS = {
    chapter["number"]: chapter
    for part in tomllib.loads((ROOT / "book/_data/chapters.toml").read_text(encoding="utf-8"))["part"]
    for chapter in part["chapters"]
}


@pytest.fixture(scope="module")
def known() -> tuple[set[str], set[str]]:
    """The names of lib's symbols and of the exercises."""
    return set(read_symbols()), set(read_exercises())


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.name)
def test_every_link_of_a_row_leads_somewhere(system, known):
    assert loose_ends(system, *known) == []


def test_symbols_can_be_imported(known):
    for name in {full_name(short, known[0]) for system in SYSTEMS for short in system.symbols}:
        module, _, symbol = name.rpartition(".")
        assert hasattr(importlib.import_module(module), symbol), name


def test_rows_are_unique_ordered_and_named_after_chapters_and_lectures_of_the_course():
    assert len({system.name for system in SYSTEMS}) == len(SYSTEMS)
    assert [s.chapter for s in SYSTEMS] == sorted(s.chapter for s in SYSTEMS)
    assert {s.chapter for s in SYSTEMS} == set(CHAPTERS)
    for number, chapter in CHAPTERS.items():
        letters = {letter for s in SYSTEMS if s.chapter == number for letter in s.lectures.split(", ")}
        assert letters == set(chapter["lectures"].split(", ")), chapter["title"]


def test_every_exercise_grades_a_system(known):
    assert {exercise for system in SYSTEMS for exercise in system.graded} == known[1]


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"status": "planned"}, "is 'planned', and chapter 2 is written"),
        ({"symbols": ("accept_nothing",)}, "'accept_nothing' names nothing of lib"),
        ({"symbols": ("Block",)}, "'Block' names"),
        ({"symbols": ()}, "names nothing of lib"),
        ({"proof": "tests/inference/speculative/test_decoder.py::test_gone"}, "has no test"),
        ({"proof": ""}, "has no test ''"),
        ({"graded": ("a02_speculative_decoding/gone",)}, "unknown exercise"),
        ({"graded": ()}, "either graded or shown"),
        ({"shown": "why not"}, "either graded or shown"),
        ({"words": "quantum decoding"}, "is never called 'quantum decoding' in chapter 2"),
        ({"chapter": 99}, "chapter 99 is not written"),
    ],
)
def test_a_loose_end_is_found(known, change, wrong):
    right = next(system for system in SYSTEMS if system.name == "Speculative decoding")
    found = loose_ends(replace(right, **change), *known)
    assert any(wrong in sentence for sentence in found), found


def test_only_functions_that_pytest_collects_are_proofs(tmp_path):
    file = tmp_path / "tests/test_a.py"
    file.parent.mkdir()
    file.write_text("def test_a():\n    def test_inner(): ...\n\ndef helper(): ...\n")
    assert is_test("tests/test_a.py::test_a", tmp_path)
    for node in ("tests/test_a.py::test_inner", "tests/test_a.py::helper", "tests/test_a.py", "test_b.py::test_a"):
        assert not is_test(node, tmp_path)


def test_readme_says_how_many_systems_work():
    works = sum(system.works for system in SYSTEMS)
    sentence = f"Of the {len(SYSTEMS)} systems that the five lectures name, {works} work here today"
    assert sentence in " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())


def test_the_page_shows_every_system_with_its_links(site, known):
    page = (site / "systems.html").read_text(encoding="utf-8")
    text = re.sub(r"<[^>]+>", "", page).replace("&amp;", "&").replace("’", "'")
    for system in SYSTEMS:
        assert system.name in text, system.name
        assert system.proof in text
        for short in system.symbols:
            anchor = full_name(short, known[0]).lower().replace(".", "-").replace("_", "-")
            assert f"reference.html#lib-{anchor}" in page, short
    assert {number for number in CHAPTERS if chapter_page(number)} == {s.chapter for s in SYSTEMS if s.works}
