"""Llama: a decoder-only transformer with RoPE, RMSNorm, grouped-query attention and SwiGLU."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from jaxtyping import Float, Int
from torch import Tensor, nn

from nimblelm.nn.attend import Attend, Past, causal
from nimblelm.nn.attention import Attention, Rotate
from nimblelm.nn.checkpoint import load_weights
from nimblelm.nn.mlp import SwiGLU
from nimblelm.nn.norms import RMSNorm
from nimblelm.nn.positions import rotary_table, rotate
from nimblelm.nn.weight_names import renamed, reverse

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM


@dataclass(frozen=True)
class LlamaConfig:
    """Shape of a decoder-only transformer (Touvron et al., 2023, arXiv:2302.13971, section 2.2).

    Raises:
        ValueError: a size below 1, or a constant outside its range.
    """

    vocab_size: int
    d_model: int  # width of the residual stream
    num_layers: int
    num_heads: int  # query heads
    num_kv_heads: int  # key-value heads, shared by num_heads / num_kv_heads queries each
    d_ff: int  # hidden width of the feed-forward layer
    max_seq_len: int = 1024  # rows of the rotary table
    rope_base: float = 10_000.0
    norm_eps: float = 1e-5
    tie_embeddings: bool = True  # the output head reuses the token embedding
    d_head: int | None = None  # width of a head where it is not d_model / num_heads

    def __post_init__(self):
        widths = (self.vocab_size, self.d_model, self.num_heads, self.num_kv_heads, self.d_ff)
        head = 1 if self.d_head is None else self.d_head
        if not all(size >= 1 for size in (*widths, head, self.num_layers, self.max_seq_len)):
            raise ValueError(f"{self}: every size must be 1 or more")
        if not (0 < self.rope_base < math.inf and 0 <= self.norm_eps < math.inf):
            raise ValueError(f"{self}: rope_base must be above 0, norm_eps 0 or more, both finite")

    @property
    def head_dim(self) -> int:
        return self.d_model // self.num_heads if self.d_head is None else self.d_head


class Block(nn.Module):
    """One pre-norm layer: x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, config: LlamaConfig):
        super().__init__()
        self.attention_norm = RMSNorm(config.d_model, config.norm_eps)
        self.attention = Attention(config.d_model, config.num_heads, config.num_kv_heads, head_dim=config.d_head)
        self.mlp_norm = RMSNorm(config.d_model, config.norm_eps)
        self.mlp = SwiGLU(config.d_model, config.d_ff)

    def forward(self, x: Float[Tensor, "B T d"], attend: Attend, rotate: Rotate) -> Float[Tensor, "B T d"]:
        x = x + self.attention(self.attention_norm(x), attend, rotate)
        return x + self.mlp(self.mlp_norm(x))


