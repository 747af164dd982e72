"""The interactives of chapter 5, by keys: levels over a layer's weights, and the ledger of compressed models."""

import pytest
import torch

from nimblelm.compression.quantization.absmax import quantize_absmax
from nimblelm.compression.quantization.nf4 import nf4_levels, quantize_nf4
from nimblelm.inference.speculative.pair import load_pair

CHAPTER = "ch05_quantization_and_lora.html"


def move(page, slider, steps: int) -> None:
    slider.focus()
    for _ in range(abs(steps)):
        page.keyboard.press("ArrowRight" if steps > 0 else "ArrowLeft")


@pytest.mark.parametrize(("grid", "block", "outlier"), [(0, 2, 0), (0, 4, 3), (1, 0, 2)])
def test_the_error_shown_is_that_of_the_library(reader, grid, block, outlier):
    with reader.open(CHAPTER) as visit:
        page = visit.page
        data = visit.embedded("quantization-grid")
        widget = page.locator('[data-widget="quantization-grid"]')
        if grid:
            widget.locator("input[type=radio]").nth(0).focus()
            page.keyboard.press("ArrowRight")
        sliders = widget.locator("input[type=range]")
        move(page, sliders.nth(0), block - data["start"][1])
        move(page, sliders.nth(1), outlier - data["start"][2])
        weight = load_pair().target.blocks[5].mlp.down_proj.weight.detach().clone()
        if size := data["outliers"][outlier]:
            weight.view(-1)[::4096] = size * weight.std()
        size = data["blocks"][block]
        ours = quantize_absmax(weight, 4, size) if grid else quantize_nf4(weight, double=False, block=size)
        error = ((weight - ours.dequantize()).norm() / weight.norm()).item()
        shown = float(widget.locator(".fact-error").inner_text().rstrip(" %"))
        assert shown == pytest.approx(100 * error, abs=0.02)
        assert widget.locator(".fact-bits").inner_text() == f"{4 + 32 / size:.3f}"
        assert widget.locator(".grid-level").count() == len(data["levels"][grid])
    assert visit.errors == []


def test_levels_are_those_of_nf4(reader):
    with reader.open(CHAPTER) as visit:
        levels = torch.tensor(visit.embedded("quantization-grid")["levels"][0])
    assert torch.equal(levels, nf4_levels())


def test_the_ledger_names_each_model_and_its_front_is_beaten_by_none(reader):
    with reader.open(CHAPTER) as visit:
        page, points = visit.page, visit.embedded("compression-ledger")["points"]
        widget = page.locator('[data-widget="compression-ledger"]')
        slider = widget.locator("input[type=range]").first
        slider.focus()
        for point in points:
            assert widget.locator(".fact-name").inner_text() == point["name"]
            assert widget.locator(".fact-bytes").inner_text() == f"{point['bytes'] / 1e6:.1f} MB"
            page.keyboard.press("ArrowRight")
        assert widget.locator(".ledger-point").count() == len(points)
        widget.locator(".ledger-point").nth(1).hover()
        assert widget.locator(".fact-name").inner_text() == points[1]["name"]
    assert visit.errors == []
    for point in points:
        beaten = any(o["bytes"] <= point["bytes"] and o["loss"] < point["loss"] for o in points)
        assert not (point["front"] and beaten)


def test_without_scripts_tables_stand_in(reader):
    with reader.open(CHAPTER, java_script_enabled=False) as visit:
        for name in ("quantization-grid", "compression-ledger"):
            assert visit.page.locator(f'[data-widget="{name}"] table').is_visible()
