"""Splicing against a loop over slots, and the faults that it refuses."""

import pytest
import torch

from nimblelm.language.splice import IGNORED, answer_labels, inspect_labels, next_token_labels, splice

IMAGE = 9
TABLE = torch.arange(30.0).view(10, 3)


def embed(tokens: torch.Tensor) -> torch.Tensor:
    return TABLE[tokens]


@pytest.mark.parametrize("side", ["left", "right"])
def test_each_placeholder_becomes_its_picture(side):
    texts = [torch.tensor(row) for row in ([1, IMAGE, 2, 3], [IMAGE, IMAGE], [4], [5, 6, IMAGE])]
    pictures = [torch.full((n, 3), -1.0 * i) for i, n in enumerate((2, 1, 4, 3), 1)]
    labels = [torch.where(row == 3, row, IGNORED) for row in texts]
    found, waiting = splice(texts, labels, pictures, embed, IMAGE, side), iter(pictures)
    assert found.embeddings.shape == (4, 5, 3)
    for i, row in enumerate(texts):
        slots = [s for t in row.tolist() for s in (next(waiting) if t == IMAGE else TABLE[t : t + 1])]
        places = range(5 - len(slots), 5) if side == "left" else range(len(slots))
        for position, place in enumerate(places):
            assert torch.equal(found.embeddings[i, place], slots[position])
            assert found.positions[i, place] == position
            assert found.visible[i, place]
        rest = [place for place in range(5) if place not in places]
        assert not found.visible[i, rest].any()
        assert not found.embeddings[i, rest].any()
        assert (found.labels[i, rest] == IGNORED).all()
    assert (found.labels != IGNORED).sum() == 1
    assert found.labels[0, 4] == 3


def test_what_does_not_fit_is_refused():
    texts, picture = [torch.tensor([1, IMAGE])], torch.zeros(2, 3)
    for pictures in ([], [picture, picture]):
        with pytest.raises(ValueError, match=f"have 1 placeholders for pictures, and {len(pictures)}"):
            splice(texts, None, pictures, embed, IMAGE)
    with pytest.raises(ValueError, match="'middle' is neither"):
        splice(texts, None, [picture], embed, IMAGE, "middle")
    with pytest.raises(ValueError, match="no text"):
        splice([], None, [], embed, IMAGE)
    with pytest.raises(ValueError, match=r"labels \[1\] do not fit tokens \[2\]"):
        splice(texts, [torch.tensor([1])], [picture], embed, IMAGE)
    with pytest.raises(ValueError, match="4 wide, the text's 3"):
        splice(texts, None, [torch.zeros(2, 4)], embed, IMAGE)


def test_labels_are_inspected():
    tokens = torch.tensor([1, 2, 3, 4])
    labels = answer_labels(tokens, [(2, 4)])
    assert labels.tolist() == [IGNORED, IGNORED, 3, 4]
    for span in ((2, 2), (3, 5), (-1, 2)):
        with pytest.raises(ValueError, match="does not lie within 4 tokens"):
            answer_labels(tokens, [span])
    assert inspect_labels(torch.stack([labels, tokens]), 10).tolist() == [2, 3]
    lost = torch.stack([labels, answer_labels(tokens, [(0, 1)])])  # the first slot's label is never predicted
    with pytest.raises(ValueError, match="no label of text 1 survives: all 4 slots"):
        inspect_labels(lost, 10)
    with pytest.raises(ValueError, match="label 4 is not one of 4 tokens"):
        inspect_labels(tokens[None], 4)
    assert next_token_labels(labels[None]).tolist() == [[IGNORED, 3, 4, IGNORED]]
