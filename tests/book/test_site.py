"""The site as a reader meets it: in a real browser, light, dark and on a phone, with no way out of this machine."""

import gzip
import json
import re
from importlib.resources import files
from pathlib import Path

import pytest
import torch
from site_browser import WEIGHT_LIMIT_BYTES, heaviest, loaded_bytes, page_names

from nimblelm.inference.speculative.acceptance_stats import AcceptanceStats, Round
from nimblelm.inference.speculative.speedup import expected_tokens, predicted_speedup

AXE = files("axe_playwright_python") / "axe.min.js"
# In light, all of WCAG A and AA; in the other modes what the mode can change.
RULES = {
    "light": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]},
    "dark": {"type": "rule", "values": ["color-contrast"]},
    "mobile": {"type": "rule", "values": ["meta-viewport", "scrollable-region-focusable", "target-size"]},
}
CHAPTER = "ch02_speculative_decoding.html"

FAULTS = Path(__file__).with_name("page_faults.js").read_text(encoding="utf-8")
ALIKE = Path(__file__).with_name("alike.js").read_text(encoding="utf-8")

# Formulas inside a line that reach past the block they stand in, where nobody can scroll to them.
CUT_OFF_FORMULAS = """
[...document.querySelectorAll('mjx-container:not([display])')].filter(formula => {
  const block = formula.closest('p, li, dd, summary');
  return block && formula.getBoundingClientRect().right > block.getBoundingClientRect().right + 1;
}).map(formula => formula.textContent)
"""


def violations_of(page, mode: str) -> list[tuple[str, list[str]]]:
    """Rules that an open page breaks, with elements that do. Of those that look alike one is asked for contrast."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    page.evaluate(ALIKE)
    found = page.evaluate("rules => axe.run(document, {runOnly: rules, preload: false})", RULES[mode])
    return [(v["id"], [n["html"][:200] for n in v["nodes"][:3]]) for v in found["violations"]]


@pytest.mark.parametrize("mode", RULES)
@pytest.mark.parametrize("name", page_names())
def test_page_is_whole_quiet_accessible_and_light_enough(reader, site, name, mode):
    """Its weight is of gzipped bytes of all that a first visit loads; audio is not loaded before it is played."""
    with reader.open(name, mode, formulas=True) as visit:
        too_wide = visit.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        cut_off = visit.page.evaluate(CUT_OFF_FORMULAS)
        faults = visit.page.evaluate(FAULTS) if mode != "dark" else {}
        theme = visit.page.evaluate("document.documentElement.dataset.theme")
        visit.page.wait_for_load_state("networkidle")
        sizes = loaded_bytes(visit.page, site) if mode == "light" else {name: 0}
        violations = violations_of(visit.page, mode)
    assert visit.outside == []
    assert visit.missing == []
    assert visit.errors == []
    assert too_wide <= 0
    assert cut_off == []
    assert faults == {}
    assert theme == ("dark" if mode == "dark" else "light")
    assert violations == []
    assert name in sizes
    assert sum(sizes.values()) < WEIGHT_LIMIT_BYTES, heaviest(sizes)


@pytest.mark.parametrize("mode", RULES)
def test_a_violation_is_seen_in_every_mode(reader, mode):
    grey = "color: #777; background: #888"
    with reader.open("intro.html", mode) as visit:
        visit.page.evaluate(
            "html => document.querySelector('main').insertAdjacentHTML('afterbegin', html)",
            f"<style>#planted i:nth-child(9) {{{grey}}}</style><p id='planted'>{'<i>alike</i>' * 12}</p>"
            '<a href="#x" style="position: absolute; width: 9px">a</a>'
            '<a href="#y" style="position: absolute; width: 9px; left: 12px">b</a>',
        )
        found = dict(violations_of(visit.page, mode))
    if mode == "mobile":
        assert "target-size" in found
    else:  # among many that are right and alike
        assert found["color-contrast"] == ["<i>alike</i>"]


FAULTY = """
<pre style="overflow: auto; white-space: pre; width: 90px">a line of code that is much too long</pre>
<div style="overflow: auto; width: 60px"><table><tr><td>one_long_word_in_a_table</td></tr></table></div>
<figure><figcaption style="width: 30px">one_long_word_in_a_caption</figcaption>
<svg class="course-plot" viewBox="0 0 200 100" style="width: 200px; overflow: visible"><g class="plot-axes">
  <g><path d="M0,0 h200 v100 h-200 z" fill="none"/></g>
  <g class="plot-legend"><text x="20" y="50" font-size="12">legend</text></g></g>
  <text x="20" y="90" font-size="4">small</text><text x="100" y="30" font-size="12">over</text>
  <text x="102" y="30" font-size="12">print</text><text x="190" y="70" font-size="12">lost beyond the edge</text>
