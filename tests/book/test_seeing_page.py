"""Chapter 11's arranged scenes say what lib's model says, and its splice map splices as lib does."""

import pytest
from book_tools.seeing import said, slots

CHAPTER = "ch11_language_models_that_see.html"
ARRANGER, MAP = '[data-widget="scene-arranger"]', '[data-widget="splice-map"]'


def map_rows(widget) -> dict[str, list[list[str]]]:
    """What the map shows, row by row, of each text."""
    tables = widget.locator("table.splice-map")
    found: dict[str, list[list[str]]] = {"slots": [], "labels": [], "mask": []}
    for i in range(tables.count()):
        for name, row in (("slots", "holds"), ("labels", "label"), ("mask", "mask")):
            cells = tables.nth(i).locator(f"tr.splice-{row}-row td").all_inner_texts()
            found[name].append([cell.strip() for cell in cells])
    return found


def expected(texts, size, side) -> dict[str, list[list[str]]]:
    rows = slots(texts, size, side)
    return {
        "slots": rows["slots"],
        "labels": [[word or "–100" for word in row] for row in rows["labels"]],
        "mask": [[str(one) for one in row] for row in rows["mask"]],
    }


def test_the_map_splices_as_lib_does(reader):
    with reader.open(CHAPTER) as visit:
        data, widget = visit.embedded("splice-map"), visit.page.locator(MAP)
        slider, sides = widget.locator("input[type=range]"), widget.locator("input[type=radio]")
        texts = list(data["texts"])
        for side, name in enumerate(("right", "left")):
            sides.nth(side).check()
            slider.focus()
            visit.page.keyboard.press("Home")
            for size in data["sizes"]:
                assert map_rows(widget) == expected(texts, size, name)
                visit.page.keyboard.press("ArrowRight")
        texts[0] = "answer: a <image> b question: c answer: d"
        widget.locator("textarea").nth(0).fill(texts[0])
        assert map_rows(widget) == expected(texts, data["sizes"][-1], "left")
        assert "No label" not in widget.locator(".stepper-say").inner_text()
        widget.locator("textarea").nth(0).fill("question: <image>")
        assert "No label of text 1 survives" in widget.locator(".stepper-say").inner_text()
    assert visit.errors == []


def test_a_scene_is_answered_as_lib_answers(reader):
    with reader.open(CHAPTER) as visit:
        data, widget = visit.embedded("scene-arranger"), visit.page.locator(ARRANGER)
        base, cells = len(data["things"]) + 1, widget.locator(".scene-cell")
        shown = [data["tour"][1] // base**i % base for i in range(4)]
        for press in (0, 3, 3, 1):
            cells.nth(press).click()
            shown[press] = (shown[press] + 1) % base
            for thing in range(len(data["things"])):
                widget.locator("input[type=radio]").nth(thing).check()
                words = widget.locator(".scene-said").all_inner_texts()
                assert words == [said(data, shown, thing, q)[0] for q in range(len(data["asked"]))]
        count = widget.locator(".scene-truth").nth(4).inner_text()
        there = shown.count(len(data["things"]))
        assert count == (str(there) if there else "–")
    assert visit.errors == []


def test_both_play_and_stop(reader):
    with reader.open(CHAPTER) as visit:
        for widget in (visit.page.locator(ARRANGER), visit.page.locator(MAP)):
            play = widget.locator(".stepper-button-play")
            play.click()
            assert "Pause" in play.inner_text()
            play.click()
            assert "Play" in play.inner_text()
    assert visit.errors == []


@pytest.mark.parametrize("mode", ["mobile", "dark"])
def test_they_fit(reader, mode):
    with reader.open(CHAPTER, mode=mode) as visit:
        assert visit.page.locator(f"{ARRANGER} .scene-cell").first.is_visible()
        assert visit.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert visit.errors == []


def test_without_scripts_tables_stand_in(reader):
    with reader.open(CHAPTER, java_script_enabled=False) as visit:
        assert visit.page.locator(f"{ARRANGER} table").is_visible()
        assert visit.page.locator(f"{MAP} table").is_visible()
