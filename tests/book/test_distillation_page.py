"""The interactive of chapter 7, by keys: teacher and student over the temperature."""

import pytest

CHAPTER = "ch07_distillation.html"


def test_bars_are_distributions_and_arrows_the_gradient(reader):
    with reader.open(CHAPTER) as visit:
        data = visit.embedded("temperature-slider")
    for at, temperature in enumerate(data["temperatures"]):
        teacher, student, gradient = (data[name][at] for name in ("teacher", "student", "gradient"))
        assert sum(teacher) == pytest.approx(1, abs=1e-3)
        assert sum(student) == pytest.approx(1, abs=1e-3)
        for p, q, push in zip(teacher, student, gradient, strict=True):
            assert push == pytest.approx(temperature * (q - p), abs=2e-4 * max(1, temperature))
    assert data["entropy"] == sorted(data["entropy"])


def test_the_slider_moves_bars_and_arrows(reader):
    with reader.open(CHAPTER) as visit:
        page, data = visit.page, visit.embedded("temperature-slider")
        widget = page.locator('[data-widget="temperature-slider"]')
        widget.locator("input[type=range]").focus()
        page.keyboard.press("Home")
        for at in range(3):
            assert widget.locator(".fact-loss").inner_text() == f"{data['loss'][at]:.3f}"
            steepest = max(abs(push) for push in data["gradient"][at])
            assert widget.locator(".fact-steepest").inner_text() == f"{steepest:.3f}"
            assert widget.locator(".temperature-bar").count() == 2 * len(data["words"])
            assert widget.locator(".temperature-arrow").count() == len(data["words"])
            page.keyboard.press("ArrowRight")
        page.keyboard.press("Home")
        widget.locator(".stepper-button-play").click()
        name = '[data-widget="temperature-slider"] input[type=range]'
        page.wait_for_function(f"document.querySelector('{name}').value > 1")
    assert visit.errors == []


def test_without_scripts_tables_stand_in(reader):
    with reader.open(CHAPTER, java_script_enabled=False) as visit:
        for name in ("temperature-slider", "compression-ledger"):
            assert visit.page.locator(f'[data-widget="{name}"] table').is_visible()
