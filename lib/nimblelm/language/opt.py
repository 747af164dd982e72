"""OPT: a decoder-only transformer with learned positions, LayerNorm before each half of a block, and ReLU."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from nimblelm.nn.attend import Attend, causal
from nimblelm.nn.attention import Attention
from nimblelm.nn.checkpoint import load_weights
from nimblelm.nn.mlp import MLP
from nimblelm.nn.weight_names import renamed

if TYPE_CHECKING:
    from transformers import OPTForCausalLM

FIRST_POSITION = 2  # the first two rows of the position table belong to padding in the code that OPT was trained with


@dataclass(frozen=True)
class OPTConfig:
    """Shape of a pre-norm OPT (Zhang et al., 2022, arXiv:2205.01068, section 2.1).

    Raises:
        ValueError: a size below 1, heads that do not divide the width, or an epsilon that is negative or not finite.
    """

    vocab_size: int
    d_model: int
    num_layers: int
    num_heads: int
    d_ff: int
    max_seq_len: int = 2048
    norm_eps: float = 1e-5

    def __post_init__(self):
        sizes = self.vocab_size, self.d_model, self.num_layers, self.num_heads, self.d_ff, self.max_seq_len
        if min(sizes) < 1 or self.d_model % self.num_heads or not 0 <= self.norm_eps < math.inf:
            raise ValueError(
                f"{self}: sizes must be 1 or more, heads divide the width, norm_eps be 0 or more and finite"
            )


class Block(nn.Module):
    """One pre-norm layer: x + attention(norm(x)), then x + mlp(norm(x)), every projection with a bias."""

    def __init__(self, config: OPTConfig):
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.d_model, config.norm_eps)
        self.attention = Attention(config.d_model, config.num_heads, bias="qkvo")
        self.mlp_norm = nn.LayerNorm(config.d_model, config.norm_eps)
        self.mlp = MLP(config.d_model, config.d_ff, F.relu)

    def forward(self, x: Float[Tensor, "B T d"], attend: Attend) -> Float[Tensor, "B T d"]:
        x = x + self.attention(self.attention_norm(x), attend)
        return x + self.mlp(self.mlp_norm(x))


class OPT(nn.Module):
    """Logits of every next token, in one pass over the sequence.

    The twin is `transformers.OPTForCausalLM`; `from_opt` loads its weights.

    Args:
        config: the shape.

    Chapter: book/ch06_pruning
    """

    config_class = OPTConfig

    def __init__(self, config: OPTConfig):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.positions = nn.Embedding(config.max_seq_len + FIRST_POSITION, config.d_model)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.norm = nn.LayerNorm(config.d_model, config.norm_eps)
        self.head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, tokens: Int[Tensor, "B T"], attend: Attend = causal) -> Float[Tensor, "B T V"]:
        """Logits after each of T tokens; raises ValueError where there are more tokens than positions."""
        return self.head(self.states(self.embed(tokens), attend))

    def embed(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B T d"]:
        """What the first block reads: the sum of word and position; errors as in `forward`."""
        length, limit = tokens.shape[1], self.config.max_seq_len
        if length > limit:
            raise ValueError(f"{length} tokens, the limit is {limit}")
        return self.embedding(tokens) + self.positions.weight[FIRST_POSITION : FIRST_POSITION + length]

    def states(self, x: Float[Tensor, "B T d"], attend: Attend = causal) -> Float[Tensor, "B T d"]:
        """What the head reads: the last layer's output, normalised."""
        for layer in self.layers(x, attend):
            x = layer
        return self.norm(x)

    def layers(self, x: Float[Tensor, "B T d"], attend: Attend = causal) -> Iterator[Float[Tensor, "B T d"]]:
        """The embeddings, then each block's output: num_layers + 1 states."""
        yield x
        for block in self.blocks:
            x = block(x, attend)
            yield x


WEIGHT_NAMES = {  # transformers' -> ours
    "model.decoder.embed_tokens": "embedding",
    "model.decoder.embed_positions": "positions",
    "model.decoder.final_layer_norm": "norm",
    "lm_head": "head",
    "model.decoder.layers.{}.self_attn_layer_norm": "blocks.{}.attention_norm",
    "model.decoder.layers.{}.self_attn.q_proj": "blocks.{}.attention.q_proj",
    "model.decoder.layers.{}.self_attn.k_proj": "blocks.{}.attention.k_proj",
    "model.decoder.layers.{}.self_attn.v_proj": "blocks.{}.attention.v_proj",
    "model.decoder.layers.{}.self_attn.out_proj": "blocks.{}.attention.out_proj",
    "model.decoder.layers.{}.final_layer_norm": "blocks.{}.mlp_norm",
    "model.decoder.layers.{}.fc1": "blocks.{}.mlp.up_proj",
    "model.decoder.layers.{}.fc2": "blocks.{}.mlp.down_proj",
}


def from_opt(twin: "OPTForCausalLM") -> OPT:
    """Copy a `transformers` OPT into an `OPT` that gives the same logits.

    Args:
        twin: any pre-norm `OPTForCausalLM`, random or pretrained.

    Returns:
        The same model, in evaluation mode, in the dtype of its weights.

    Raises:
        ValueError: the configuration uses what our model does not have, such as the post-norm of the 350M model.
    """
    theirs: Any = twin.config
    plain = theirs.do_layer_norm_before and theirs.enable_bias and theirs.layer_norm_elementwise_affine
    if not plain or theirs.word_embed_proj_dim != theirs.hidden_size or theirs.activation_function != "relu":
        raise ValueError("only OPT with norms before, biases, ReLU and embeddings of the model's width is supported")
    if theirs._remove_final_layer_norm or not theirs.tie_word_embeddings:
        raise ValueError("the last norm must be there, and the head's matrix the embedding's")
    config = OPTConfig(
        vocab_size=theirs.vocab_size,
        d_model=theirs.hidden_size,
        num_layers=theirs.num_hidden_layers,
        num_heads=theirs.num_attention_heads,
        d_ff=theirs.ffn_dim,
        max_seq_len=theirs.max_position_embeddings,
    )
    model = OPT(config).to(next(twin.parameters()).dtype)
    load_weights(model, renamed(twin.state_dict(), WEIGHT_NAMES))
    return model.eval()