class Llama(nn.Module):
    """Logits of every next token, in one pass over the sequence or a block at a time on top of a cache.

    Three stages: `embed`, `states` (or `layers`, all of them), `head`. Other modalities put embeddings into the second
    and take states out of it.

    The twin is `transformers.LlamaForCausalLM`; `from_llama` loads its weights.

    Args:
        config: the shape.

    Chapter: book/ch02_speculative_decoding
    """

    config_class = LlamaConfig
    attend: Attend = staticmethod(causal)  # what a token sees of those before it
    rotary: Tensor

    def __init__(self, config: LlamaConfig):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.norm = RMSNorm(config.d_model, config.norm_eps)
        self.head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        if config.tie_embeddings:
            self.head.weight = self.embedding.weight
        table = rotary_table(config.max_seq_len, config.head_dim, config.rope_base)
        self.register_buffer("rotary", table, persistent=False)
        self.apply(self._init_weights)

    def _apply(self, fn, recurse=True):
        """Move or cast as any module does, but for the rotary table, which stays in float32.

        A model that comes back from half precision would otherwise turn by rounded angles.
        """
        super()._apply(fn, recurse)
        config = self.config
        self.rotary = rotary_table(config.max_seq_len, config.head_dim, config.rope_base).to(self.rotary.device)
        return self

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)

    def forward(self, tokens: Int[Tensor, "B T"], past: Past | None = None) -> Float[Tensor, "B T V"]:
        """Logits after each of T tokens; arguments and errors as in `layers`."""
        return self.head(self.states(self.embed(tokens), past))

    def embed(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B T d"]:
        """What the first block reads."""
        return self.embedding(tokens)

    def states(self, x: Float[Tensor, "B T d"], past: Past | None = None) -> Float[Tensor, "B T d"]:
        """What the head reads: the last layer's output, normalised. Arguments and errors as in `layers`."""
        last = x
        for last in self.layers(x, past):  # noqa: B007
            pass
        return self.norm(last)

    def layers(self, x: Float[Tensor, "B T d"], past: Past | None = None) -> Iterator[Float[Tensor, "B T d"]]:
        """The embeddings, then each block's output: num_layers + 1 states, the last one before its norm.

        Args:
            x: embeddings of T tokens.
            past: what they stand on, such as a cache gives. By default they are the whole sequence, each of which sees
                itself and those before it.

        Raises:
            ValueError: there are more positions than max_seq_len, or `past` is of another number of layers.
        """
        length, limit = x.shape[1], self.config.max_seq_len
        past = past or Past([self.attend] * len(self.blocks), slice(0, length))
        if len(past.attends) != len(self.blocks):
            raise ValueError(f"a past of {len(past.attends)} layers was given, the model has {len(self.blocks)}")
        table = self.rotary[:, past.positions]  # (2, T, D), or (2, B, T, D)
        if table.shape[-2] != length:
            raise ValueError(f"{length} tokens at {past.positions} reach past max_seq_len {limit}")
        turn = partial(rotate, table=table.to(x.dtype))
        yield x
        for block, attend in zip(self.blocks, past.attends, strict=True):
            x = block(x, attend, turn)
            yield x


WEIGHT_NAMES = {  # transformers' -> ours
    "model.embed_tokens": "embedding",
    "model.norm": "norm",
    "lm_head": "head",
    "model.layers.{}.input_layernorm": "blocks.{}.attention_norm",
    "model.layers.{}.self_attn.q_proj": "blocks.{}.attention.q_proj",
    "model.layers.{}.self_attn.k_proj": "blocks.{}.attention.k_proj",
    "model.layers.{}.self_attn.v_proj": "blocks.{}.attention.v_proj",
    "model.layers.{}.self_attn.o_proj": "blocks.{}.attention.out_proj",
    "model.layers.{}.post_attention_layernorm": "blocks.{}.mlp_norm",
    "model.layers.{}.mlp.gate_proj + model.layers.{}.mlp.up_proj": "blocks.{}.mlp.gate_up_proj",
    "model.layers.{}.mlp.down_proj": "blocks.{}.mlp.down_proj",
}


def shape_of(theirs: Any, model_type: str) -> dict[str, Any]:
    """The fields of `LlamaConfig` from a configuration of transformers' Llama or of one of its relatives.

    Args:
        theirs: the configuration.
        model_type: whose it must be; relatives have weights of the same names, and do something else with them.

    Raises:
        ValueError: it is another model's, or uses what ours does not have.
    """
    if theirs.model_type != model_type:
        raise ValueError(f"the model is a {theirs.model_type!r}, a {model_type!r} is needed")
    rope = theirs.rope_parameters
    if rope.get("rope_type", "default") != "default":
        raise ValueError(f"rope_type {rope['rope_type']!r} is not supported, only 'default'")
    if getattr(theirs, "attention_bias", False) or getattr(theirs, "mlp_bias", False):
        raise ValueError("biases in attention or mlp are not supported")
    if theirs.hidden_act != "silu":
        raise ValueError(f"hidden_act {theirs.hidden_act!r} is not supported, only 'silu'")
    head_dim = theirs.head_dim or theirs.hidden_size // theirs.num_attention_heads
    return {
        "vocab_size": theirs.vocab_size,
        "d_model": theirs.hidden_size,
        "num_layers": theirs.num_hidden_layers,
        "num_heads": theirs.num_attention_heads,
        "num_kv_heads": theirs.num_key_value_heads,
        "d_ff": theirs.intermediate_size,
        "max_seq_len": theirs.max_position_embeddings,
        "rope_base": rope["rope_theta"],
        "norm_eps": theirs.rms_norm_eps,
        "tie_embeddings": theirs.tie_word_embeddings,
        "d_head": None if head_dim * theirs.num_attention_heads == theirs.hidden_size else head_dim,
    }


def from_llama(twin: "LlamaForCausalLM") -> Llama:
    """Copy a `transformers` Llama model into a `Llama` that gives the same logits.

    Args:
        twin: any `LlamaForCausalLM`, random or pretrained, with default rotary positions and no biases.

    Returns:
        The same model, in evaluation mode, in the dtype of its weights.

    Raises:
        ValueError: the configuration uses what our model does not have.
    """
    model = Llama(LlamaConfig(**shape_of(twin.config, "llama"))).to(next(twin.parameters()).dtype)
    load_weights(model, renamed(twin.state_dict(), WEIGHT_NAMES))
    return model.eval()


def to_llama(model: Llama) -> "LlamaForCausalLM":
    """Copy a `Llama` into a `transformers` model that gives the same logits: the inverse of `from_llama`.

    Raises:
        ValueError: its tokens do not see all before them.
    """
    import transformers

    if model.attend is not causal:
        raise ValueError(f"the tokens of a {type(model).__name__} do not see all before them, Llama's do")
    config = model.config
    shape = transformers.LlamaConfig(
        vocab_size=config.vocab_size,
        hidden_size=config.d_model,
        intermediate_size=config.d_ff,
        num_hidden_layers=config.num_layers,
        num_attention_heads=config.num_heads,
        num_key_value_heads=config.num_kv_heads,
        head_dim=config.head_dim,
        max_position_embeddings=config.max_seq_len,
        rope_parameters={"rope_type": "default", "rope_theta": config.rope_base},
        rms_norm_eps=config.norm_eps,
        tie_word_embeddings=config.tie_embeddings,
    )
    twin: Any = transformers.LlamaForCausalLM(shape)
    twin.to(model.embedding.weight.dtype)
    twin.load_state_dict(renamed(model.state_dict(), reverse(WEIGHT_NAMES)))
    return twin.eval()
