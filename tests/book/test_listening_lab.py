"""The listening lab in a real browser: what is heard, when, and how loud, read from the samples that are played."""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from book_tools.sounds import Sound, matched, show_sounds
from offline_pages import with_files
from playwright.sync_api import Page
from site_browser import CHROMIUM, FLAGS, served

ASSETS = Path(__file__).resolve().parents[2] / "book/_assets"
TONES_HZ = {"low": 440.0, "high": 1760.0}
SECONDS = 3.0


def tone(hz: float, level: float, rate_hz: int = 16_000) -> torch.Tensor:
    return level * torch.sin(2 * math.pi * hz * torch.arange(int(SECONDS * rate_hz)) / rate_hz)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A page with two labs, as the site's build leaves it."""
    from IPython.core.displaypub import CapturingDisplayPublisher
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    publisher, shell.display_pub = shell.display_pub, CapturingDisplayPublisher()
    try:
        show_sounds("Two tones", {n: Sound(tone(hz, 0.02 + hz / 8000), "a tone") for n, hz in TONES_HZ.items()})
        show_sounds("A slow one", {"slow": Sound(tone(440, 0.3, 8_000), sample_rate_hz=8_000)}, blind=False)
        shown = [output["data"]["text/html"] for output in shell.display_pub.outputs]
    finally:
        shell.display_pub = publisher
        InteractiveShell.clear_instance()
    out = tmp_path_factory.mktemp("lab")
    scripts = [ASSETS / "js/widget-parts.js", ASSETS / "js/widgets/listening-lab.js"]
    for file in scripts:
        (out / file.name).write_text(file.read_text())
    tags = "".join(f'<script defer src="{file.name}"></script>' for file in scripts)
    style = (ASSETS / "css/listening-lab.css").read_text()
    page = f"<!doctype html><title>lab</title><style>{style}</style>{tags}<link rel=icon href=data:,>{''.join(shown)}"
    (out / "lab.html").write_text(with_files(page, out, out))
    return out


@pytest.fixture(scope="module")
def browser(chromium):
    browser = chromium.launch(executable_path=CHROMIUM, args=FLAGS)
    yield browser
    browser.close()


@contextmanager
def opened(browser, folder: Path, **options: object) -> Iterator[tuple[Page, list[str], list[str]]]:
    context = browser.new_context(**options)
    page, asked, errors = context.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    with served(folder) as address:
        page.goto(f"{address}/lab.html")
        yield page, asked, errors
        context.close()


STATE = """() => {
  const lab = document.querySelector('[data-widget="listening-lab"]').listeningLab, node = lab.analyser();
  if (!node) return {time: lab.time(), rms: 0, peak_hz: 0};
  const x = new Float32Array(node.fftSize), bins = new Float32Array(node.frequencyBinCount);
  node.getFloatTimeDomainData(x); node.getFloatFrequencyData(bins);
  const rms = Math.sqrt(x.reduce((sum, v) => sum + v * v, 0) / x.length);
  return {time: lab.time(), rms, peak_hz: bins.indexOf(Math.max(...bins)) * node.context.sampleRate / node.fftSize};
}"""


def heard(page: Page, hz: float) -> dict:
    """Wait until the samples that are being played hold this tone, alone."""
    for _ in range(100):
        state = page.evaluate(STATE)
        if state["rms"] > 0.07 and abs(state["peak_hz"] - hz) < 40:  # the whole window sounds
            return state
        page.wait_for_timeout(50)
    raise AssertionError(f"{hz} Hz was not heard: {state}")


def test_nothing_is_fetched_or_played_before_somebody_asks(browser, folder):
    with opened(browser, folder) as (page, asked, errors):
        page.wait_for_timeout(300)
        assert not [url for url in asked if url.endswith((".flac", ".ogg"))]
        assert page.evaluate(STATE) == {"time": 0, "rms": 0, "peak_hz": 0}
        assert errors == []


def test_switching_keeps_the_place_and_the_level(browser, folder):
    with opened(browser, folder) as (page, _, errors):
        lab = page.locator('[data-widget="listening-lab"]').first
        lab.locator(".lab-play").click()
        low = heard(page, TONES_HZ["low"])
        lab.locator(".lab-pick").nth(1).click()
        high = heard(page, TONES_HZ["high"])
        assert low["time"] < high["time"] < low["time"] + 2.5
        assert high["rms"] == pytest.approx(low["rms"], rel=0.1)
        page.keyboard.press("a")
        heard(page, TONES_HZ["low"])
        lab.locator(".lab-play").click()
        assert page.evaluate(STATE)["time"] > 0
        page.wait_for_timeout(200)
        stopped = page.evaluate(STATE)
        assert stopped["rms"] < 1e-3
        page.wait_for_timeout(200)
        assert page.evaluate(STATE)["time"] == stopped["time"]
        assert errors == []


