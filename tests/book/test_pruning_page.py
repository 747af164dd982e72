"""The interactives of chapter 6, by keys: three masks under one slider, and the min-max in time."""

import json
from pathlib import Path

import pytest
import torch

from nimblelm.compression.pruning.magnitude import kept_of
from nimblelm.compression.pruning.semi_structured import nm_mask

CHAPTER = "ch06_pruning.html"
RESULTS = Path(__file__).resolve().parents[2] / "benchmarks/results/cpu/bench_pruning.json"


def masks_of(data, way: int, at: int) -> torch.Tensor:
    return torch.tensor([[cell == "1" for cell in row] for row in data["masks"][way][at]])


def test_the_masks_are_those_of_the_rules_and_the_speeds_those_measured(reader):
    with reader.open(CHAPTER) as visit:
        data = visit.embedded("pruning-masks")
    weights = torch.tensor(data["weights"]).abs()
    products = json.loads(RESULTS.read_text())["details"]["products"]
    for at, sparsity in enumerate(data["sparsities"]):
        single, pattern, columns = (masks_of(data, way, at) for way in range(3))
        assert single.sum() == kept_of(weights.numel(), sparsity)
        assert weights[single].min() >= weights[~single].max() if 0 < sparsity < 1 else single.all()
        if data["speed"][1][at] is None:
            assert not pattern.any()
        else:
            assert pattern.unflatten(1, (-1, 4)).sum(-1).unique().tolist() == [round(4 - 4 * sparsity)]
            kept = weights[pattern].sum()
            assert kept == pytest.approx(weights[nm_mask(weights, round(4 - 4 * sparsity))].sum().item(), rel=1e-4)
        assert (columns == columns[0]).all()
        assert [data["speed"][way][at] for way in (0, 2)] == [products[at]["unstructured"], products[at]["structured"]]


def test_the_slider_moves_all_three(reader):
    with reader.open(CHAPTER) as visit:
        page, data = visit.page, visit.embedded("pruning-masks")
        widget = page.locator('[data-widget="pruning-masks"]')
        widget.locator("input[type=range]").focus()
        for at in range(data["start"], len(data["sparsities"])):
            for way in range(3):
                speed = data["speed"][way][at]
                want = "no such mask" if speed is None else f"{speed:.2f} x"
                assert widget.locator(f".fact-way{way}").inner_text() == want
            kept = sum(row.count("1") for way in range(3) for row in data["masks"][way][at])
            assert widget.locator(".mask-cell.is-kept").count() == kept
            page.keyboard.press("ArrowRight")
    assert visit.errors == []


def test_ascent_meets_the_target_and_descent_runs_away(reader):
    with reader.open(CHAPTER) as visit:
        page, data = visit.page, visit.embedded("min-max")
        widget = page.locator('[data-widget="min-max"]')
        slider = widget.locator("input[type=range]")
        slider.focus()
        page.keyboard.press("Home")
        assert widget.locator(".fact-s0").inner_text() == f"{data['runs'][0]['sparsity'][0]:.3f}"
        page.keyboard.press("End")
        assert widget.locator(".fact-s1").inner_text() == f"{data['runs'][1]['sparsity'][-1]:.3f}"
        assert widget.locator(".min-max-line").count() == 6
        page.keyboard.press("Home")
        widget.locator(".stepper-button-play").click()
        page.wait_for_function("document.querySelector('[data-widget=\"min-max\"] input[type=range]').value > 2")
    assert visit.errors == []
    ascent, descent = data["runs"]
    assert ascent["sparsity"][-1] == pytest.approx(data["target"], abs=0.1)
    assert abs(descent["sparsity"][-1] - data["target"]) > 0.3
    assert min(ascent["first"]) < 0 < max(descent["first"])


def test_without_scripts_tables_stand_in(reader):
    with reader.open(CHAPTER, java_script_enabled=False) as visit:
        for name in ("pruning-masks", "min-max", "compression-ledger"):
            assert visit.page.locator(f'[data-widget="{name}"] table').is_visible()
