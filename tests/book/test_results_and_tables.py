"""What a chapter quotes of the benchmarks, the tables that show it, and the marked tokens of a decode."""

import json
import re

import pytest
import torch
from book_tools import benchmark_result, results, tables, tokens

from nimblelm.inference.speculative.acceptance_stats import Round


@pytest.fixture
def shown(monkeypatch):
    """Calls something that displays one thing, and gives its HTML."""

    def call(action) -> str:
        displayed = []
        for module in (tables, tokens):
            monkeypatch.setattr(module, "display", displayed.append)
        action()
        (only,) = displayed
        return only.data

    return call


@pytest.fixture
def committed(tmp_path):
    """A folder of results with one row measured, one not, and a detail."""
    rows = [
        {"row": "fast", "ratio": 2.0, "low": 1.9, "high": 2.1, "goal": None},
        {"row": "unknown", "ratio": None, "low": None, "high": None, "goal": 1.0},
    ]
    record = {"device": "cpu", "commit": "abc", "rows": rows, "details": {"threads": 2, "rate": 0.5}}
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/op.json").write_text(json.dumps(record))
    return tmp_path


def test_a_sentence_gets_a_committed_number_or_an_error(committed):
    assert results.benchmark_ratio("op", "fast", committed) == 2.0
    assert results.benchmark_detail("op", "rate", committed) == 0.5
    assert results.measured_on("op", committed) == "2 CPU cores, commit abc"
    assert benchmark_result("op", "unknown", results=committed) == "not measured yet"
    for wrong in ("unknown", "no row"):
        with pytest.raises(KeyError, match=wrong):
            results.benchmark_ratio("op", wrong, committed)
    for call in (results.benchmark_detail, lambda name, _, folder: results.measured_on(name, folder)):
        with pytest.raises(KeyError, match="no committed result"):
            call("absent", "rate", committed)


def test_measured_rows_are_a_table_and_the_others_are_named(shown, committed):
    missing = []
    page = shown(
        lambda: missing.extend(
            results.show_results("op", {"A": "fast", "B": "unknown"}, "Ours over", results=committed)
        )
    )
    assert missing == ["B"]
    assert "<th scope='row'>A</th><td>2.00</td><td>1.90 to 2.10</td>" in page
    assert "commit abc" in page
    assert "not measured" not in page


def test_a_table_escapes_its_cells_and_needs_a_caption(shown):
    page = shown(lambda: tables.show_table(("", "x"), [("a < b", 1)], "What it says. Source: a paper."))
    assert "<caption>What it says. Source: a paper.</caption>" in page
    assert "<th scope='row'>a &lt; b</th><td>1</td>" in page
    for columns, caption in ((("", "x"), " "), (("", "x", "y"), "One")):
        with pytest.raises(ValueError, match=r"caption is empty|3 columns"):
            tables.show_table(columns, [("a", 1)], caption)


def test_the_tokens_of_each_pass_are_marked(shown):
    rounds = [
        Round(torch.tensor([1, 2, 3]), 2, torch.tensor([1, 2, 9])),
        Round(torch.tensor([4]), 0, torch.tensor([8])),
    ]
    page = shown(lambda: tokens.show_passes("start", rounds, lambda ids: f"<{ids[0]}>"))
    marks = re.findall(r'token-(accepted|bonus)">&lt;(\d)&gt;', page)
    assert marks == [("accepted", "1"), ("accepted", "2"), ("bonus", "3"), ("bonus", "4")]
