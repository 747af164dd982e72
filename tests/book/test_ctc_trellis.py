"""The interactive of chapter 16 shows lib's trellis, and its slider ranks the list as lib's rescoring does."""

import pytest
from book_tools.ctc_trellis import WEIGHTS, WORD, log_probs_of, n_best, trellis_data

from nimblelm.audio.recognition.ctc import ctc_trellis
from nimblelm.audio.recognition.neural_lm import load_letter_model
from nimblelm.audio.recognition.rescoring import rescored
from nimblelm.audio.recognition.vocabulary import INDEX, VOCABULARY

CHAPTER = "ch16_speech_recognition.html"


def test_it_shows_libs_trellis_by_keys_and_ranks_as_lib_does(reader):
    log_probs, model = log_probs_of(WORD), load_letter_model()
    trellis = ctc_trellis(log_probs, [INDEX[letter] for letter in WORD])
    with reader.open(CHAPTER) as visit:
        widget = visit.page.locator('[data-widget="ctc-trellis"]')
        widget.locator(".stepper-button-next").focus()
        for _ in range(3):
            visit.page.keyboard.press("ArrowRight")
        frame, state = widget.evaluate("root => root.ctcTrellis.at()")
        assert (frame, state) == (3, int(trellis.occupancy[3].argmax()))
        shown = widget.locator(".fact-alpha").inner_text().replace("−", "-")
        assert float(shown) == pytest.approx(trellis.alpha[frame, state].item(), abs=0.0051)
        assert widget.locator(".fact-gamma").inner_text() == f"{trellis.occupancy[frame, state]:.3f}"
        for place in (0, 5, len(WEIGHTS) - 1):
            widget.locator('input[type="range"]').evaluate(
                "(input, value) => { input.value = value; input.dispatchEvent(new Event('input')); }", place
            )
            best = rescored(n_best(log_probs, model), model, WEIGHTS[place])[0]
            shown = widget.evaluate("root => root.ctcTrellis.best()")
            assert shown == "".join(VOCABULARY[label] for label in best.labels)
    assert visit.errors == []


def test_it_plays_to_the_last_frame(reader):
    with reader.open(CHAPTER) as visit:
        widget = visit.page.locator('[data-widget="ctc-trellis"]')
        widget.locator(".stepper-button-play").click()
        visit.page.wait_for_function(
            "() => document.querySelector('[data-widget=\"ctc-trellis\"] .stepper-button-next')"
            ".getAttribute('aria-disabled') === 'true'",
            timeout=60_000,
        )
    assert visit.errors == []


def test_every_frame_is_somewhere():
    data = trellis_data(load_letter_model())
    assert all(sum(row) == pytest.approx(1, abs=5e-3) for row in data["occupancy"])
    assert data["states"][1::2] == list(WORD)
