"""A page is executed again when something that its outputs depend on has changed, and only then."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import execution
import pytest
from execution import UnknownInput, execute_pages, executed_folder, notebook_pages, plan, read_notebook
from jupyter_cache import get_cache

BUILD_SITE = Path(__file__).resolve().parents[2] / "book/_ext/build_site.py"
FRONT = """---
jupytext:
  text_representation: {extension: .md, format_name: myst, format_version: 0.13}
kernelspec: {display_name: Python 3, language: python, name: python3}
---
# A page
"""
CONFIG = """
execute: {execute_notebooks: cache, timeout: 600}
parse: {myst_enable_extensions: [colon_fence]}
sphinx: {config: {nb_execution_raise_on_error: true, language: en}}
"""
FILES = {
    "_config.yml": CONFIG,
    "requirements.txt": "torch==2",
    "book/_toc.yml": "root: intro\nparts: [{chapters: [{file: seen}, {file: heard, title: Heard}, {file: plain}]}]",
    "book/intro.md": "# No notebook",
    "book/seen.md": f"{FRONT}\nSome words.\n\n```{{code-cell}} ipython3\nfrom nimblelm.vision.vit import ViT\n```\n",
    "book/heard.md": f"{FRONT}\n```{{code-cell}} ipython3\nfrom nimblelm.audio import codec\nload('voice')\n```\n",
    "book/plain.md": f"{FRONT}\n```{{code-cell}} ipython3\nx = 1\n```\n",
    "lib/nimblelm/__init__.py": "",
    "lib/nimblelm/nn/__init__.py": "",
    "lib/nimblelm/nn/attention.py": "",
    "lib/nimblelm/vision/__init__.py": "",
    "lib/nimblelm/vision/vit.py": "from nimblelm.vision.blocks import Block",
    "lib/nimblelm/vision/blocks.py": "import nimblelm.nn.attention\nfrom nimblelm.data import emoji",
    "lib/nimblelm/data/emoji/__init__.py": "",
    "lib/nimblelm/data/emoji/concepts.json": "[]",
    "lib/nimblelm/audio/__init__.py": "",
    "lib/nimblelm/audio/codec.py": "FOLDER = DATA / 'checkpoints' / 'codec'",
    "lib/nimblelm/audio/unused.py": "",
    "lib/nimblelm/data/checkpoints/codec/weights.safetensors": "1",
    "lib/nimblelm/data/checkpoints/vit/weights.safetensors": "1",
    "lib/nimblelm/data/voices.json": "[]",
    "benchmarks/results/cpu/bench_vit.json": "{}",
}
SEEN, HEARD, PLAIN = "seen", "heard", "plain"


class Course:
    """A small course whose pages have all been executed, without running them."""

    def __init__(self, root: Path):
        self.root = root
        for name, text in FILES.items():
            self.write(name, text)
        self.execute_all()

    def write(self, name: str, text: str) -> None:
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_text(text)

    def append(self, name: str, text: str) -> None:
        self.write(name, f"{(self.root / name).read_text()}\n{text}")

    def execute_all(self) -> None:
        for page in notebook_pages(self.root):
            folder = executed_folder(page, self.root) / "executed" / "hash"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "base.ipynb").write_text("{}")

    def stale(self) -> set[str]:
        return set(plan(self.root).execute)


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return Course(tmp_path)


def test_only_pages_with_cells_are_planned(course):
    assert plan(course.root) == ([], [SEEN, HEARD, PLAIN])


@pytest.mark.parametrize(
    ("changed", "stale"),
    [
        ("lib/nimblelm/vision/vit.py", {SEEN}),
        ("lib/nimblelm/vision/blocks.py", {SEEN}),
        ("lib/nimblelm/nn/attention.py", {SEEN}),  # two hops away
        ("lib/nimblelm/nn/__init__.py", {SEEN}),
        ("lib/nimblelm/audio/codec.py", {HEARD}),
        ("lib/nimblelm/audio/unused.py", set()),
        ("lib/nimblelm/__init__.py", {SEEN, HEARD}),
        ("lib/nimblelm/data/checkpoints/codec/weights.safetensors", {HEARD}),
        ("lib/nimblelm/data/checkpoints/vit/weights.safetensors", set()),
        ("lib/nimblelm/data/voices.json", set()),
        ("lib/nimblelm/data/emoji/concepts.json", {SEEN}),  # lies in a package that is imported
        ("benchmarks/results/cpu/bench_vit.json", set()),
        ("requirements.txt", {SEEN, HEARD, PLAIN}),
        ("book/seen.md", set()),  # a word at its end
        ("book/intro.md", set()),
    ],
)
def test_a_change_makes_stale_what_depends_on_it(course, changed, stale):
    course.append(changed, "")
    course.append(changed, "# more")
    assert course.stale() == stale


@pytest.mark.parametrize(
    ("code", "then"),
    [
        ("def later():\n    import nimblelm.audio.unused", "lib/nimblelm/audio/unused.py"),
        ("from nimblelm.audio import *", "lib/nimblelm/audio/unused.py"),
        ("from ..audio import unused", "lib/nimblelm/audio/unused.py"),
        ("from . import deep", "lib/nimblelm/nn/deep/__init__.py"),
        ("import_module('nimblelm.audio.unused')", "lib/nimblelm/audio/unused.py"),
        ("importlib.import_module(f'nimblelm.audio.{name}')", "lib/nimblelm/audio/unused.py"),
        ("run([sys.executable, '-m', 'nimblelm.audio.unused'])", "lib/nimblelm/audio/unused.py"),
        ("if TYPE_CHECKING:\n    from nimblelm.audio.unused import A", "lib/nimblelm/audio/unused.py"),
        ("VOICES = Path(__file__).with_name('voices.json')", "lib/nimblelm/data/voices.json"),
        ("load('checkpoints/vit/weights.safetensors')", "lib/nimblelm/data/checkpoints/vit/weights.safetensors"),
        ("benchmark_result('bench_vit', row)", "benchmarks/results/cpu/bench_vit.json"),
        ("benchmark_result('bench_vit', row)", "benchmarks/results/h200/bench_vit.json"),  # not there before
        ("from book_tools.figures import show", "book/book_tools/figures.py"),
        ("from autograder.judge import timing", "autograder/judge/timing.py"),
    ],
)
def test_a_dependency_is_found_two_hops_away(course, code, then):
    for name in ("lib/nimblelm/nn/deep/__init__.py", "book/book_tools/figures.py", "autograder/judge/timing.py"):
        course.write(name, "")
    course.append("lib/nimblelm/nn/attention.py", code)
    course.execute_all()
    course.write(then, "changed = True")
    assert SEEN in course.stale()
    assert PLAIN not in course.stale()


@pytest.mark.parametrize(
    ("old", "new", "stale"),
    [
        ("import ViT", "import ViT as V", True),
        ("Some words", "Other words", False),
        ("name: python3", "name: python4", True),
        ("kernelspec:", "mystnb: {execution_timeout: 5}\nkernelspec:", True),
    ],
)
def test_cells_and_settings_of_a_page_count_and_prose_does_not(course, old, new, stale):
    page = course.root / "book/seen.md"
    page.write_text(page.read_text().replace(old, new))
    assert course.stale() == ({SEEN} if stale else set())


def test_settings_of_execution_count_and_others_do_not(course):
    course.write("_config.yml", CONFIG.replace("language: en", "language: de"))
    assert course.stale() == set()
    course.write("_config.yml", CONFIG.replace("timeout: 600", "timeout: 60"))
    assert course.stale() == {SEEN, HEARD, PLAIN}


def test_another_version_of_python_executes_all(course, monkeypatch):
    monkeypatch.setattr("platform.python_version_tuple", lambda: ("3", "10", "0"))
    assert course.stale() == {SEEN, HEARD, PLAIN}


def test_an_included_file_counts(course):
    course.append("book/plain.md", "```{literalinclude} ../lib/nimblelm/audio/unused.py\n:lines: 1-2\n```")
    course.execute_all()
    course.append("lib/nimblelm/audio/unused.py", "x = 2")
    assert course.stale() == {PLAIN}


def test_a_page_that_reads_what_its_plan_does_not_know_is_an_error(course):
    """Also a file that no string names, and a module that no import names."""
    course.write("book/secret.json", "[]")
    course.write("book/plain.md", FRONT + "\n```{code-cell} ipython3\nopen('sec' + 'ret.json').read()\n```\n")
    with pytest.raises(UnknownInput, match=r"plain opens book/secret\.json"):
        execute_pages([PLAIN], course.root)
    assert course.stale() == {PLAIN}
    course.write("book/plain.md", FRONT + "\n```{code-cell} ipython3\nimport json\njson.dumps(1)\n```\n")
    execute_pages([PLAIN], course.root)
    assert course.stale() == set()


def test_pages_that_run_at_once_are_parsed_one_after_the_other(course, monkeypatch):
    """Python 3.11 fails at random, with "AST constructor recursion depth mismatch", where two threads parse at once."""
    threads, find = set(), execution.page_inputs

    def watched(*arguments):
        threads.add(threading.current_thread())
        return find(*arguments)

    monkeypatch.setattr(execution, "page_inputs", watched)
    course.write("book/seen.md", FILES["book/plain.md"])
    execute_pages([PLAIN, SEEN], course.root)
    assert threads == {threading.main_thread()}


def test_what_was_executed_is_what_myst_nb_finds(course):
    execute_pages([PLAIN], course.root)
    found = get_cache(executed_folder(PLAIN, course.root)).match_cache_notebook(read_notebook(PLAIN, course.root))
    assert found.data["execution_seconds"] > 0


def test_the_plan_of_this_course_is_one_object_of_all_pages_with_cells():
    command = [sys.executable, str(BUILD_SITE), "--plan", "--json"]
    planned = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert planned.keys() == {"execute", "cached"}
    assert sorted(planned["execute"] + planned["cached"]) == sorted(notebook_pages())
    assert {page.stem for page in BUILD_SITE.parents[1].glob("ch*.md")} <= set(notebook_pages())
