"""GPT-NeoX, of which Pythia and RedPajama-INCITE are: rotary positions on a part of each head, parallel halves."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from nimblelm.nn.attend import Attend, causal
from nimblelm.nn.attention import Attention, Rotate
from nimblelm.nn.checkpoint import load_weights
from nimblelm.nn.mlp import MLP
from nimblelm.nn.positions import rotary_table, rotate
from nimblelm.nn.weight_names import renamed

if TYPE_CHECKING:
    from transformers import GPTNeoXForCausalLM


@dataclass(frozen=True)
class GPTNeoXConfig:
    """Shape of a GPT-NeoX (Black et al., 2022, arXiv:2204.06745, section 2).

    Raises:
        ValueError: a size below 1, heads that do not divide the width, or a constant outside its range.
    """

    vocab_size: int
    d_model: int
    num_layers: int
    num_heads: int
    d_ff: int
    max_seq_len: int = 2048
    rotary_share: float = 0.25  # of a head's width, that turns; Pythia's, 1 in INCITE
    rope_base: float = 10_000.0
    parallel: bool = True  # attention and MLP read the same x; one after the other in INCITE
    norm_eps: float = 1e-5

    def __post_init__(self):
        sizes = self.vocab_size, self.d_model, self.num_layers, self.num_heads, self.d_ff, self.max_seq_len
        if min(sizes) < 1 or self.d_model % self.num_heads:
            raise ValueError(f"{self}: every size must be 1 or more, and num_heads divide d_model")
        if not (0 < self.rotary_share <= 1 and 0 < self.rope_base < math.inf and 0 <= self.norm_eps < math.inf):
            raise ValueError(f"{self}: rotary_share must be 0 to 1, rope_base above 0, norm_eps 0 or more, all finite")

    @property
    def rotary_dim(self) -> int:
        return int(self.d_model // self.num_heads * self.rotary_share)


class Block(nn.Module):
    """x + attention(norm(x)) + mlp(norm(x)) where they are parallel, or one after the other, with biases."""

    def __init__(self, config: GPTNeoXConfig):
        super().__init__()
        self.parallel = config.parallel
        self.attention_norm = nn.LayerNorm(config.d_model, config.norm_eps)
        self.attention = Attention(config.d_model, config.num_heads, bias="qkvo")
        self.mlp_norm = nn.LayerNorm(config.d_model, config.norm_eps)
        self.mlp = MLP(config.d_model, config.d_ff, F.gelu)

    def forward(self, x: Float[Tensor, "B T d"], attend: Attend, rotate: Rotate) -> Float[Tensor, "B T d"]:
        after = x + self.attention(self.attention_norm(x), attend, rotate)
        return after + self.mlp(self.mlp_norm(x if self.parallel else after))


class GPTNeoX(nn.Module):
    """Logits of every next token, in one pass over the sequence.

    The twin is `transformers.GPTNeoXForCausalLM`; `from_gpt_neox` loads its weights.

    Args:
        config: the shape.

    Chapter: book/ch06_pruning
    """

    config_class = GPTNeoXConfig
    rotary: Tensor

    def __init__(self, config: GPTNeoXConfig):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.norm = nn.LayerNorm(config.d_model, config.norm_eps)
        self.head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        table = rotary_table(config.max_seq_len, config.rotary_dim, config.rope_base)
        self.register_buffer("rotary", table, persistent=False)

    def forward(self, tokens: Int[Tensor, "B T"], attend: Attend = causal) -> Float[Tensor, "B T V"]:
        """Logits after each of T tokens; raises ValueError where there are more tokens than positions."""
        return self.head(self.states(self.embedding(tokens), attend))

    def states(self, x: Float[Tensor, "B T d"], attend: Attend = causal) -> Float[Tensor, "B T d"]:
        """What the head reads: the last layer's output, normalised; errors as in `forward`."""
        for layer in self.layers(x, attend):
            x = layer
        return self.norm(x)

    def layers(self, x: Float[Tensor, "B T d"], attend: Attend = causal) -> Iterator[Float[Tensor, "B T d"]]:
        """The embeddings, then each block's output: num_layers + 1 states; errors as in `forward`."""
        length, limit = x.shape[1], self.config.max_seq_len
        if length > limit:
            raise ValueError(f"{length} tokens, the limit is {limit}")
        table = self.rotary[:, :length].to(x.dtype)
        turning = table.shape[-1]

        def turn(heads: Tensor) -> Tensor:
            return torch.cat([rotate(heads[..., :turning], table), heads[..., turning:]], -1)

        yield x
        for block in self.blocks:
            x = block(x, attend, turn)
            yield x


