"""The split of the dictionary's entries, and what each run lets learn."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "training"))

import adapt_target
from adapt_target import build, entries

DATA = (
    "  1 This software and database is being provided to you\n"
    '00003553 03 n 02 living_thing 0 unit 0 001 @ 00002684 n 0000 | a living entity; "it lives"\n'
    "00004475 03 n 01 volcano 0 000 | a mountain formed by volcanic material  \n"
)


def test_entries_are_words_with_their_definitions_and_split_by_word(tmp_path, monkeypatch):
    for kind in adapt_target.PARTS_OF_SPEECH:
        (tmp_path / f"data.{kind}").write_text(DATA)
    monkeypatch.setattr(adapt_target, "WORDNET", tmp_path)
    train, held_out = entries()
    assert "living thing (noun): a living entity\n" in train + held_out
    assert "volcano (verb): a mountain formed by volcanic material\n" in train + held_out
    assert len(train + held_out) == 8
    assert not {line.split(" (")[0] for line in train} & {line.split(" (")[0] for line in held_out}


@pytest.mark.parametrize("kind", ["full", "lora", "qlora"])
def test_a_run_trains_all_weights_or_the_adapters_alone(kind):
    model = build(kind)
    learning = {name for name, weight in model.named_parameters() if weight.requires_grad}
    if kind == "full":
        assert learning == {name for name, _ in model.named_parameters()}
    else:
        assert learning
        assert all(name.endswith((".A", ".B")) for name in learning)
