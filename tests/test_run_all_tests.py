"""Three tiers of tests are all tests, and their record says how each ended."""

import importlib.util
import itertools
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("run_all_tests", ROOT / "tools/run_all_tests.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_test_is_in_one_tier(tool):
    for slow, release in itertools.product((False, True), repeat=2):
        chosen = [marks for marks in tool.TIERS.values() if eval(marks, {"slow": slow, "release": release})]
        assert len(chosen) == 1


def test_make_runs_the_same_tiers(tool):
    said = re.findall(r'\$\(PYTEST\) -m "([^"]+)"', (ROOT / "Makefile").read_text())
    assert said == [tool.TIERS["test"], tool.TIERS["test-slow"]]


def test_a_tier_is_counted_and_its_failures_are_named(tool, tmp_path):
    (tmp_path / "test_three.py").write_text(
        "import pytest\n"
        "def test_holds(): pass\n"
        "def test_breaks(): assert False\n"
        "@pytest.mark.skip\ndef test_waits(): pass\n"
        "@pytest.fixture\ndef broken(): raise OSError\n"
        "def test_errs(broken): pass\n"
    )
    pytest_here = [sys.executable, "-m", "pytest", "-q", "--rootdir", str(tmp_path), str(tmp_path)]
    found = tool.run_tier(pytest_here, "not slow")
    assert {**found, "minutes": 0} == {
        "passed": 1,
        "skipped": 1,
        "failed": ["test_three::test_breaks", "test_three::test_errs"],
        "status": 1,
        "minutes": 0,
    }