WEIGHT_NAMES = {  # transformers' -> ours, once queries, keys and values are apart
    "gpt_neox.embed_in": "embedding",
    "gpt_neox.final_layer_norm": "norm",
    "lm_head": "head",
    "embed_out": "head",  # in published files
    "gpt_neox.layers.{}.input_layernorm": "blocks.{}.attention_norm",
    "gpt_neox.layers.{}.post_attention_layernorm": "blocks.{}.mlp_norm",
    "gpt_neox.layers.{}.attention.query": "blocks.{}.attention.q_proj",
    "gpt_neox.layers.{}.attention.key": "blocks.{}.attention.k_proj",
    "gpt_neox.layers.{}.attention.value": "blocks.{}.attention.v_proj",
    "gpt_neox.layers.{}.attention.dense": "blocks.{}.attention.out_proj",
    "gpt_neox.layers.{}.mlp.dense_h_to_4h": "blocks.{}.mlp.up_proj",
    "gpt_neox.layers.{}.mlp.dense_4h_to_h": "blocks.{}.mlp.down_proj",
}


def separated(weights: dict[str, Tensor], num_heads: int) -> dict[str, Tensor]:
    """The fused projections cut apart: theirs hold query, key and value of the first head, then of the second, ..."""
    found = {}
    for name, weight in weights.items():
        if ".query_key_value." not in name:
            found[name] = weight
            continue
        heads = weight.unflatten(0, (num_heads, 3, -1))  # (H, 3, D, ...)
        for part, other in enumerate(("query", "key", "value")):
            found[name.replace("query_key_value", other)] = heads[:, part].flatten(0, 1)
    return found


def from_gpt_neox(twin: "GPTNeoXForCausalLM") -> GPTNeoX:
    """Copy a `transformers` GPT-NeoX, such as a Pythia, into a `GPTNeoX` that gives the same logits.

    Args:
        twin: any `GPTNeoXForCausalLM`, random or pretrained, with default rotary positions.

    Returns:
        The same model, in evaluation mode, in the dtype of its weights.

    Raises:
        ValueError: the configuration uses what our model does not have.
    """
    theirs: Any = twin.config
    rope = theirs.rope_parameters
    if rope.get("rope_type", "default") != "default" or theirs.hidden_act != "gelu":
        raise ValueError(f"rope_type and hidden_act must be 'default' and 'gelu', got {rope} and {theirs.hidden_act!r}")
    if not theirs.attention_bias or theirs.tie_word_embeddings:
        raise ValueError("attention must have biases, and the head a matrix of its own")
    config = GPTNeoXConfig(
        vocab_size=theirs.vocab_size,
        d_model=theirs.hidden_size,
        num_layers=theirs.num_hidden_layers,
        num_heads=theirs.num_attention_heads,
        d_ff=theirs.intermediate_size,
        max_seq_len=theirs.max_position_embeddings,
        rotary_share=rope.get("partial_rotary_factor", 1.0),
        rope_base=rope["rope_theta"],
        parallel=theirs.use_parallel_residual,
        norm_eps=theirs.layer_norm_eps,
    )
    model = GPTNeoX(config).to(next(twin.parameters()).dtype)
    own = {name: w for name, w in twin.state_dict().items() if not name.endswith((".bias_dummy", "inv_freq"))}
    load_weights(model, renamed(separated(own, config.num_heads), WEIGHT_NAMES))
    return model.eval()
