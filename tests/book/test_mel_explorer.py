"""The mel explorer of chapter 15 shows the levels of lib for every setting, walks by keys, and is heard when asked."""

import pytest
import torch
from book_tools.mel_explorer import BANDS, HOPS_MS, SCALES, WINDOW_MS, WINDOWS, band_levels

from nimblelm.audio.features.mel_spectrum import MelConfig
from nimblelm.data.voices import clip, sound

CHAPTER = "ch15_sound_to_log_mel.html"
LEVELS = "(root, t) => root.melExplorer.levels(t)"


def choose(widget, window_ms: int, hop_ms: int, bands: int, shape: str, scale: str) -> None:
    for number, (values, value) in enumerate(((WINDOW_MS, window_ms), (HOPS_MS, hop_ms), (BANDS, bands))):
        slider = widget.locator("input[type=range]").nth(number)
        slider.press("Home")
        for _ in range(values.index(value)):
            slider.press("ArrowRight")
    for legend, names, name in (("Window shape", WINDOWS, shape), ("Mel scale", SCALES, scale)):
        widget.locator("fieldset", has_text=legend).locator("input[type=radio]").nth(names.index(name)).check()


@pytest.mark.parametrize(
    "setting",
    [(25, 10, 40, "hann", "slaney"), (4, 20, 10, "rectangular", "htk"), (64, 20, 80, "hamming", "slaney")],
)
def test_levels_are_those_of_lib(reader, setting):
    window_ms, hop_ms, bands, shape, scale = setting
    three = sound(clip("allison", "en", "number 3"), trim=True)[:4800]
    config = MelConfig(bands, window_ms * 16, hop_ms * 16, scale=scale, window=shape)
    wanted = band_levels(three, config)
    with reader.open(CHAPTER) as visit:
        widget = visit.page.locator('[data-widget="mel-explorer"]')
        choose(widget, *setting)
        assert widget.evaluate("root => root.melExplorer.count()") == wanted.shape[1]
        for t in (wanted.shape[1] // 3, wanted.shape[1] // 2):
            shown = torch.tensor(widget.evaluate(LEVELS, t), dtype=torch.float64)
            torch.testing.assert_close(shown, wanted[:, t], atol=0.05, rtol=0)
    assert visit.errors == []


def test_keys_walk_from_frame_to_frame_and_the_facts_follow(reader):
    with reader.open(CHAPTER) as visit:
        widget = visit.page.locator('[data-widget="mel-explorer"]')
        widget.locator(".stepper-button-next").focus()
        visit.page.keyboard.press("Home")
        assert widget.locator(".fact-frame").inner_text().startswith("0 of")
        for _ in range(3):
            visit.page.keyboard.press("ArrowRight")
        assert widget.locator(".fact-time").inner_text() == "30"
        assert widget.locator(".fact-hz").inner_text() == "40.0"
        assert widget.locator(".fact-rate").inner_text() == "4000"
    assert visit.errors == []


def test_the_sound_is_heard_when_asked_for_and_the_frames_follow(reader):
    with reader.open(CHAPTER) as visit:
        widget = visit.page.locator('[data-widget="mel-explorer"]')
        assert not widget.evaluate("root => root.melExplorer.hearing()")
        visit.page.keyboard.press("Home")
        widget.locator(".stepper-button-back").focus()
        visit.page.keyboard.press("Home")
        widget.locator(".stepper-button-hear").click()
        visit.page.wait_for_function("() => !document.querySelector('.fact-frame').innerText.startsWith('0 of')")
        visit.page.wait_for_function(
            "() => !document.querySelector('[data-widget=\"mel-explorer\"]').melExplorer.hearing()"
        )
        words = widget.locator(".fact-frame").inner_text().split(" of ")
        assert words[0] == words[1]
    assert visit.errors == []
