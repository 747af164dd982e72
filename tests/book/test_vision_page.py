"""The patches of chapter 8, by pointer, keys and slider, show the numbers of lib's maps."""

import pytest
import torch

from nimblelm.vision.emoji_models import CATEGORIES

CHAPTER = "ch08_vision_transformer.html"


def shown(widget) -> list[int]:
    return widget.locator(".patch-square").evaluate_all("all => all.map(one => Number(one.dataset.value))")


def test_every_map_is_that_of_lib(reader):
    with reader.open(CHAPTER) as visit:
        page, data = visit.page, visit.embedded("patch-explorer")
        widget = page.locator('[data-widget="patch-explorer"]')
        layers = len(data["attention"])
        assert set(data["relevance"]) <= set(CATEGORIES)
        for layer in data["rollout"]:
            assert (torch.tensor(layer).sum(1) - 1000).abs().max() <= len(layer)
        for mode, table in enumerate(("attention", "rollout")):
            widget.locator("input[type=radio]").nth(mode).check()
            slider = widget.locator("input[type=range]")
            slider.focus()
            page.keyboard.press("Home")
            for number in range(layers):
                widget.locator(".stepper-button-class").click()
                assert shown(widget) == data[table][number][0][1:]
                widget.locator(".stepper-button-next").click()
                assert shown(widget) == data[table][number][1][1:]
                slider.focus()
                page.keyboard.press("ArrowRight")
        for number, name in enumerate(data["relevance"]):
            widget.locator("input[type=radio]").nth(2 + number).check()
            assert shown(widget) == data["relevance"][name]
            assert name in widget.locator(".stepper-say").inner_text()
    assert visit.errors == []


def test_pointer_and_arrows_choose_a_patch(reader):
    with reader.open(CHAPTER) as visit:
        page = visit.page
        grid = visit.embedded("patch-explorer")["grid"]
        widget = page.locator('[data-widget="patch-explorer"]')
        widget.locator(".patch-square").nth(2 * grid + 3).hover()
        assert widget.locator(".fact-patch").inner_text() == f"{2 * grid + 4} (row 3, column 4)"
        widget.locator(".stepper-button-next").focus()
        page.keyboard.press("ArrowDown")
        assert widget.locator(".fact-patch").inner_text() == f"{3 * grid + 4} (row 4, column 4)"
        page.keyboard.press("Home")
        assert widget.locator(".fact-patch").inner_text() == "class token"
        assert widget.locator(".stepper-button-back").get_attribute("aria-disabled") == "true"
    assert visit.errors == []


def test_it_plays_through_the_layers_and_stops(reader):
    with reader.open(CHAPTER) as visit:
        widget = visit.page.locator('[data-widget="patch-explorer"]')
        play = widget.locator(".stepper-button-play")
        play.click()
        assert "Pause" in play.inner_text()
        visit.page.wait_for_function(
            "() => document.querySelector('[data-widget=patch-explorer] input[type=range]').value === '2'"
        )
        play.click()
        assert "Play" in play.inner_text()
    assert visit.errors == []


@pytest.mark.parametrize("mode", ["mobile", "dark"])
def test_it_fits_and_says_nothing_wrong(reader, mode):
    with reader.open(CHAPTER, mode=mode) as visit:
        assert visit.page.locator('[data-widget="patch-explorer"] .patch-picture').is_visible()
        assert visit.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert visit.errors == []


def test_without_scripts_a_table_stands_in(reader):
    with reader.open(CHAPTER, java_script_enabled=False) as visit:
        assert visit.page.locator('[data-widget="patch-explorer"] table').is_visible()