</svg></figure>
"""


@pytest.mark.parametrize("mode", ["light", "mobile"])
def test_each_fault_is_seen(reader, mode):
    with reader.open("intro.html", mode) as visit:
        assert visit.page.evaluate(FAULTS) == {}
        insert = "html => document.querySelector('main article').insertAdjacentHTML('afterbegin', html)"
        visit.page.evaluate(insert, FAULTY)
        found = visit.page.evaluate(FAULTS)
    kinds = ("code cut", "table cut", "label cut", "text too small", "text over text", "text outside its picture")
    assert set(found) == {*kinds, "legend over data"}


def test_an_outside_request_is_seen_and_stopped(reader):
    with reader.open("intro.html") as visit:
        visit.page.evaluate("fetch('https://example.org/x').catch(() => 0)")
    assert visit.outside == ["https://example.org/x"]


def test_a_heavy_page_is_seen(reader, site):
    """A file that a script asks for after the page has loaded counts too, and counts once."""
    with reader.open("intro.html") as visit:
        before = loaded_bytes(visit.page, site)
        for _ in range(2):
            visit.page.evaluate("fetch('objects.inv').then(reply => reply.arrayBuffer()).then(() => 0)")
        after = loaded_bytes(visit.page, site)
    assert after.keys() - before.keys() == {"objects.inv"}
    assert after["objects.inv"] == len(gzip.compress((site / "objects.inv").read_bytes()))


def test_search_finds_a_term(reader):
    with reader.open("search.html?q=residual") as visit:
        visit.page.wait_for_selector("ul.search li a")
        titles = visit.page.locator("ul.search li a").all_inner_texts()
        icon = visit.page.locator(".bd-search-container .bd-search i").bounding_box()
        typed = visit.page.locator(".bd-search-container .bd-search input").evaluate(
            "field => field.getBoundingClientRect().left + parseFloat(getComputedStyle(field).paddingLeft)"
        )
    assert "Audio codecs" in titles[0]  # chapters first, and of these the one about it
    assert icon
    assert typed >= icon["x"] + icon["width"]
    assert visit.errors == []


def test_theme_button_changes_the_theme(reader):
    with reader.open(CHAPTER, "light") as visit:
        colour = "getComputedStyle(document.querySelector('.course-plot text')).fill"
        before = visit.page.evaluate(colour)
        for _ in range(3):  # auto, light, dark, in the theme's own order
            visit.page.locator(".theme-switch-button:visible").click()
            if visit.page.evaluate("document.documentElement.dataset.theme") == "dark":
                break
        assert visit.page.evaluate("document.documentElement.dataset.theme") == "dark"
        assert visit.page.evaluate(colour) != before


def rounds_from(data: dict) -> list[Round]:
    """lib's rounds again, with stand-in tokens: statistics read only their counts."""
    counts = [(entry["num_accepted"], len(entry["draft"])) for entry in data["rounds"]]
    return [Round(torch.zeros(k + 1, dtype=torch.long), k, torch.zeros(n, dtype=torch.long)) for k, n in counts]


def number_shown(widget, selector: str) -> float:
    """A number of two decimals on the page. Python and JavaScript round a tie such as 1.125 differently."""
    text = widget.locator(selector).inner_text()
    assert re.fullmatch(r"\d+\.\d\d", text), text
    return float(text)


def test_stepper_by_keys_shows_the_numbers_of_lib(reader):
    with reader.open(CHAPTER) as visit:
        page = visit.page
        data = visit.embedded("accept-reject-stepper")
        rounds = rounds_from(data)
        widget = page.locator('[data-widget="accept-reject-stepper"]')
        widget.locator(".stepper-button-next").focus()
        for done in range(1, len(rounds) + 1):
            page.keyboard.press("PageDown")
            stats = AcceptanceStats.from_rounds(rounds[:done])
            assert number_shown(widget, ".fact-tar") == pytest.approx(stats.token_acceptance_rate, abs=0.005 + 1e-9)
            assert number_shown(widget, ".fact-per-pass") == pytest.approx(stats.tokens_per_round, abs=0.005 + 1e-9)
            assert widget.locator(".fact-tokens").inner_text() == str(sum(r.num_accepted + 1 for r in rounds[:done]))
        assert widget.locator(".stepper-button-next").is_disabled()
        written = widget.locator(".stepper-text").inner_text()
        kept = [t["text"] for t in data["rounds"][-1]["draft"][: rounds[-1].num_accepted]]
        assert data["rounds"][-1]["emitted"]["text"].replace("\n", "⏎\n").strip() in written
        assert all(text.strip() in written for text in kept)
    assert visit.errors == []


