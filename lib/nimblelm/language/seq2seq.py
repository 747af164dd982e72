"""Sequence to sequence: an LSTM reads, another writes, with or without a look back at what was read."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from nimblelm.language.recurrent import LSTM


@dataclass(frozen=True)
class Seq2SeqConfig:
    """Shape of an encoder and a decoder; token 0 is padding, and begins what is written."""

    source_vocab: int
    target_vocab: int
    d_model: int
    attention: bool = True


class Seq2Seq(nn.Module):
    """Logits of a translation's next token.

    Without attention all that the decoder knows of the source is the encoder's last state (Sutskever et al., 2014,
    arXiv:1409.3215). With it, each step takes a mean of all encoder states, a_s = softmax_s(h_t . W e_s), and answers
    from tanh(W_c [sum_s a_s e_s; h_t])          (Luong et al., 2015, arXiv:1508.04025, eqs. 5, 7 and 8, "general").

    Args:
        config: the shape.

    Chapter: book/ch08_vision_transformer
    """

    config_class = Seq2SeqConfig

    def __init__(self, config: Seq2SeqConfig):
        super().__init__()
        self.config = config
        self.source = nn.Embedding(config.source_vocab, config.d_model)
        self.target = nn.Embedding(config.target_vocab, config.d_model)
        self.encoder = LSTM(config.d_model, config.d_model)
        self.decoder = LSTM(config.d_model, config.d_model)
        if config.attention:
            self.score = nn.Linear(config.d_model, config.d_model, bias=False)
            self.combine = nn.Linear(2 * config.d_model, config.d_model, bias=False)
        self.head = nn.Linear(config.d_model, config.target_vocab)

    def forward(self, source: Int[Tensor, "B S"], target: Int[Tensor, "B T"]) -> Float[Tensor, "B T V"]:
        """Logits after each token of `target`, which begins with 0."""
        return self.decode(source, target)[0]

    def decode(
        self, source: Int[Tensor, "B S"], target: Int[Tensor, "B T"]
    ) -> tuple[Float[Tensor, "B T V"], Float[Tensor, "B T S"] | None]:
        """Logits, and how much each step looks at each source token; None without attention.

        The source stands right-aligned: padding, if any, comes before it.
        """
        encoded, state = self.encoder(self.source(source))
        hidden, _ = self.decoder(self.target(target), state)
        if not self.config.attention:
            return self.head(hidden), None
        weights = attention_weights(self.score(hidden), encoded, source != 0)
        return self.head(torch.tanh(self.combine(torch.cat([weights @ encoded, hidden], dim=-1)))), weights

    @torch.no_grad()
    def translate(self, source: Int[Tensor, "B S"], length: int) -> Int[Tensor, "B T"]:
        """The most probable token, again and again; what comes after a 0 is to be ignored.

        Raises:
            ValueError: length is below 1.
        """
        if length < 1:
            raise ValueError(f"a length of {length} tokens is below 1")
        written = source.new_zeros(len(source), 1)
        for _ in range(length):
            written = torch.cat([written, self(source, written)[:, -1:].argmax(-1)], dim=1)
        return written[:, 1:]


def attention_weights(
    queries: Float[Tensor, "B T d"], states: Float[Tensor, "B S d"], is_token: Bool[Tensor, "B S"]
) -> Float[Tensor, "B T S"]:
    """Softmax of the queries' products with the states of tokens; padding gets 0."""
    query, key = (x.to(torch.promote_types(x.dtype, torch.float32)) for x in (queries, states))
    scores = (query @ key.mT).masked_fill(~is_token[:, None], torch.finfo(query.dtype).min)
    return (scores.softmax(-1) * is_token[:, None]).to(queries.dtype)
