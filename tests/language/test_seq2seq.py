"""Sequence to sequence against torch.nn.LSTM and attention written out; padding is not seen."""

import pytest
import torch
from torch import nn

from nimblelm.language.seq2seq import Seq2Seq, Seq2SeqConfig


def model_of(attention=True):
    torch.manual_seed(0)
    return Seq2Seq(Seq2SeqConfig(9, 7, 6, attention)).double()


def twin(lstm, x, state=None):
    other = nn.LSTM(6, 6, batch_first=True).double()
    other.weight_ih_l0.data, other.weight_hh_l0.data = lstm.input.weight.data, lstm.recurrent.weight.data
    other.bias_ih_l0.data, other.bias_hh_l0.data = lstm.input.bias.data, torch.zeros_like(lstm.input.bias)
    return other(x, state)


@pytest.mark.parametrize("attention", [True, False])
@torch.no_grad()
def test_logits_are_those_of_the_equations(attention):
    model = model_of(attention)
    source, target = torch.randint(1, 9, (2, 5)), torch.randint(7, (2, 4))
    encoded, state = twin(model.encoder, model.source(source))
    hidden, _ = twin(model.decoder, model.target(target), state)
    logits, weights = model.decode(source, target)
    for b in range(2):
        for t in range(4):
            answer = hidden[b, t]
            if attention:
                scores = torch.stack([(model.score.weight @ answer) @ state for state in encoded[b]])
                shares = scores.exp() / scores.exp().sum()
                torch.testing.assert_close(weights[b, t], shares)
                context = sum(share * state for share, state in zip(shares, encoded[b], strict=True))
                answer = torch.tanh(model.combine.weight @ torch.cat([context, answer]))
            torch.testing.assert_close(logits[b, t], model.head.weight @ answer + model.head.bias)
    assert (weights is not None) == attention


@torch.no_grad()
def test_padding_gets_no_attention_and_translation_is_greedy():
    model = model_of()
    source = torch.tensor([[0, 0, 3, 4, 5]])
    _, weights = model.decode(source, torch.tensor([[0, 2]]))
    assert torch.equal(weights[0, :, :2], torch.zeros(2, 2).double())
    written = model.translate(source, 4)
    logits = model(source, torch.cat([torch.zeros(1, 1).long(), written[:, :-1]], 1))
    assert torch.equal(logits.argmax(-1), written)
    with pytest.raises(ValueError, match="length of 0"):
        model.translate(source, 0)
