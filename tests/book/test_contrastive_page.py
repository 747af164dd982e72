"""The similarity matrix of chapter 9, by pointer, keys and slider, shows what torch makes of the cosines of lib."""

import math

import pytest
import torch
import torch.nn.functional as F

CHAPTER = "ch09_contrastive_learning.html"
WIDGET = '[data-widget="similarity-matrix"]'


def shown(widget) -> torch.Tensor:
    values = widget.locator(".matrix-cell").evaluate_all("all => all.map(one => Number(one.dataset.value))")
    side = round(math.sqrt(len(values)))
    return torch.tensor(values).view(side, side)


def expected(data, chosen, mode, temperature, style=0) -> torch.Tensor:
    cosines = torch.tensor(data["cosines"][style])[chosen][:, chosen] / 1e4
    logits = cosines / temperature
    return (cosines, logits.softmax(1), logits.softmax(0), (logits - logits.mean()).sigmoid())[mode]


def test_every_mode_and_temperature_is_that_of_torch(reader):
    with reader.open(CHAPTER) as visit:
        page, data = visit.page, visit.embedded("similarity-matrix")
        widget, chosen = page.locator(WIDGET), data["chosen"]
        slider = widget.locator("input[type=range]")
        modes = widget.locator("fieldset").nth(1).locator("input[type=radio]")
        for mode in range(4):
            modes.nth(mode).check()
            slider.focus()
            page.keyboard.press("Home")
            for temperature in data["temperatures"]:
                torch.testing.assert_close(
                    shown(widget), expected(data, chosen, mode, temperature), atol=2e-4, rtol=1e-3
                )
                page.keyboard.press("ArrowRight")
        logits = torch.tensor(data["cosines"][0])[chosen][:, chosen] / 1e4 / data["temperatures"][-1]
        own = torch.arange(len(chosen))
        loss = (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
        assert float(widget.locator(".fact-loss").inner_text()) == pytest.approx(loss.item(), abs=2e-3)
        assert float(widget.locator(".fact-chance").inner_text()) == pytest.approx(math.log(len(chosen)), abs=1e-3)
    assert visit.errors == []


def test_the_reader_chooses_pairs_and_a_style(reader):
    with reader.open(CHAPTER) as visit:
        data, widget = visit.embedded("similarity-matrix"), visit.page.locator(WIDGET)
        chosen, picks = list(data["chosen"]), widget.locator(".matrix-pick")
        new = next(i for i in range(len(data["captions"])) if i not in chosen)
        picks.nth(new).click()
        assert picks.nth(new).get_attribute("aria-pressed") == "true"
        widget.locator("fieldset").nth(1).locator("input[type=radio]").nth(0).check()
        chosen.append(new)
        torch.testing.assert_close(shown(widget), expected(data, chosen, 0, 1.0), atol=2e-4, rtol=1e-3)
        widget.locator("fieldset").nth(0).locator("input[type=radio]").nth(1).check()
        torch.testing.assert_close(shown(widget), expected(data, chosen, 0, 1.0, style=1), atol=2e-4, rtol=1e-3)
        for i in chosen[:-2]:
            picks.nth(i).click()
        assert shown(widget).shape == (2, 2)
        picks.nth(chosen[-1]).click()
        assert shown(widget).shape == (2, 2), "two pairs are the least"
    assert visit.errors == []


def test_it_plays_through_the_temperatures_and_stops(reader):
    with reader.open(CHAPTER) as visit:
        widget = visit.page.locator(WIDGET)
        play, slider = widget.locator(".stepper-button-play"), widget.locator("input[type=range]")
        slider.focus()
        visit.page.keyboard.press("Home")
        play.click()
        assert "Pause" in play.inner_text()
        visit.page.wait_for_function(
            "() => Number(document.querySelector('[data-widget=similarity-matrix] input[type=range]').value) >= 2"
        )
        play.click()
        assert "Play" in play.inner_text()
    assert visit.errors == []


@pytest.mark.parametrize("mode", ["mobile", "dark"])
def test_it_fits_and_says_nothing_wrong(reader, mode):
    with reader.open(CHAPTER, mode=mode) as visit:
        assert visit.page.locator(f"{WIDGET} .matrix-cell").first.is_visible()
        assert visit.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert visit.errors == []


def test_without_scripts_a_table_stands_in(reader):
    with reader.open(CHAPTER, java_script_enabled=False) as visit:
        assert visit.page.locator(f"{WIDGET} table").is_visible()
