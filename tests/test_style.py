"""The linter, the formatter and the type checker find nothing, and files are short."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MOST_LINES = 350


@pytest.mark.parametrize("command", ["ruff check .", "ruff format --check .", "pyright"])
def test_tool_finds_nothing(command):
    tool, *arguments = command.split()
    found = subprocess.run([Path(sys.executable).with_name(tool), *arguments], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout[-3000:] + found.stderr[-3000:]


def is_too_long(text: str) -> bool:
    """Whether a file is longer than it may be and its docstring does not say why: "Long because ..."."""
    return text.count("\n") > MOST_LINES and "Long because" not in (ast.get_docstring(ast.parse(text)) or "")


def test_no_file_is_long_without_a_reason_at_its_top():
    files = [path for folder in ("lib", "autograder", "tests") for path in (ROOT / folder).rglob("*.py")]
    assert [str(path.relative_to(ROOT)) for path in files if is_too_long(path.read_text(encoding="utf-8"))] == []


def test_a_long_file_is_found_and_a_reason_is_read():
    body = "x = 1\n" * MOST_LINES
    assert is_too_long(f'"""Numbers."""\n{body}')
    assert not is_too_long(f'"""Numbers.\n\nLong because they are many.\n"""\n{body}')
    assert not is_too_long(body)
