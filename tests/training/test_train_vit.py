"""A few steps of each stage of the picture training, taken up where they were stopped."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).resolve().parents[2] / "training"))

import train_fields
import train_vit


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    monkeypatch.setattr(train_vit, "WORK", tmp_path)


def steps(name: str, count: int, kind: str = "vit"):
    torch.manual_seed(0)
    images = torch.rand(40, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    model = train_vit.new_model(kind, 3)
    return train_vit.fit(name, model, images, torch.arange(40) % 3, train_vit.smoothed, steps=count, batch=4, rate=1e-3)


def test_a_stopped_run_goes_on_to_the_same_weights(monkeypatch):
    whole, _ = steps("whole", 24)
    with monkeypatch.context() as stopped:
        stopped.setattr(train_vit, "track", lambda items, what: list(items)[:20])
        steps("parts", 24)
    torch.manual_seed(5)  # going on does not hang on where torch's own generator stands
    resumed, log = steps("parts", 24)
    assert [step for step, _ in log["losses"]] == [20, 24]
    for ours, theirs in zip(resumed.parameters(), whole.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_losses_and_rates_are_logged():
    for kind in ("vit", "resnet"):
        model, log = steps(kind, 3, kind)
        assert not model.training
        assert log["steps"] == 3
        assert len(log["losses"]) == 1


def test_few_labels_are_as_many_as_asked_and_none_is_held_out():
    data = train_vit.few(5)
    assert len({one.name for one in data.shown}) == 5 * len(train_vit.CATEGORIES)
    assert len(data.images) == 3 * 5 * len(train_vit.CATEGORIES)
    assert not any(train_vit.held_out_concept(one) for one in data.shown)


def test_average_precision_by_hand():
    ranked = torch.tensor([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]])
    labels = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    assert train_vit.average_precision(ranked, labels) == round(((1 + 2 / 3) / 2 + 1 / 3) / 2, 4)


def test_scenes_name_what_they_show():
    usable = [one for one in train_vit.concepts() if one.category in ("animal", "food")][:30]
    images, labels = train_vit.scenes(4, usable, ("noto",), 0)
    assert images.shape == (4, 3, 64, 64)
    named = labels.sum(0).nonzero().flatten().tolist()
    assert set(named) <= {train_vit.CATEGORIES.index(name) for name in ("animal", "food")}


def test_numbers_that_are_tested_are_not_trained_and_sequences_are_aligned():
    source, target = train_fields.encoded([71, 0, 999_999])
    assert (source[:, -1] != 0).all()
    assert (target[:, 0] != 0).all()
    words = [train_fields.TARGET_WORDS[token] for token in target[0].tolist() if token]
    assert words == ["soixante", "et", "onze"]
    assert train_fields.word_by_word(21) == ["vingt", "un"]


def test_a_history_ends_with_what_the_expert_saw():
    shown = train_fields.play(train_fields.expert, 2, torch.Generator().manual_seed(0), max_steps=12)
    seen, actions = train_fields.histories(shown)
    assert seen.shape == (24, train_fields.HISTORY, 2)
    torch.testing.assert_close(seen[5, -1], shown.states[0, 5, [0, 2]])
    torch.testing.assert_close(seen[5, 0], shown.states[0, 0, [0, 2]])
    torch.testing.assert_close(seen[20, 0], shown.states[1, 1, [0, 2]])
    assert torch.equal(actions, shown.actions.flatten())
