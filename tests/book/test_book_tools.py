"""Figures, measured results, fingerprints, student pages and clean notebooks."""

import json
import re

import pytest
import torch
from assignment_pages import student_page, write_assignment_pages
from book_tools import (
    benchmark_result,
    captions,
    code_lines,
    figures,
    new_figure,
    show,
    show_widget,
    widgets,
)
from book_tools.trace import stepper_data, trace_rounds
from book_tools.trees import trace_trees, trees_table
from fingerprint import fingerprint

from nimblelm.inference.decoding.cache import CachedModel
from nimblelm.inference.decoding.sampling import Sampling
from nimblelm.inference.medusa.decoder import medusa_generate
from nimblelm.inference.medusa.heads import MedusaHeads
from nimblelm.inference.medusa.tree import CandidateTree
from nimblelm.inference.speculative.acceptance_stats import AcceptanceStats
from nimblelm.inference.speculative.markov import MarkovModel
from tests.inference.models import varied_pair


@pytest.fixture
def shown(monkeypatch):
    """Calls something that displays one thing, and gives its HTML."""

    def call(action) -> str:
        displayed = []
        for module in (captions, figures, widgets):
            monkeypatch.setattr(module, "display", displayed.append)
        action()
        (only,) = displayed
        return only.data

    return call


def line_figure():
    fig, (ax,) = new_figure()
    ax.plot([1, 2], [3, 4], label="a < b")
    ax.legend()
    return fig


def test_a_figure_is_an_image_with_words_in_the_colour_of_the_text(shown):
    svg = shown(lambda: show(line_figure(), 'A line that rises from 3 to 4, "as it should"'))
    assert 'role="img"' in svg
    assert 'aria-label="A line that rises from 3 to 4, &quot;as it should&quot;"' in svg
    assert "currentColor" in svg
    assert "#000000" not in svg
    assert "#ffffff" not in svg
    assert "<style" not in svg


@pytest.mark.parametrize("alt", ["", "  \n"])
def test_a_figure_without_words_is_refused(alt):
    with pytest.raises(ValueError, match="alt is empty"):
        show(line_figure(), alt)


def test_two_figures_share_no_id(shown):
    first = shown(lambda: show(line_figure(), "one"))
    fig, (ax,) = new_figure()
    ax.plot([1, 2, 3], [3, 4, 1])
    second = shown(lambda: show(fig, "two"))
    ids = [set(re.findall(r' id="([^"]+)"', svg)) for svg in (first, second)]
    assert ids[0]
    assert not ids[0] & ids[1]
    for svg, known in zip((first, second), ids, strict=True):
        assert set(re.findall(r'href="#([^"]+)"', svg)) <= known


def test_a_widget_keeps_its_table_and_its_static_version(shown):
    page = shown(lambda: show_widget("w", "A widget", {"text": "</script><b>"}, "<p>static</p>"))
    table = re.search(r'<script type="application/json">(.*?)</script>', page)
    assert table
    assert json.loads(table[1]) == {"text": "</script><b>"}
    assert "<p>static</p>" in page


def test_code_lines_are_those_of_the_source_as_deep_as_they_stand():
    def rule(x):
        if x:
            return 1  # why
        return 2

    assert code_lines(rule, "if", "return 1") == ["if x:", "    return 1"]
    with pytest.raises(ValueError, match="begins with 'while'"):
        code_lines(rule, "while")


def test_a_plot_keeps_its_legend_off_the_data_and_its_text_readable(shown):
    fig, (ax,) = new_figure(width=7.0)
    ax.loglog([1, 10, 1e6], [1, 2, 3], label="a line")
    ax.legend(fontsize=4, loc="center")
    svg = shown(lambda: show(fig, "A line"))
    sizes = [float(size) for size in re.findall(r"font-size: ([\d.]+)px", svg)]
    assert min(sizes) * 358 / (7.0 * 72) > 8.99
    assert ">10⁵<" in svg
    area, legend = svg.index('class="plot-axes"'), svg.index('class="plot-legend"')
    top = min(float(y) for y in re.findall(r"-?[\d.]+ (-?[\d.]+)", re.findall(r'<path d="([^"]+)"', svg[area:])[0]))
    heights = [float(y) for y in re.findall(r'<text[^>]* y="(-?[\d.]+)"', svg[legend:])]
    assert max(heights) < top


def test_panels_are_pictures_of_their_own_under_one_caption(shown):
    fig, (left, right) = new_figure(columns=2)
    left.plot([1, 2], [1, 2])
    right.plot([1, 2], [2, 1])
    page = shown(lambda: show(fig, "Up and down", "See them cross.", "ch99-cross"))
    assert page.count("<svg") == 2
    assert page.count('role="img"') == 1
    assert re.findall(r"Figure 99\.\d</span> See them cross\.", page)


