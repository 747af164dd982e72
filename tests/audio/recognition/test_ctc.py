"""CTC against the sum over every path and against torch, its beam search against both."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from transformers import BertConfig, BertForMaskedLM

from nimblelm.audio.recognition.beam_search import (
    BeamConfig,
    BeamState,
    advance,
    hypotheses,
    prefix_beam_search,
)
from nimblelm.audio.recognition.ctc import (
    best_path,
    collapse,
    ctc_align,
    ctc_gradient,
    ctc_loss,
    ctc_trellis,
    repeats,
    with_blanks,
)
from nimblelm.audio.recognition.rescoring import label_errors, pseudo_log_prob, rescored, sentence_log_prob
from nimblelm.language.ngram import NGram

TRANSCRIPTS = [[], [1], [2, 2], [1, 2, 1], [3, 1], [1, 1, 1]]


def random_log_probs(num_frames: int, vocab_size: int = 4, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (2 * torch.randn(num_frames, vocab_size, generator=generator, dtype=torch.float64)).log_softmax(-1)


def by_transcript(log_probs: torch.Tensor) -> dict[tuple[int, ...], float]:
    """p(transcript) of all of them, from every path there is."""
    found: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(log_probs.shape[1]), repeat=len(log_probs)):
        p = math.exp(sum(log_probs[t, label].item() for t, label in enumerate(path)))
        found[tuple(collapse(path))] = found.get(tuple(collapse(path)), 0.0) + p
    return found


def test_collapse_merges_before_it_drops():
    assert collapse([0, 1, 1, 0, 1, 2, 2, 0]) == [1, 1, 2]
    assert collapse([3, 3, 1, 3], blank=3) == [1]
    assert with_blanks([1, 2]) == [0, 1, 0, 2, 0]
    assert repeats([1, 1, 2, 2, 2]) == 3


@pytest.mark.parametrize("labels", TRANSCRIPTS)
def test_the_loss_is_that_of_every_path_and_of_torch(labels):
    log_probs = random_log_probs(5)
    want = by_transcript(log_probs).get(tuple(labels), 0.0)
    assert ctc_loss(log_probs, labels) == pytest.approx(-math.log(want) if want else math.inf, abs=1e-10)
    length = torch.tensor([len(labels)])
    theirs = F.ctc_loss(log_probs[:, None], torch.tensor([labels]), torch.tensor([5]), length, reduction="sum")
    assert ctc_loss(log_probs, labels) == pytest.approx(theirs.item(), abs=1e-10)


@pytest.mark.parametrize("blank", [0, 3])
def test_alpha_times_beta_is_the_same_sum_at_every_frame(blank):
    trellis = ctc_trellis(random_log_probs(9), [1, 2, 2], blank)
    torch.testing.assert_close(trellis.occupancy.sum(-1), torch.ones(9, dtype=torch.float64))


def test_the_gradient_is_that_of_torch_and_of_differences():
    logits = torch.randn(8, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64, requires_grad=True)
    labels = [1, 3, 3]
    F.ctc_loss(
        logits.log_softmax(-1)[:, None], torch.tensor([labels]), torch.tensor([8]), torch.tensor([3]), reduction="sum"
    ).backward()
    got = ctc_gradient(logits.detach().log_softmax(-1), labels)
    torch.testing.assert_close(got, logits.grad, atol=1e-10, rtol=1e-10)
    moved = logits.detach().clone()
    moved[2, 3] += 1e-6
    change = ctc_loss(moved.log_softmax(-1), labels) - ctc_loss(logits.detach().log_softmax(-1), labels)
    assert got[2, 3].item() == pytest.approx(change / 1e-6, rel=1e-4)


def test_alignment_is_the_likeliest_path_of_the_transcript():
    log_probs, labels = random_log_probs(6, 3, seed=4), [1, 2, 2]
    paths = [p for p in itertools.product(range(3), repeat=6) if collapse(p) == labels]
    best = max(paths, key=lambda p: sum(log_probs[t, label].item() for t, label in enumerate(p)))
    spans = ctc_align(log_probs, labels)
    covered = [0] * 6
    for (begin, end), label in zip(spans, labels, strict=True):
        covered[begin:end] = [label] * (end - begin)
    assert covered == list(best)


@pytest.mark.parametrize("seed", range(3))
def test_a_wide_beam_is_exact_and_finds_what_one_path_misses(seed):
    log_probs = random_log_probs(5, 3, seed)
    exact = by_transcript(log_probs)
    found = prefix_beam_search(log_probs, BeamConfig(width=500, min_log_prob=-50.0))
    assert {one.labels for one in found} == set(exact)
    for one in found:
        assert one.acoustic == pytest.approx(math.log(exact[one.labels]), abs=1e-9)
    assert found[0].labels == max(exact, key=lambda labels: exact[labels])


def test_the_likeliest_path_need_not_be_the_likeliest_transcript():
    log_probs = torch.tensor([[0.6, 0.4], [0.6, 0.4]]).log()
    assert best_path(log_probs) == []
    assert prefix_beam_search(log_probs, BeamConfig())[0].labels == (1,)


def a_model() -> NGram:
    return NGram([[1, 2, 3], [1, 2], [2, 3, 3]], order=2, vocab_size=4)


def test_no_weight_is_no_model_and_weight_is_the_sum():
    log_probs, model = random_log_probs(12, seed=5), a_model()
    plain = prefix_beam_search(log_probs, BeamConfig(width=8))
    assert prefix_beam_search(log_probs, BeamConfig(width=8, alpha=0.0), model) == plain
    wide = BeamConfig(width=4000, alpha=0.7, bonus=0.3, min_log_prob=-50.0)
    short = log_probs[:5]
    for one in prefix_beam_search(short, wide, model):
        language = sentence_log_prob(model, one.labels)
        assert one.language == pytest.approx(language, abs=1e-9)
        assert one.score == pytest.approx(
            -ctc_loss(short, one.labels) + 0.7 * language + 0.3 * len(one.labels), abs=1e-8
        )


def test_rescoring_the_full_list_ranks_as_fusion_does():
    log_probs, model = random_log_probs(5, seed=7), a_model()
    fused = prefix_beam_search(log_probs, BeamConfig(4000, 0.7, 0.3, -50.0), model)
    again = rescored(prefix_beam_search(log_probs, BeamConfig(4000, min_log_prob=-50.0)), model, 0.7, 0.3)
    assert [one.labels for one in again] == [one.labels for one in fused]
    shorter = rescored(again, model, 0.7, -5.0)[0]
    assert len(shorter.labels) <= len(again[0].labels)


def test_a_stream_in_any_chunks_gives_what_the_whole_gives():
    log_probs, model, config = random_log_probs(40, seed=6), a_model(), BeamConfig(6, 0.5, 0.2)
    whole = prefix_beam_search(log_probs, config, model)
    for size in (1, 3, 17):
        state, settled = BeamState(), ()
        for chunk in log_probs.split(size):
            advance(state, chunk, config, model)
            assert state.settled()[: len(settled)] == settled
            settled = state.settled()
        assert hypotheses(state, config, model) == whole
        assert whole[0].labels[: len(settled)] == settled


def test_bert_guesses_every_token_from_the_others():
    torch.manual_seed(0)
    config = BertConfig(vocab_size=20, hidden_size=12, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
    twin = BertForMaskedLM(config).eval()
    tokens, total = torch.tensor([2, 7, 9, 7, 3]), 0.0
    with torch.no_grad():
        for i in (1, 2, 3):
            hidden = tokens.clone()
            hidden[i] = 4
            total += twin(hidden[None]).logits[0, i].log_softmax(-1)[tokens[i]].item()
        got = pseudo_log_prob(lambda batch: twin(batch).logits, tokens, mask=4, special=(2, 3))
    assert got == pytest.approx(total, abs=1e-4)
    assert pseudo_log_prob(lambda batch: twin(batch).logits, tokens[:1], 4, (2,)) == 0


def test_errors_are_counted_and_bad_input_is_named():
    assert label_errors("kitten", "sitting") == 3
    assert label_errors([], [1, 2]) == 2
    log_probs = random_log_probs(3)
    with pytest.raises(ValueError, match="labels"):
        ctc_loss(log_probs, [0])
    with pytest.raises(ValueError, match="float16"):
        ctc_loss(log_probs.half(), [1])
    with pytest.raises(ValueError, match="nan"):
        ctc_loss(log_probs * math.nan, [1])
    with pytest.raises(ValueError, match="no path of 3 frames"):
        ctc_gradient(log_probs, [1, 1, 1])
    with pytest.raises(ValueError, match="no path of 3 frames"):
        ctc_align(log_probs, [1, 1, 1])
    with pytest.raises(ValueError, match="there is none"):
        prefix_beam_search(log_probs, BeamConfig(alpha=0.5))
    with pytest.raises(ValueError, match="width 0"):
        BeamConfig(width=0)
    with pytest.raises(ValueError, match="finite"):
        rescored([], a_model(), math.nan)
