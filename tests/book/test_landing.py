"""The landing page: the race plays what was recorded, cards say what is here, and README shows the same picture."""

import json
import re
from pathlib import Path

import pytest
from landing import RACE, read_parts
from playwright.sync_api import expect
from race_picture import race_svg
from site_browser import served

from tests.book.small_book import build_small_book

ROOT = Path(__file__).resolve().parents[2]
RESULT = json.loads(RACE.read_text(encoding="utf-8"))
RECORDING = RESULT["recording"]
BUILT = sorted(path.stem for path in (ROOT / "book").glob("ch??_*.md"))


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """The landing page as it is, between empty pages."""
    folder = tmp_path_factory.mktemp("book")
    names = [path.stem for path in (ROOT / "book").glob("*.md") if path.stem != "intro"]
    pages = {"intro": (ROOT / "book/intro.md").read_text(encoding="utf-8")} | {name: f"# {name}\n" for name in names}
    assert build_small_book(folder, pages, ["landing"]) == ""
    return folder / "html"


@pytest.fixture(params=["light", "mobile"])
def visit(book, small_reader, request):
    with served(book) as address, small_reader(address).open("intro.html", request.param) as visit:
        yield visit
        assert visit.errors == []


def test_the_recording_is_one_text_twice(visit):
    written = "".join(RECORDING["tokens"])
    assert sum(RECORDING["kept"]) + len(RECORDING["kept"]) >= len(RECORDING["tokens"]) == len(RECORDING["plain_ms"])
    assert len(RECORDING["kept"]) == len(RECORDING["speculative_ms"]) < len(RECORDING["plain_ms"])
    visit.page.get_by_role("button", name="Show the end").press("Enter")
    for name in ("plain", "speculative"):
        lane, milliseconds = visit.page.locator(f".race-{name}"), RECORDING[f"{name}_ms"]
        expect(lane.locator(".race-clock")).to_have_text(f"{milliseconds[-1] / 1000:.2f} s")
        expect(lane.locator(".race-count")).to_have_text(
            f"{len(RECORDING['tokens'])} tokens in {len(milliseconds)} passes"
        )
        assert lane.locator(".race-text").text_content().endswith(written)
    drafted = visit.page.locator(".race-speculative .race-drafted").count()
    assert 0 <= sum(RECORDING["kept"]) - drafted <= 1  # the last round may have had one token too many
    assert visit.page.locator(".race-plain .race-drafted").count() == 0


def test_the_race_plays_by_itself_pauses_and_begins_again(visit):
    clock = visit.page.locator(".race-plain .race-clock")
    visit.page.locator(".race").scroll_into_view_if_needed()
    expect(clock).not_to_have_text("0.00 s")
    visit.page.get_by_role("button", name="Pause").press("Enter")
    held = clock.inner_text()
    visit.page.wait_for_timeout(300)
    assert clock.inner_text() == held
    visit.page.keyboard.press("Home")
    expect(clock).to_have_text("0.00 s")
    visit.page.keyboard.press("End")
    expect(visit.page.get_by_role("button", name="Play again")).to_be_visible()


def test_whoever_wants_no_motion_sees_the_end(book, small_reader):
    with served(book) as address, small_reader(address).open("intro.html", reduced_motion="reduce") as visit:
        visit.page.locator(".race").scroll_into_view_if_needed()
        expect(visit.page.locator(".race-plain .race-clock")).to_have_text(f"{RECORDING['plain_ms'][-1] / 1000:.2f} s")


def test_in_the_first_screen_are_claim_audience_start_and_race(book, small_reader):
    with served(book) as address, small_reader(address).open("intro.html") as visit:
        for place in (".landing-claim", ".landing-facts", ".landing-start a >> nth=2", ".race-clock >> nth=1"):
            box = visit.page.locator(place).bounding_box()
            assert box, place
            assert box["y"] + box["height"] < 900, place


def test_every_chapter_has_a_card_and_those_that_are_here_a_link(visit):
    cards = visit.page.locator(".chapter-card")
    titles = [chapter["title"] for part in read_parts() for chapter in part["chapters"]]
    assert cards.locator(".card-title").all_inner_texts() == titles
    assert cards.locator("a").evaluate_all("links => links.map(link => link.pathname)") == [
        f"/{name}.html" for name in BUILT
    ]
    said = cards.locator(".card-status").all_inner_texts()
    assert sum(status == "planned" for status in said) == len(titles) - len(BUILT)
    assert all(re.match(r"\d+ minutes", status) for status in said if status != "planned")


def test_a_card_shows_how_far_the_reader_has_come(visit):
    assert visit.page.locator(".card-progress").first.inner_text() == ""
    visit.page.evaluate(f"localStorage.setItem('nimblelm/{BUILT[1]}', JSON.stringify({{done: 2, total: 7}}))")
    visit.page.reload()
    assert visit.page.locator(".card-progress").nth(1).inner_text().strip() == "2 of 7 questions"
    assert visit.page.locator(".card-progress").first.inner_text() == ""


def test_without_scripts_the_picture_stands_in(book, small_reader):
    with served(book) as address, small_reader(address).open("intro.html", java_script_enabled=False) as visit:
        assert visit.page.locator(".race-picture rect").count() == len(RECORDING["plain_ms"]) + len(RECORDING["kept"])
        assert f"{RESULT['rows'][0]['ratio']:.2f} times" in visit.page.locator(".race-note").inner_text()


def test_readme_shows_the_picture_of_the_committed_recording():
    assert (ROOT / "book/_assets/race.svg").read_text(encoding="utf-8") == race_svg(RECORDING, "#ffffff") + "\n"
    assert "book/_assets/race.svg" in (ROOT / "README.md").read_text(encoding="utf-8").split("\n## ")[0]
