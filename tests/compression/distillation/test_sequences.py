"""Sequence-level targets and their filter, near-duplicates, and a model of words that writes."""

import json
import math
import random

import pytest
import torch

from nimblelm.compression.distillation.sequence_level import kept_sequences, sequence_targets
from nimblelm.compression.distillation.synthetic import best, deduplicated
from nimblelm.compression.distillation.word_model import END, WordModel, held_out_nats


def test_prompt_and_what_follows_the_end_are_not_asked_for():
    prompts, wrote = torch.tensor([[1, 2, 9], [3, 4, 5]]), torch.tensor([[6, 9, 9, 7], [8, 8, 8, 9]])
    tokens, labels = sequence_targets(prompts, wrote, eos_token=9)
    assert tokens.tolist() == [[1, 2, 9, 6, 9, 9], [3, 4, 5, 8, 8, 8]]
    assert labels.tolist() == [[-100, -100, 6, 9, -100, -100], [-100, -100, 8, 8, 8, 9]]
    assert sequence_targets(prompts, wrote)[1][0].tolist() == [-100, -100, 6, 9, 9, 7]
    with pytest.raises(ValueError, match="0 written"):
        sequence_targets(prompts, wrote[:, :0])


def test_the_most_probable_distinct_rows_stay():
    tokens = torch.tensor([[1], [2], [1], [3], [4]])
    log_probs = torch.tensor([[-1.0, -1.0], [-0.1, -torch.inf], [0.0, 0.0], [-1.0, torch.nan], [-5.0, -5.0]])
    kept = {share: kept_sequences(tokens, log_probs, share).nonzero()[:, 0].tolist() for share in (0.0, 0.25, 0.5, 1.0)}
    assert kept == {0.0: [], 0.25: [1], 0.5: [0, 1], 1.0: [0, 1, 3, 4]}
    with pytest.raises(ValueError, match=r"share 2\.0"):
        kept_sequences(tokens, log_probs, 2.0)
    with pytest.raises(ValueError, match="0 or less"):
        kept_sequences(tokens, log_probs + 2, 0.5)


def slow_deduplicated(texts, threshold, size):
    kept, sets = [], []
    for text in texts:
        grams = {tuple(text[i : i + size]) for i in range(max(1, len(text) - size + 1))}
        if all(len(grams & other) < threshold * len(grams | other) for other in sets):
            kept.append(text)
            sets.append(grams)
    return kept


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.7, 1.0])
def test_near_duplicates_are_those_of_all_pairs(threshold):
    rng = random.Random(1)
    texts = [[rng.choice("abcd") for _ in range(rng.randrange(0, 9))] for _ in range(300)]
    assert deduplicated(texts, threshold, 2) == slow_deduplicated(texts, threshold, 2)
    assert len(deduplicated(texts, threshold, 2)) < 300


def test_the_best_share_keeps_its_order():
    texts = [["a"], ["b", "b"], ["c", "c", "c"], ["d", "d"]]
    assert best(texts, lambda text: float(len(text)), 0.5) == [["b", "b"], ["c", "c", "c"]]
    with pytest.raises(ValueError, match="text 0 is nan"):
        best(texts, lambda text: math.nan, 0.5)
    with pytest.raises(ValueError, match=r"threshold 0\.0"):
        deduplicated(texts, 0.0)


TEXTS = [["a", "b", "c"], ["a", "b", "d"], ["b", "a"], ["a", "b", "c", "d"]]


def test_probabilities_add_up_and_rare_words_have_some():
    words = ["a", "b", "c", "d", "e"]
    model = WordModel(TEXTS, words, context=2)
    for before in (("<s>", "<s>"), ("a", "b"), ("e", "e"), ("never", "a")):
        total = sum(model.probability(word, before) for word in [*words, END, "unknown"])
        assert total == pytest.approx(1)
        assert model.probability("e", before) > 0
    assert model.probability("b", ("<s>", "a")) > 0.5
    assert held_out_nats(model, TEXTS) < held_out_nats(WordModel([["e"]], words), TEXTS)


def test_what_was_never_seen_is_never_written():
    rng = random.Random(0)
    model = WordModel(TEXTS, "abcde", context=1)
    seen = {pair for text in TEXTS for pair in zip(["<s>", *text], [*text, END], strict=True)}
    written = [model.write(rng, 30) for _ in range(200)]
    pairs = {pair for text in written if len(text) < 30 for pair in zip(["<s>", *text], [*text, END], strict=True)}
    assert pairs == seen


def test_generations_lose_words_and_the_committed_ones_do_so_soonest_by_their_own_taste():
    from nimblelm.compression.distillation.generations import load_generations, load_unlabelled

    results = load_generations()
    for run in results["replaced"]:
        words = [line["words"] for line in run]
        assert words == sorted(words, reverse=True)
    last = {way: results[way][0][-1] for way in ("replaced", "likeliest half", "a tenth real", "accumulated")}
    assert last["likeliest half"]["words"] < last["replaced"]["words"] < last["accumulated"]["words"]
    students = results["gains"]["students"]
    assert students["and 10,000 more real"] < students["and 10,000 written"] < students["1,000 real"]
    digits = load_unlabelled()
    assert digits["60 labels"][0] < digits["60 labels and the teacher on them"][0] < digits["all labels"][0]
    assert json.dumps(results)
