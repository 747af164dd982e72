"""The tile walk of chapter 4, by keys, shows the numbers that lib's online softmax gives."""

from pathlib import Path

import pytest
import torch

from nimblelm.kernels.flash_attention import simple
from nimblelm.kernels.flash_attention.online_softmax import absorb, finish, no_keys_yet

CHAPTER = "ch04_flash_attention.html"


def shown(widget, field: str) -> float:
    return float(widget.locator(f".fact-{field}").inner_text().replace("−", "-"))


def lib_states(data: dict, width: int):
    scores, values = torch.tensor(data["scores"]), torch.tensor(data["values"])[:, None]
    state = no_keys_yet(values[:1])
    for start in range(0, len(scores), width):
        state = absorb(state, scores[None, start : start + width], values[start : start + width])
        yield state, finish(state)


@pytest.mark.parametrize("slides", [0, 1, -2])
def test_walk_by_keys_shows_the_numbers_of_lib(reader, slides):
    with reader.open(CHAPTER) as visit:
        page = visit.page
        data = visit.embedded("online-softmax")
        widget = page.locator('[data-widget="online-softmax"]')
        widget.locator("input[type=range]").focus()
        for _ in range(abs(slides)):
            page.keyboard.press("ArrowRight" if slides > 0 else "ArrowLeft")
        width = data["widths"][data["start"] + slides]
        assert widget.locator(".explorer-slider output").inner_text() == str(width)
        widget.locator(".stepper-button-next").focus()
        previous = 0.0
        for number, (state, (out, lse)) in enumerate(lib_states(data, width), 1):
            page.keyboard.press("ArrowRight")
            wanted = {"m": state.m_i, "l": state.l_i, "a": state.acc, "out": out, "lse": lse}
            for field, value in wanted.items():
                assert shown(widget, field) == pytest.approx(value.item(), abs=0.0005 + 1e-5), field
            assert widget.locator(".softmax-tape .is-now").count() == width
            lit = widget.locator(".code-line.is-lit code").all_inner_texts()
            rose = number > 1 and state.m_i.item() > previous
            previous = state.m_i.item()
            assert any(line.startswith("alpha") for line in lit) == rose
            assert any(line.startswith("m_i") for line in lit)
            assert widget.locator(".softmax-tape .is-seen").count() == width * (number - 1)
        assert widget.locator(".stepper-button-next").is_disabled()
        page.keyboard.press("Home")
        assert widget.locator(".stepper-button-back").is_disabled()
        assert widget.locator(".stepper-say").get_attribute("aria-live") == "polite"
    assert visit.errors == []


def test_without_scripts_a_table_stands_in_for_the_walk(reader):
    with reader.open(CHAPTER, java_script_enabled=False) as visit:
        assert visit.page.locator('[data-widget="online-softmax"] table').is_visible()


def test_the_line_numbers_of_the_kernel_are_those_that_the_page_names():
    """The page explains the kernel by line numbers, which an edit of the kernel would shift."""
    source = Path(simple.__file__).read_text(encoding="utf-8").splitlines()
    first = source.index("@triton.jit")
    begins = {
        8: "row_of_heads", 9: "batch, head", 10: "rows =", 13: "real_row", 15: "q +=", 20: ")", 22: "m_i", 24: "acc",
        26: "shift", 29: "end =", 30: "for start", 35: "value", 37: "scores", 41: "scores",
        43: "m_new", 49: "m_i", 51: "divisor",
    }  # fmt: skip
    for line, words in begins.items():
        assert source[first + line - 1].strip().startswith(words), line
