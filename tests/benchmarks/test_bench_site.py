"""The site's benchmark: what it copies, and how weights and seconds become rows."""

import math
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))


def test_a_page_at_its_budget_has_the_ratio_one_and_a_heavier_one_less():
    from bench_site import WEIGHT_LIMIT_BYTES, weight_rows

    light, heavy = weight_rows({"a.html": {"a": WEIGHT_LIMIT_BYTES}, "b.html": {"b": WEIGHT_LIMIT_BYTES, "c": 1}})
    assert (light.row, light.ratio, light.goal) == ("budget / weight of a.html", 1.0, 1.0)
    assert heavy.ratio < heavy.goal


def test_a_build_that_was_not_timed_is_missing():
    from bench_site import WARM_BUDGET_S, build_rows

    cold, warm = build_rows({"warm": WARM_BUDGET_S / 2})
    assert math.isnan(cold.ratio)
    assert (warm.row, warm.ratio) == ("budget / warm build", 2.0)


def test_the_copy_to_build_has_the_sources_and_nothing_built(tmp_path):
    from bench_site import copy_course

    copy_course(tmp_path)
    for name in ("book/_toc.yml", "lib/nimblelm/__init__.py", "benchmarks/bench_site.py", "_config.yml"):
        assert (tmp_path / name).read_bytes() == (ROOT / name).read_bytes()
    assert not (tmp_path / "_build").exists()
    assert not (tmp_path / ".venv").exists()