def test_stepper_judges_one_token_at_a_time(reader):
    with reader.open(CHAPTER) as visit:
        page = visit.page
        data = visit.embedded("accept-reject-stepper")
        refused = next(i for i, entry in enumerate(data["rounds"]) if entry["num_accepted"] < len(entry["draft"]))
        verified = data["rounds"][refused]["num_accepted"] + 1
        widget = page.locator('[data-widget="accept-reject-stepper"]')
        widget.locator(".stepper-text").focus()
        for _ in range(refused):
            page.keyboard.press("PageDown")
        for _ in range(verified + (refused > 0)):
            page.keyboard.press("ArrowRight")
        token = data["rounds"][refused]["draft"][verified - 1]
        said = widget.locator(".stepper-say")
        assert said.get_attribute("aria-live") == "polite"
        assert "rejected" in said.inner_text()
        assert (f"{token['u']:.3f}" if token["u"] >= 0.001 else "<0.001") in said.inner_text()
        assert widget.locator(".stepper-text .token-rejected").count() == 1
        page.keyboard.press("ArrowRight")
        assert widget.locator(".stepper-text .token-corrected").last.is_visible()
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("Home")
        assert widget.locator(".fact-tar").inner_text() == "–"
        assert widget.locator(".stepper-button-back").is_disabled()


def test_on_a_phone_the_verdicts_of_the_stepper_are_in_view(reader):
    with reader.open(CHAPTER, mode="mobile") as visit:
        widget = visit.page.locator('[data-widget="accept-reject-stepper"]')
        widget.locator(".stepper-text").focus()
        for key in ("Home", "End"):
            visit.page.keyboard.press(key)
            frame = widget.locator(".stepper-table")
            assert frame.evaluate("frame => frame.scrollWidth - frame.clientWidth") == 0


def test_sliders_by_arrow_keys_show_the_numbers_of_lib(reader):
    with reader.open(CHAPTER) as visit:
        page = visit.page
        data = visit.embedded("speedup-explorer")
        widget = page.locator('[data-widget="speedup-explorer"]')
        sliders = widget.locator("input[type=range]")
        places = list(data["start"])
        for which, keys in (
            (0, ["ArrowRight"] * 2),
            (1, ["ArrowLeft", "ArrowRight", "ArrowRight"]),
            (2, ["ArrowRight"]),
            (3, ["ArrowLeft"]),
        ):
            sliders.nth(which).focus()
            for key in keys:
                page.keyboard.press(key)
                places[which] += 1 if key == "ArrowRight" else -1
        rate, length, cost, verify = (data[name][i] for name, i in zip(NAMES, places, strict=True))
        assert widget.locator(".fact-expected").inner_text() == f"{expected_tokens(rate, length):.2f}"
        assert widget.locator(".fact-speedup").inner_text() == f"{predicted_speedup(rate, length, cost, verify):.2f}×"
        best = max(data["draft_lengths"], key=lambda draft: predicted_speedup(rate, draft, cost, verify))
        pays = predicted_speedup(rate, best, cost, verify) > 1
        shown = widget.locator(".fact-best").inner_text()
        assert shown.startswith(f"{best} (" if pays else "none")
    assert visit.errors == []


NAMES = ("acceptance_rates", "draft_lengths", "cost_ratios", "verify_ratios")


def test_without_scripts_a_table_stands_in_for_each_widget(reader):
    with reader.open(CHAPTER, java_script_enabled=False) as visit:
        for name in ("accept-reject-stepper", "speedup-explorer"):
            assert visit.page.locator(f'[data-widget="{name}"] table').is_visible()
        assert visit.page.locator(".quiz details").first.is_visible()


def test_a_quiz_explains_each_answer(reader):
    with reader.open(CHAPTER) as visit:
        quiz = visit.page.locator(".quiz").first
        answers = quiz.locator("details")
        assert answers.count() >= 3
        verdicts = []
        for i in range(answers.count()):
            answers.nth(i).locator("summary").press("Enter")
            why = answers.nth(i).locator("p").last
            assert why.is_visible()
            verdicts.append(why.inner_text().split(".")[0])
        assert verdicts.count("Yes") == 1
        assert verdicts.count("No") == len(verdicts) - 1


def test_notebook_download_is_clean(reader, site):
    with reader.open(CHAPTER) as visit:
        link = visit.page.locator("a.btn-download-notebook-button, a[href*='notebooks/']").first.get_attribute("href")
    notebook = json.loads((site / (link or "")).read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert "nimblelm" in code[0]["source"]
    assert all(cell["outputs"] == [] for cell in code)
    assert not any(
        "{glue" in cell["source"] or "{ref}" in cell["source"] for cell in notebook["cells"] if cell not in code
    )


def test_assignment_download_is_the_students_notebook(site):
    """Grading metadata included: what is downloaded here must be gradable."""
    given = sorted((Path(__file__).resolve().parents[2] / "assignments").glob("*/*.ipynb"))
    assert given
    for notebook in given:
        page = (site / "assignments" / f"{notebook.stem}.html").read_text(encoding="utf-8")
        assert f"../notebooks/assignments/{notebook.name}" in page
        assert (site / "notebooks/assignments" / notebook.name).read_bytes() == notebook.read_bytes()
