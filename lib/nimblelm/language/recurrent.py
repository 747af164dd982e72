"""Recurrent networks: the Elman network and the LSTM, each step spelled out, and a language model on top."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

State = tuple[Tensor, ...]  # what a network carries from step to step, each (B, d)


class RNN(nn.Module):
    """The simplest recurrent network.

    h_t = tanh(W x_t + U h_{t-1} + b)          (Elman, 1990)

    The twin is `torch.nn.RNN` with one layer, whose two biases are added up here.

    Args:
        d_input: width of x.
        d_hidden: width of h.

    Chapter: book/ch08_vision_transformer
    """

    gates = 1

    def __init__(self, d_input: int, d_hidden: int):
        super().__init__()
        self.d_hidden = d_hidden
        self.input = nn.Linear(d_input, self.gates * d_hidden)
        self.recurrent = nn.Linear(d_hidden, self.gates * d_hidden, bias=False)
        for weight in self.parameters():
            nn.init.uniform_(weight, -(d_hidden**-0.5), d_hidden**-0.5)

    def start(self, x: Float[Tensor, "B T c"]) -> State:
        """The state before the first step: zeros."""
        return (x.new_zeros(len(x), self.d_hidden),)

    def step(self, projected: Float[Tensor, "B g"], state: State) -> State:
        """One step from W x_t + b and the state before."""
        return (torch.tanh(projected + self.recurrent(state[0])),)

    def forward(self, x: Float[Tensor, "B T c"], state: State | None = None) -> tuple[Float[Tensor, "B T h"], State]:
        """h after every step, and the state after the last; one step needs the one before, so no two run at once."""
        state = self.start(x) if state is None else state
        outputs = []
        for projected in self.input(x).unbind(1):
            state = self.step(projected, state)
            outputs.append(state[0])
        return torch.stack(outputs, dim=1), state


class LSTM(RNN):
    """A recurrent network with a cell that gates let in, keep and show.

    i, f, o = sigmoid(W x_t + U h_{t-1} + b), g = tanh(the same), c_t = f c_{t-1} + i g, h_t = o tanh(c_t)
    (Hochreiter and Schmidhuber, 1997; the forget gate f is by Gers et al., 2000); rows in the order i, f, g, o.

    The twin is `torch.nn.LSTM` with one layer.

    Chapter: book/ch08_vision_transformer
    """

    gates = 4

    def start(self, x: Float[Tensor, "B T c"]) -> State:
        return (x.new_zeros(len(x), self.d_hidden), x.new_zeros(len(x), self.d_hidden))

    def step(self, projected: Float[Tensor, "B g"], state: State) -> State:
        h, c = state
        i, f, g, o = (projected + self.recurrent(h)).chunk(4, dim=-1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return (o.sigmoid() * c.tanh(), c)


@dataclass(frozen=True)
class RecurrentConfig:
    """Shape of a recurrent language model.

    Raises:
        ValueError: the kind is neither "rnn" nor "lstm".
    """

    vocab_size: int
    d_model: int
    kind: str = "lstm"

    def __post_init__(self):
        if self.kind not in ("rnn", "lstm"):
            raise ValueError(f"kind {self.kind!r} must be 'rnn' or 'lstm'")


class RecurrentLM(nn.Module):
    """Logits of the next token from a state of fixed size (Mikolov et al., 2010; Sundermeyer et al., 2012).

    Args:
        config: the shape.

    Chapter: book/ch08_vision_transformer
    """

    config_class = RecurrentConfig

    def __init__(self, config: RecurrentConfig):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.network = (LSTM if config.kind == "lstm" else RNN)(config.d_model, config.d_model)
        self.head = nn.Linear(config.d_model, config.vocab_size)

    def forward(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B T V"]:
        return self.head(self.network(self.embedding(tokens))[0])
