"""BERT: a bidirectional encoder with post-norm blocks and a head that fills in masked tokens."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from nimblelm.nn.attend import Attend, full
from nimblelm.nn.attention import Attention
from nimblelm.nn.checkpoint import load_weights
from nimblelm.nn.mlp import MLP
from nimblelm.nn.weight_names import renamed

if TYPE_CHECKING:
    from transformers import BertForMaskedLM


@dataclass(frozen=True)
class BertConfig:
    """Shape of a bidirectional encoder (Devlin et al., 2019, arXiv:1810.04805, section 3).

    Raises:
        ValueError: norm_eps is negative or not finite.
    """

    vocab_size: int
    d_model: int  # width of the residual stream
    num_layers: int
    num_heads: int
    d_ff: int  # hidden width of the feed-forward layer
    max_seq_len: int = 512  # learned positions
    num_token_types: int = 2  # segments: the first and the second sentence
    norm_eps: float = 1e-12

    def __post_init__(self):
        if not 0 <= self.norm_eps < math.inf:
            raise ValueError(f"norm_eps {self.norm_eps} must be 0 or more and finite")


class Block(nn.Module):
    """One post-norm layer: norm(x + attention(x)), then norm(x + mlp(x))."""

    def __init__(self, config: BertConfig):
        super().__init__()
        self.attention = Attention(config.d_model, config.num_heads, bias="qkvo")
        self.attention_norm = nn.LayerNorm(config.d_model, config.norm_eps)
        self.mlp = MLP(config.d_model, config.d_ff, F.gelu)
        self.mlp_norm = nn.LayerNorm(config.d_model, config.norm_eps)

    def forward(self, x: Float[Tensor, "B T d"], attend: Attend) -> Float[Tensor, "B T d"]:
        x = self.attention_norm(x + self.attention(x, attend))
        return self.mlp_norm(x + self.mlp(x))


class Bert(nn.Module):
    """Logits of every token, masked ones among them, from all tokens around it.

    Three stages: `embed`, `states` (or `layers`, all of them), `logits`.

    The twin is `transformers.BertForMaskedLM`; `from_bert` loads its weights.

    Args:
        config: the shape.
    """

    config_class = BertConfig

    def __init__(self, config: BertConfig):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.positions = nn.Embedding(config.max_seq_len, config.d_model)
        self.token_types = nn.Embedding(config.num_token_types, config.d_model)
        self.embedding_norm = nn.LayerNorm(config.d_model, config.norm_eps)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.transform = nn.Linear(config.d_model, config.d_model)
        self.transform_norm = nn.LayerNorm(config.d_model, config.norm_eps)
        self.head = nn.Linear(config.d_model, config.vocab_size)
        self.head.weight = self.embedding.weight
        self.apply(self._init_weights)

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)

    def forward(
        self, tokens: Int[Tensor, "B T"], attend: Attend = full, token_types: Int[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T V"]:
        """Logits of what stands at each position.

        Args:
            tokens: token ids.
            attend: who sees whom; `masked(is_token[:, None, None, :])` hides padding.
            token_types: segment of each token, the first by default.

        Raises:
            ValueError: there are more tokens than positions.
        """
        return self.logits(self.states(self.embed(tokens, token_types), attend))

    def embed(
        self, tokens: Int[Tensor, "B T"], token_types: Int[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T d"]:
        """What the first block reads: the sum of word, segment and position, normalised."""
        if tokens.shape[1] > self.config.max_seq_len:
            raise ValueError(f"{tokens.shape[1]} tokens, the limit is {self.config.max_seq_len}")
        types = self.token_types.weight[0] if token_types is None else self.token_types(token_types)
        return self.embedding_norm(self.embedding(tokens) + types + self.positions.weight[: tokens.shape[1]])

    def states(self, x: Float[Tensor, "B T d"], attend: Attend = full) -> Float[Tensor, "B T d"]:
        """The last layer's output."""
        for layer in self.layers(x, attend):
            x = layer
        return x

    def layers(self, x: Float[Tensor, "B T d"], attend: Attend = full) -> Iterator[Float[Tensor, "B T d"]]:
        """The embeddings, then each block's output: num_layers + 1 states."""
        yield x
        for block in self.blocks:
            x = block(x, attend)
            yield x

    def logits(self, states: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch V"]:
        """The masked-language-model head: its matrix is the token embedding's."""
        return self.head(self.transform_norm(F.gelu(self.transform(states))))


WEIGHT_NAMES = {  # transformers' -> ours
    "bert.embeddings.word_embeddings": "embedding",
    "bert.embeddings.position_embeddings": "positions",
    "bert.embeddings.token_type_embeddings": "token_types",
    "bert.embeddings.LayerNorm": "embedding_norm",
    "bert.encoder.layer.{}.attention.self.query": "blocks.{}.attention.q_proj",
    "bert.encoder.layer.{}.attention.self.key": "blocks.{}.attention.k_proj",
    "bert.encoder.layer.{}.attention.self.value": "blocks.{}.attention.v_proj",
    "bert.encoder.layer.{}.attention.output.dense": "blocks.{}.attention.out_proj",
    "bert.encoder.layer.{}.attention.output.LayerNorm": "blocks.{}.attention_norm",
    "bert.encoder.layer.{}.intermediate.dense": "blocks.{}.mlp.up_proj",
    "bert.encoder.layer.{}.output.dense": "blocks.{}.mlp.down_proj",
    "bert.encoder.layer.{}.output.LayerNorm": "blocks.{}.mlp_norm",
    "cls.predictions.transform.dense": "transform",
    "cls.predictions.transform.LayerNorm": "transform_norm",
    "cls.predictions.bias": "head.bias",
    "cls.predictions.decoder": "",  # the embedding and the bias once more
}


def from_bert(twin: "BertForMaskedLM") -> Bert:
    """Copy a `transformers` BERT into a `Bert` that gives the same logits.

    Args:
        twin: any `BertForMaskedLM`, random or pretrained.

    Returns:
        The same model, in evaluation mode, in the dtype of its weights.

    Raises:
        ValueError: the configuration uses what our model does not have.
    """
    theirs: Any = twin.config
    if theirs.hidden_act != "gelu" or not theirs.tie_word_embeddings:
        raise ValueError(f"hidden_act {theirs.hidden_act!r} must be 'gelu', and the head's matrix the embedding's")
    if theirs.is_decoder:
        raise ValueError("is_decoder is set: its tokens see only those before them, ours see all")
    config = BertConfig(
        vocab_size=theirs.vocab_size,
        d_model=theirs.hidden_size,
        num_layers=theirs.num_hidden_layers,
        num_heads=theirs.num_attention_heads,
        d_ff=theirs.intermediate_size,
        max_seq_len=theirs.max_position_embeddings,
        num_token_types=theirs.type_vocab_size,
        norm_eps=theirs.layer_norm_eps,
    )
    model = Bert(config).to(next(twin.parameters()).dtype)
    load_weights(model, renamed(twin.state_dict(), WEIGHT_NAMES))
    return model.eval()