def test_time_runs_as_fast_as_a_clock(browser, folder):
    with opened(browser, folder) as (page, _, _errors):
        page.locator(".lab-play").first.click()
        heard(page, TONES_HZ["low"])
        times = page.evaluate(
            """async () => {
              const lab = document.querySelector('[data-widget="listening-lab"]').listeningLab, seen = [];
              for (let i = 0; i < 12; i += 1) {
                seen.push([performance.now() / 1000, lab.time()]);
                await new Promise((r) => setTimeout(r, 60));
              }
              return seen;
            }"""
        )
        wall, sound = times[-1][0] - times[0][0], (times[-1][1] - times[0][1]) % SECONDS
        assert sound == pytest.approx(wall, abs=0.25)


def test_keys_move_choose_and_stop(browser, folder):
    with opened(browser, folder) as (page, _, errors):
        lab = page.locator('[data-widget="listening-lab"]').first
        lab.locator(".lab-stage").focus()
        for _ in range(3):
            page.keyboard.press("ArrowRight")
        assert lab.locator(".fact-time").inner_text() == "0.75"
        page.keyboard.press("2")
        assert lab.locator(".lab-pick").nth(1).get_attribute("aria-pressed") == "true"
        page.keyboard.press(" ")
        assert heard(page, TONES_HZ["high"])["time"] >= 0.7
        page.keyboard.press(" ")
        assert "Play" in lab.locator(".lab-play").inner_text()
        page.keyboard.press("Home")
        assert lab.locator(".fact-time").inner_text() == "0.00"
        box = lab.locator(".lab-stage").bounding_box()
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 5)
        assert float(lab.locator(".fact-time").inner_text()) == pytest.approx(SECONDS / 2, abs=0.05)
        assert errors == []


def test_the_blind_test_counts_and_hides_what_it_plays(browser, folder):
    with opened(browser, folder) as (page, _, errors):
        lab = page.locator('[data-widget="listening-lab"]').first
        lab.locator(".lab-x").click()
        assert not lab.locator(".lab-spectrogram").is_visible()
        lab.locator(".lab-play").click()
        for trial in range(4):
            for _ in range(100):
                state = page.evaluate(STATE)
                nearest = min(TONES_HZ.values(), key=lambda hz: abs(hz - state["peak_hz"]))
                if state["rms"] > 0.03 and abs(nearest - state["peak_hz"]) < 40:
                    break
                page.wait_for_timeout(50)
            page.wait_for_timeout(150)
            state = page.evaluate(STATE)
            is_high = abs(state["peak_hz"] - TONES_HZ["high"]) < 40
            lab.locator(".lab-answer").nth(int(is_high)).click()
            assert f"{trial + 1} of {trial + 1} right" in lab.locator(".lab-say").inner_text()
            page.wait_for_timeout(150)
        assert "0.06" in lab.locator(".lab-say").inner_text()  # 1 in 16
        assert errors == []


def test_a_second_lab_silences_the_first_and_plays_at_its_own_rate(browser, folder):
    with opened(browser, folder) as (page, _, errors):
        labs = page.locator('[data-widget="listening-lab"]')
        labs.nth(0).locator(".lab-play").click()
        heard(page, TONES_HZ["low"])
        labs.nth(1).locator(".lab-play").click()
        page.wait_for_timeout(300)
        assert "Play" in labs.nth(0).locator(".lab-play").inner_text()
        assert "Pause" in labs.nth(1).locator(".lab-play").inner_text()
        lab = "document.querySelectorAll('[data-widget=\"listening-lab\"]')[1].listeningLab"
        assert page.evaluate(f"() => {lab}.duration()") == pytest.approx(SECONDS, abs=0.01)
        assert errors == []


def test_without_scripts_each_sound_has_a_player_and_a_picture(browser, folder):
    with opened(browser, folder, java_script_enabled=False) as (page, asked, _):
        assert page.locator("audio").count() == 3
        assert page.locator("img[alt*=Spectrogram]").count() == 3
        assert not [url for url in asked if url.endswith(".flac")]


def test_sounds_are_files_of_their_own_and_at_one_level(folder):
    import soundfile

    page = (folder / "lab.html").read_text()
    assert "base64" not in page
    names = re.findall(r'<audio[^>]*src="(_sounds/\w+\.flac)"', page)
    levels = [soundfile.read(folder / name)[0].std() for name in names]
    assert levels[0] == pytest.approx(levels[1], rel=1e-3)
    assert soundfile.info(folder / names[2]).samplerate == 8_000


def test_a_loud_peak_makes_all_of_them_quieter():
    click = torch.zeros(16_000)
    click[::4_000] = 1
    factors = matched({"click": Sound(click), "tone": Sound(tone(300, 0.5))})
    assert factors["click"] == pytest.approx(0.9)
    with pytest.raises(ValueError, match="silent"):
        matched({"nothing": Sound(torch.zeros(100))})
