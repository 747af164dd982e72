"""DistilBERT: BERT's blocks, half as many of them, without token types and pooler."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from nimblelm.language.bert import BertConfig, Block
from nimblelm.nn.attend import Attend, full
from nimblelm.nn.checkpoint import load_weights
from nimblelm.nn.weight_names import renamed

if TYPE_CHECKING:
    from transformers import DistilBertForMaskedLM


@dataclass(frozen=True)
class DistilBertConfig(BertConfig):
    """Shape of a distilled encoder: BERT's without token types (Sanh et al., 2019, arXiv:1910.01108, section 3).

    Raises:
        ValueError: there are token types, or norm_eps is negative or not finite.
    """

    num_token_types: int = 0

    def __post_init__(self):
        super().__post_init__()
        if self.num_token_types:
            raise ValueError(f"{self.num_token_types} token types: a DistilBERT has none")


class DistilBert(nn.Module):
    """Logits of every token, masked ones among them, from all tokens around it.

    Three stages: `embed`, `states` (or `layers`, all of them), `logits`; the blocks are BERT's.

    The twin is `transformers.DistilBertForMaskedLM`; `from_distilbert` loads its weights.

    Args:
        config: the shape.

    Chapter: book/ch07_distillation
    """

    config_class = DistilBertConfig

    def __init__(self, config: DistilBertConfig):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.positions = nn.Embedding(config.max_seq_len, config.d_model)
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

    def forward(self, tokens: Int[Tensor, "B T"], attend: Attend = full) -> Float[Tensor, "B T V"]:
        """Logits of what stands at each position.

        Args:
            tokens: token ids.
            attend: who sees whom; `masked(is_token[:, None, None, :])` hides padding.

        Raises:
            ValueError: there are more tokens than positions.
        """
        return self.logits(self.states(self.embed(tokens), attend))

    def embed(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B T d"]:
        """What the first block reads: the sum of word and position, normalised."""
        if tokens.shape[1] > self.config.max_seq_len:
            raise ValueError(f"{tokens.shape[1]} tokens, the limit is {self.config.max_seq_len}")
        return self.embedding_norm(self.embedding(tokens) + self.positions.weight[: tokens.shape[1]])

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
    "distilbert.embeddings.word_embeddings": "embedding",
    "distilbert.embeddings.position_embeddings": "positions",
    "distilbert.embeddings.LayerNorm": "embedding_norm",
    "distilbert.transformer.layer.{}.attention.q_lin": "blocks.{}.attention.q_proj",
    "distilbert.transformer.layer.{}.attention.k_lin": "blocks.{}.attention.k_proj",
    "distilbert.transformer.layer.{}.attention.v_lin": "blocks.{}.attention.v_proj",
    "distilbert.transformer.layer.{}.attention.out_lin": "blocks.{}.attention.out_proj",
    "distilbert.transformer.layer.{}.sa_layer_norm": "blocks.{}.attention_norm",
    "distilbert.transformer.layer.{}.ffn.lin1": "blocks.{}.mlp.up_proj",
    "distilbert.transformer.layer.{}.ffn.lin2": "blocks.{}.mlp.down_proj",
    "distilbert.transformer.layer.{}.output_layer_norm": "blocks.{}.mlp_norm",
    "vocab_transform": "transform",
    "vocab_layer_norm": "transform_norm",
    "vocab_projector.bias": "head.bias",
    "vocab_projector": "",  # the embedding once more
}


def from_distilbert(twin: "DistilBertForMaskedLM") -> DistilBert:
    """Copy a `transformers` DistilBERT into a `DistilBert` that gives the same logits.

    Args:
        twin: any `DistilBertForMaskedLM`, random or pretrained.

    Returns:
        The same model, in evaluation mode, in the dtype of its weights.

    Raises:
        ValueError: the configuration uses what our model does not have.

    Chapter: book/ch07_distillation
    """
    theirs: Any = twin.config
    if theirs.activation != "gelu" or not theirs.tie_word_embeddings:
        raise ValueError(f"activation {theirs.activation!r} must be 'gelu', and the head's matrix the embedding's")
    config = DistilBertConfig(
        vocab_size=theirs.vocab_size,
        d_model=theirs.dim,
        num_layers=theirs.n_layers,
        num_heads=theirs.n_heads,
        d_ff=theirs.hidden_dim,
        max_seq_len=theirs.max_position_embeddings,
    )
    model = DistilBert(config).to(next(twin.parameters()).dtype)
    load_weights(model, renamed(twin.state_dict(), WEIGHT_NAMES))
    return model.eval()
