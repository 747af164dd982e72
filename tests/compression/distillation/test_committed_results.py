"""What the committed runs showed, held against what the chapter says of them."""

import json

import torch

from nimblelm.compression.distillation.dictionary_bert import (
    DICTIONARY_FOLDER,
    LENGTH,
    MASK,
    PAD,
    SPECIAL,
    load_dictionary_pair,
    load_dictionary_tokenizer,
    padded,
)
from nimblelm.compression.distillation.drafts import load_draft_results
from nimblelm.nn.attend import masked


def test_a_draft_that_saw_distributions_is_accepted_more_often():
    results = load_draft_results()
    accepted = {name: results[name]["T=1"]["acceptance"] for name in ("text", "soft", "committed")}
    assert accepted["text"] < accepted["soft"] < accepted["committed"]


def test_the_distilled_student_is_ahead_of_the_one_from_scratch():
    log = json.loads((DICTIONARY_FOLDER / "log.json").read_text())
    loss = {name: log[name]["log"][-1]["held_out_loss"] for name in ("teacher", "distilled", "scratch")}
    assert loss["teacher"] < log["words"]["held_out_loss"]
    assert loss["distilled"] < loss["scratch"]
    assert len({log[name]["log"][-1]["step"] for name in ("distilled", "copied", "guided", "scratch")}) == 1


@torch.no_grad()
def test_the_committed_pair_reads_definitions_and_padding_changes_nothing():
    teacher, student = load_dictionary_pair()
    tokenizer = load_dictionary_tokenizer()
    assert [tokenizer.id_to_token(i) for i in range(len(SPECIAL))] == list(SPECIAL)
    assert (teacher.config.num_layers, student.config.num_layers) == (12, 6)
    rows = [tokenizer.encode(text).ids for text in ("a large [MASK]", "the quality of being small and pretty")]
    tokens = padded([*rows, [*rows[0] * LENGTH]])
    assert tokens.shape == (3, LENGTH)
    assert MASK in tokens[0]
    alone, sees = padded(rows[:1]), masked((tokens != PAD)[:, None, None, :])
    for model in (teacher, student):
        want = model(alone)[0]
        torch.testing.assert_close(model(tokens, sees)[0, : len(want)], want, atol=1e-4, rtol=1e-4)
