"""The tree of chapter 3, by keys, shows what lib's tree and lib's exact rule give."""

import pytest
import torch

from nimblelm.inference.medusa.tree import CandidateTree
from nimblelm.inference.medusa.verification import matching_path

CHAPTER = "ch03_medusa_heads.html"


def numbered(words: list[str], others: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Texts of tokens as numbers: equal texts, equal numbers."""
    known = {word: i for i, word in enumerate(dict.fromkeys([*words, *others]))}
    return torch.tensor([known[word] for word in words]), torch.tensor([known[word] for word in others])


@pytest.mark.parametrize("number", [0, 2])
def test_every_node_shows_its_place_its_mask_and_its_fate(reader, number):
    with reader.open(CHAPTER) as visit:
        page = visit.page
        data = visit.embedded("tree-attention")
        tree = CandidateTree(tuple(tuple(name) for name in data["names"][1:]))
        made = data["rounds"][number]
        path = matching_path(*numbered(made["tokens"], made["chosen"]), tree.paths).tolist()
        widget = page.locator('[data-widget="tree-attention"]')
        widget.locator("input[type=radio]").nth(0).focus()
        for _ in range(number):
            page.keyboard.press("ArrowRight")
        assert widget.locator("input[type=radio]").nth(number).is_checked()
        widget.locator(".stepper-button-next").focus()
        for node in range(len(tree)):
            place = made["position"] + int(tree.depths[node])
            assert widget.locator(".fact-node").inner_text() == str(node)
            assert widget.locator(".fact-place").inner_text() == str(place)
            assert widget.locator(".fact-row").inner_text() == str(made["position"] + node)
            assert widget.locator(".fact-sees").inner_text() == f"{made['position']} + {int(tree.mask[node].sum())}"
            boxes, cells = widget.locator(".tree-node"), widget.locator(".tree-cell.is-now")
            seen = boxes.evaluate_all("all => all.map(one => /is-seen|is-now/.test(one.getAttribute('class')))")
            assert seen == tree.mask[node].tolist()
            row = cells.evaluate_all("all => all.map(one => one.getAttribute('class').includes('is-visible'))")
            assert row == tree.mask[node].tolist()
            said = widget.locator(".stepper-say").inner_text()
            assert ("is kept" in said) == (node in path[1:])
            page.keyboard.press("ArrowRight")
        kept = widget.locator(".tree-node").evaluate_all(
            "all => all.flatMap((one, i) => one.getAttribute('class').includes('is-kept') ? [i] : [])"
        )
        assert kept == sorted(path)
        assert widget.locator(".stepper-button-next").is_disabled()
        page.keyboard.press("Home")
        assert widget.locator(".fact-node").inner_text() == "0"
    assert visit.errors == []


def test_a_click_on_a_node_chooses_it(reader):
    with reader.open(CHAPTER) as visit:
        widget = visit.page.locator('[data-widget="tree-attention"]')
        widget.locator(".tree-node").nth(3).click()
        assert widget.locator(".fact-node").inner_text() == "3"
    assert visit.errors == []


def test_on_a_phone_the_chosen_node_comes_into_view(reader):
    with reader.open(CHAPTER, mode="mobile") as visit:
        widget = visit.page.locator('[data-widget="tree-attention"]')
        frame = widget.locator(".widget-scroll").first
        depths = visit.embedded("tree-attention")["depths"]
        widget.locator(".stepper-button-next").focus()
        for node in (depths.index(max(depths)), 0):
            visit.page.keyboard.press("Home")
            for _ in range(node):
                visit.page.keyboard.press("ArrowRight")
            box, around = widget.locator(".tree-node.is-now").bounding_box(), frame.bounding_box()
            assert around["x"] <= box["x"]
            assert box["x"] + box["width"] <= around["x"] + around["width"]
    assert visit.errors == []


def test_without_scripts_a_table_stands_in_for_the_tree(reader):
    with reader.open(CHAPTER, java_script_enabled=False) as visit:
        assert visit.page.locator('[data-widget="tree-attention"] table').is_visible()