def test_a_result_is_read_from_its_device_or_said_to_be_missing(tmp_path):
    assert benchmark_result("op", "row", results=tmp_path) == "not measured yet"
    for device, ratio in (("cpu", 2.0), ("h200", 4.0)):
        (tmp_path / device).mkdir()
        rows = [{"row": "row", "ratio": ratio, "low": ratio - 0.1, "high": ratio + 0.1, "goal": 1.0}]
        (tmp_path / device / "op.json").write_text(json.dumps({"device": device, "commit": "abc", "rows": rows}))
    assert str(benchmark_result("op", "row", results=tmp_path)) == "2.00x (1.90 to 2.10)"
    assert str(benchmark_result("op", "row", gpu=True, results=tmp_path)) == "4.00x (3.90 to 4.10)"
    assert benchmark_result("op", "another row", results=tmp_path) == "not measured yet"


def test_a_trace_agrees_with_the_rule_and_with_the_library():
    distributions = torch.tensor([[[0.7, 0.3], [0.4, 0.6]], [[0.5, 0.5], [0.6, 0.4]]])
    models = [MarkovModel(distribution) for distribution in distributions]
    rounds, records = trace_rounds(*models, torch.tensor([0, 1]), 30, 3, Sampling(), seed=0)
    data = stepper_data(rounds, records, "start", lambda ids: str(ids[0]))
    verdicts = [t["accepted"] for r in data["rounds"] for t in r["draft"]]
    assert {True, False, None} == set(verdicts)
    for entry, round_ in zip(data["rounds"], rounds, strict=True):
        verified = [token for token in entry["draft"] if token["accepted"] is not None]
        assert [token["u"] * token["q"] < token["p"] for token in verified] == [t["accepted"] for t in verified]
        assert entry["emitted"]["text"] == str(round_.tokens[-1].item())
    assert data["after"][-1]["tar"] == AcceptanceStats.from_rounds(rounds).token_acceptance_rate


def test_a_traced_tree_agrees_with_the_library():
    model = varied_pair()[0]
    heads, tree = MedusaHeads.of_model(model, 2), CandidateTree.full([3, 2])
    prompt = torch.tensor([3, 1, 4])
    data = trace_trees(CachedModel(model), heads, tree, prompt, 5, [[0.5, 0.2, 0.1], [0.4, 0.3, 0.0]], str)
    rounds = medusa_generate(CachedModel(model), heads, tree, prompt, 100).rounds
    for one, made in zip(data["rounds"], rounds, strict=False):
        kept = [one["tokens"][node] for node in one["path"][1:]] + [one["chosen"][one["path"][-1]]]
        assert kept == [str([token]) for token in made.tokens.tolist()]
        assert all(one["right"][node] for node in one["path"])
    assert data["probability"] == pytest.approx([1, 0.5, 0.2, 0.1, 0.2, 0.15, 0.08, 0.06, 0.04, 0.03])
    assert trees_table(data).count("<tr>") == 1 + 5


def test_the_fingerprint_sees_an_edit_and_no_cache_file(tmp_path):
    module = tmp_path / "lib/a.py"
    module.parent.mkdir()
    module.write_text("x = 1")
    before = fingerprint(["lib/**/*"], tmp_path)
    (module.parent / "__pycache__").mkdir()
    (module.parent / "__pycache__/a.pyc").write_bytes(b"x")
    assert fingerprint(["lib/**/*"], tmp_path) == before
    module.write_text("x = 2")
    assert fingerprint(["lib/**/*"], tmp_path) != before


def notebook(*cells: tuple[str, str, dict]) -> dict:
    parts = [
        {"cell_type": kind, "id": f"c{i}", "metadata": meta, "source": text}
        for i, (kind, text, meta) in enumerate(cells)
    ]
    for part in parts:
        if part["cell_type"] == "code":
            part |= {"outputs": [{"output_type": "stream", "name": "stdout", "text": "1"}], "execution_count": 3}
    return {"cells": parts, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


SOLUTION = {"nbgrader": {"grade_id": "accept", "solution": True, "grade": False}}


def test_an_exercise_gets_an_anchor_at_its_heading():
    page = student_page(notebook(("markdown", "# A\n\n## The rule\nWrite it.", {}), ("code", "x", SOLUTION)), "a02_x")
    assert page["cells"][0]["source"] == "# A\n\n(a02-accept)=\n## The rule\nWrite it."
    assert page["cells"][1]["outputs"] == []
    assert page["cells"][1]["metadata"] == {}


def test_a_notebook_with_a_solution_is_never_published(tmp_path):
    path = tmp_path / "assignments/a02_x/a02_x.ipynb"
    path.parent.mkdir(parents=True)
    (tmp_path / "book").mkdir()
    path.write_text(json.dumps(notebook(("code", "### BEGIN SOLUTION\nx", SOLUTION))))
    with pytest.raises(ValueError, match="BEGIN SOLUTION"):
        write_assignment_pages(tmp_path)


def test_a_page_whose_notebook_is_gone_goes_too(tmp_path):
    pages = tmp_path / "book/assignments"
    pages.mkdir(parents=True)
    (pages / "a01_old.ipynb").write_text("{}")
    assert write_assignment_pages(tmp_path) == {}
    assert list(pages.iterdir()) == []
