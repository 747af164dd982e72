"""Recurrent networks against torch.nn, in values and gradients."""

import pytest
import torch
from torch import nn

from nimblelm.language.recurrent import LSTM, RNN, RecurrentConfig, RecurrentLM


@pytest.mark.parametrize(("ours", "twin"), [(RNN, nn.RNN), (LSTM, nn.LSTM)])
@pytest.mark.parametrize(("inputs", "hidden", "length"), [(3, 5, 7), (6, 1, 1), (2, 8, 13)])
def test_outputs_states_and_gradients_agree_with_the_twin(ours, twin, inputs, hidden, length):
    torch.manual_seed(0)
    theirs, mine = twin(inputs, hidden, batch_first=True).double(), ours(inputs, hidden).double()
    with torch.no_grad():
        mine.input.weight.copy_(theirs.weight_ih_l0)
        mine.input.bias.copy_(theirs.bias_ih_l0 + theirs.bias_hh_l0)
        mine.recurrent.weight.copy_(theirs.weight_hh_l0)
    x = torch.randn(2, length, inputs, dtype=torch.float64)
    start = [torch.randn(2, hidden, dtype=torch.float64) for _ in range(1 if ours is RNN else 2)]
    want, last = theirs(x, start[0][None] if ours is RNN else tuple(one[None] for one in start))
    got, state = mine(x, tuple(start))
    torch.testing.assert_close(got, want)
    for one, other in zip(state, (last,) if ours is RNN else last, strict=True):
        torch.testing.assert_close(one, other[0])
    want.square().sum().backward()
    got.square().sum().backward()
    torch.testing.assert_close(mine.recurrent.weight.grad, theirs.weight_hh_l0.grad)
    torch.testing.assert_close(mine.input.weight.grad, theirs.weight_ih_l0.grad)
    torch.testing.assert_close(mine(x)[0], theirs(x)[0])  # from zeros


@pytest.mark.parametrize("kind", ["rnn", "lstm"])
def test_the_future_does_not_change_the_past_and_a_state_stands_for_it(kind):
    torch.manual_seed(0)
    model = RecurrentLM(RecurrentConfig(11, 6, kind)).double()
    tokens = torch.randint(11, (2, 9))
    logits = model(tokens)
    torch.testing.assert_close(model(tokens[:, :5]), logits[:, :5])
    assert not torch.allclose(model(tokens.flip(1))[:, -1], logits[:, -1])
    hidden, state = model.network(model.embedding(tokens[:, :4]))
    rest, _ = model.network(model.embedding(tokens[:, 4:]), state)
    torch.testing.assert_close(model.head(torch.cat([hidden, rest], 1)), logits)


def test_another_kind_is_refused():
    with pytest.raises(ValueError, match="'gru'"):
        RecurrentConfig(11, 6, "gru")
