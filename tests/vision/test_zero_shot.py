"""Classifiers made of words, and CLIP on the picture set: what its checkpoints promise is so."""

import pytest
import torch
import torch.nn.functional as F

from nimblelm.data.emoji import STYLES, concepts, pictures
from nimblelm.data.emoji.splits import held_out_composition, held_out_concept
from nimblelm.vision.emoji_clip import (
    UNSEEN_STYLE,
    EmojiCLIP,
    EmojiCLIPConfig,
    load_emoji_clip,
    people,
    piece_ids,
    trained_concept,
    training_log,
)
from nimblelm.vision.preprocessing import normalize
from nimblelm.vision.zero_shot import class_embeddings, zero_shot


def lengths_and_letters(prompts):
    """An encoder whose answers are known: number of letters and of words; never of length 1."""
    return torch.tensor([[float(len(prompt)), 3.0 * len(prompt.split())] for prompt in prompts])


def test_a_class_is_the_mean_of_its_prompts_at_length_1():
    names, templates = ["owl", "red apple"], ["{}", "a drawing of {}", "{} {}"]
    got = class_embeddings(lengths_and_letters, names, templates)
    for row, name in zip(got, names, strict=True):
        each = [lengths_and_letters([template.replace("{}", name)])[0] for template in templates]
        mean = sum(one / one.norm() for one in each)
        torch.testing.assert_close(row, mean / mean.norm())
    plain = F.normalize(lengths_and_letters(names), dim=1)
    torch.testing.assert_close(class_embeddings(lengths_and_letters, names), plain)


def test_probabilities_are_a_softmax_of_scaled_cosines():
    images, classes = torch.tensor([[2.0, 0.0], [0.0, 0.5]]), torch.tensor([[1.0, 0.0], [0.0, 3.0], [1.0, 1.0]])
    got = zero_shot(images, classes, torch.tensor(4.0))
    want = torch.tensor([[4.0, 0.0, 8**0.5], [0.0, 4.0, 8**0.5]]).softmax(1)
    torch.testing.assert_close(got, want)


@pytest.mark.parametrize(("names", "templates", "why"), [([], ["{}"], "0 names"), (["a"], [], "0 templates")])
def test_nothing_to_choose_from_is_refused(names, templates, why):
    with pytest.raises(ValueError, match=why):
        class_embeddings(lengths_and_letters, names, templates)
    with pytest.raises(ValueError, match="'a drawing' has no"):
        class_embeddings(lengths_and_letters, ["a"], ["{}", "a drawing"])


def test_words_and_their_pieces_share_a_table():
    ids = piece_ids(["Red apple!", "owl"], 1000, 16)
    assert ids.shape[:2] == (2, 2)
    assert (ids[1, 1] == 0).all(), "the second caption has one word"
    assert (ids[0, 0] > 0).sum() == 1 + len({"<re", "red", "ed>", "<red", "red>"})
    assert torch.equal(piece_ids(["red apple"], 1000, 16), ids[:1, :, : ids.shape[2]])
    shared = set(piece_ids(["apples"], 1000, 16)[0, 0].tolist()) & set(ids[0, 1].tolist())
    assert len(shared - {0}) >= 6, "appl, pple and their like"
    assert piece_ids(["one two three"], 1000, 2).shape[1] == 2
    with pytest.raises(ValueError, match="no word in the caption '!'"):
        piece_ids(["apple", "!"], 1000, 16)


@torch.no_grad()
def test_padding_changes_no_caption():
    torch.manual_seed(0)
    model = EmojiCLIP(EmojiCLIPConfig(num_buckets=200, d_text=24)).eval()
    captions = ["owl", "a small drawing of a red apple", "woman judge"]
    together = model.text_features(captions)
    for row, caption in zip(together, captions, strict=True):
        torch.testing.assert_close(model.text_features([caption])[0], row)
    torch.testing.assert_close(together.norm(dim=1), torch.ones(3))
    assert (together[2] - model.text_features(["judge woman"])[0]).abs().max() > 1e-3, "the order of words counts"


def test_nothing_that_is_held_out_is_trained():
    known = [one for one in concepts() if trained_concept(one)]
    assert not any(held_out_concept(one) or held_out_composition(one) for one in known)
    assert len(people()) == 204
    with pytest.raises(ValueError, match="num_buckets 1"):
        EmojiCLIPConfig(num_buckets=1)


@torch.no_grad()
def test_the_checkpoint_scores_what_its_log_says():
    base = [one for one in concepts() if one.skin_tone is None]
    model, log = load_emoji_clip(), training_log()
    known = torch.tensor([i for i, one in enumerate(base) if trained_concept(one)])
    rows = torch.tensor([one.index for one in base])
    drawn = torch.cat([model.image_features(normalize(part)) for part in pictures(UNSEEN_STYLE)[rows].split(256)])
    right = (drawn @ model.text_features([one.caption for one in base]).T).argmax(1)[known] == known
    said = log["scores"]["CLIP"]["retrieval"]["seen, unseen style"]
    assert right.float().mean().item() == pytest.approx(said, abs=0.01)
    assert log["training"]["unseen_style"] == UNSEEN_STYLE
    assert UNSEEN_STYLE in STYLES


@pytest.mark.parametrize("size", [6e4, 1e-7, 0.0])
def test_lengths_beyond_half_precision_are_brought_to_length_one(size):
    def encode(texts):
        return torch.full((len(texts), 4), size, dtype=torch.float16)

    got = class_embeddings(encode, ["a", "b"], ["{}", "the {}"])
    assert got.dtype == torch.float16
    assert torch.allclose(got.float(), torch.full((2, 4), 0.5 if size else 0.0), atol=1e-2)
