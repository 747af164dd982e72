"""The interactive of chapter 19 adds book after book, by keys and by itself, with the numbers of lib."""

import torch
from book_tools.rvq_plane import BOOKS, SHOWN, fitted, points, rvq_plane

CHAPTER = "ch19_audio_codecs.html"


def test_what_it_shows_is_what_lib_decodes(reader):
    x = points()
    quantizer = fitted(x)
    codes = quantizer.encode(x.T[None])
    with reader.open(CHAPTER) as visit:
        widget = visit.page.locator('[data-widget="rvq-plane"]')
        widget.locator(".stepper-button-next").focus()
        for count in range(1, BOOKS + 1):
            visit.page.keyboard.press("ArrowRight")
            wanted = quantizer.decode(codes[:, :count])[0].T[:SHOWN]
            for n in (0, SHOWN - 1):
                shown = torch.tensor(widget.evaluate("(root, n) => root.rvqPlane.decoded(n)", n))
                torch.testing.assert_close(shown, wanted[n], atol=1e-3, rtol=0)
            error = (x - quantizer.decode(codes[:, :count])[0].T).square().sum(1).mean().sqrt().item()
            assert widget.locator(".fact-left").inner_text() == f"{error:.3f}"
            assert widget.locator(".fact-bits").inner_text() == str(2 * count)
    assert visit.errors == []


def test_it_plays_by_itself_to_the_last_book(reader):
    with reader.open(CHAPTER) as visit:
        widget = visit.page.locator('[data-widget="rvq-plane"]')
        widget.locator(".stepper-button-play").click()
        visit.page.wait_for_function(
            f"() => document.querySelector('[data-widget=\"rvq-plane\"]').rvqPlane.count() === {BOOKS}", timeout=20_000
        )
        assert widget.locator(".stepper-button-next").get_attribute("aria-disabled") == "true"
    assert visit.errors == []


def test_every_book_leaves_less():
    left = rvq_plane()["left"]
    assert left == sorted(left, reverse=True)
    assert left[-1] < 0.1 * left[0]
