"""Every interactive plays by itself and stops when it is touched; its labels, axes and tiles are whole and true."""

import math
import re
from collections import defaultdict
from pathlib import Path

import pytest

OTHERWISE = {"listening-lab"}  # it plays sound, see test_listening_lab.py
BOOK = Path(__file__).resolve().parents[2] / "book"
WIDGETS: dict[str, list[str]] = defaultdict(list)
for _page in sorted(BOOK.glob("ch*.md")):
    for _name in re.findall(r"show_widget\(\s*\"([\w-]+)\"", _page.read_text(encoding="utf-8")):
        if _name not in OTHERWISE:
            WIDGETS[_page.stem].append(_name)


def state_of(widget) -> str:
    """All that a reader could see change."""
    return widget.evaluate(
        "widget => widget.innerText + [...widget.querySelectorAll('input')].map(input => input.value)"
    )


@pytest.mark.parametrize("page", WIDGETS)
def test_each_interactive_plays_and_stops_when_it_is_touched(reader, page):
    with reader.open(f"{page}.html") as visit:
        visit.page.clock.install()
        visit.page.reload()
        for name in WIDGETS[page]:
            widget = visit.page.locator(f'[data-widget="{name}"]')
            button = widget.locator(".stepper-button-play")
            assert button.inner_text() == "▶ Play", name
            button.press("Enter")
            assert "Pause" in button.inner_text()
            visit.page.clock.run_for(50)
            first = state_of(widget)
            visit.page.clock.run_for(1200)
            assert state_of(widget) != first, f"{name} does not move"
            button.press("ArrowRight")
            stopped = state_of(widget)
            assert button.inner_text() == "▶ Play"
            visit.page.clock.run_for(5000)
            assert state_of(widget) == stopped, f"{name} does not stop"
            visit.page.keyboard.press("p")
            visit.page.clock.run_for(100_000)
            assert button.inner_text() == "▶ Play", f"{name} never ends"
    assert visit.errors == []


def test_the_label_of_a_slider_follows_when_its_range_shrinks(reader):
    """A policy with fewer passes than the chosen one: the slider's number is that of the sentence."""
    with reader.open("ch01_decoding_and_its_cost.html") as visit:
        widget = visit.page.locator('[data-widget="batching-timeline"]')
        lengths = [len(policy["steps"]) for policy in visit.embedded("batching-timeline")["policies"]]
        assert len(set(lengths)) > 1
        radios, slider = widget.locator("input[type=radio]"), widget.locator("input[type=range]")
        radios.nth(lengths.index(max(lengths))).check()
        slider.press("End")
        for policy, length in enumerate(lengths):
            radios.nth(policy).check()
            shown = widget.locator(".explorer-slider output").inner_text()
            assert widget.locator(".stepper-say").inner_text().startswith(f"Pass {shown} of {length},")
            assert slider.get_attribute("aria-valuetext") == shown


@pytest.mark.parametrize("mode", ["light", "mobile"])
def test_tiles_are_whole_and_of_one_width(reader, mode):
    with reader.open("ch04_flash_attention.html", mode) as visit:
        widget = visit.page.locator('[data-widget="online-softmax"]')
        slider = widget.locator("input[type=range]")
        for width in visit.embedded("online-softmax")["widths"]:
            slider.press("Home") if width == 1 else slider.press("ArrowRight")
            cells = widget.locator(".softmax-tile").evaluate_all(
                """tiles => tiles.map(tile => [...tile.querySelectorAll('.softmax-score')]
                  .map(cell => cell.getBoundingClientRect().toJSON()))"""
            )
            assert all(len(tile) == width for tile in cells)
            assert all(len({round(cell["top"]) for cell in tile}) == 1 for tile in cells), "a tile is split"
            widths = [cell["width"] for tile in cells for cell in tile]
            assert max(widths) - min(widths) < 1.5


def test_the_memory_of_a_cache_stands_on_a_logarithmic_axis_beside_that_of_gpus(reader):
    with reader.open("ch01_decoding_and_its_cost.html") as visit:
        data = visit.embedded("kv-memory-explorer")
        widget = visit.page.locator('[data-widget="kv-memory-explorer"]')
        points = widget.locator(".memory-point").evaluate_all("all => all.map(one => Number(one.getAttribute('cy')))")
        rules = widget.locator(".memory-rule").evaluate_all("all => all.map(one => Number(one.getAttribute('y1')))")
        model, precision, _, batch = data["start"]
        sizes = [row[batch] for row in data["bytes"][model][precision]] + [size for _, size in data["memories"]]
        heights = [*points, *rules]
        slope = (heights[-1] - heights[0]) / math.log(sizes[-1] / sizes[0])
        for size, height in zip(sizes, heights, strict=True):
            assert height == pytest.approx(heights[0] + slope * math.log(size / sizes[0]), abs=0.01)
        slider = widget.locator("input[type=range]").first
        slider.press("End")
        largest = max(size for _, size in data["memories"])
        fits = sizes[len(points) - 1] <= largest
        assert (widget.locator(".fact-fits").inner_text() == "none of these") is not fits
