"""A decoder-only transformer with RoPE, RMSNorm, grouped-query attention and SwiGLU: the Llama architecture."""

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor, nn

from nimblelm.nn.attention import Attention
from nimblelm.nn.mlp import SwiGLU
from nimblelm.nn.norms import RMSNorm
from nimblelm.nn.positions import RowPositions, TreePositions, rotary_table


@dataclass(frozen=True)
class TransformerConfig:
    """Shape of a decoder-only transformer (Touvron et al., 2023, arXiv:2302.13971, section 2.2).

    Chapter: book/ch02_speculative_decoding
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

    @property
    def head_dim(self) -> int:
        return self.d_model // self.num_heads


class Block(nn.Module):
    """One pre-norm layer: x + attention(norm(x)), then x + mlp(norm(x)).

    Chapter: book/ch02_speculative_decoding
    """

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.attention_norm = RMSNorm(config.d_model, config.norm_eps)
        self.attention = Attention(config.d_model, config.num_heads, config.num_kv_heads)
        self.mlp_norm = RMSNorm(config.d_model, config.norm_eps)
        self.mlp = SwiGLU(config.d_model, config.d_ff)

    def forward(self, x, rotary, cache=None, position: int | RowPositions | TreePositions = 0):
        x = x + self.attention(self.attention_norm(x), rotary, cache, position)
        return x + self.mlp(self.mlp_norm(x))


class Transformer(nn.Module):
    """Logits of every next token, in one pass over the sequence or a block at a time through a cache.

    The twin is `transformers.LlamaForCausalLM`; `nimblelm.nn.llama.from_llama` loads its weights.

    Args:
        config: the shape.

    Chapter: book/ch02_speculative_decoding
    """

    def __init__(self, config: TransformerConfig):
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

    rotary: Tensor

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)

    def forward(
        self,
        tokens: Int[Tensor, "B T"],
        cache: tuple[Float[Tensor, "L B S Hkv D"], Float[Tensor, "L B S Hkv D"]] | None = None,
        position: int | Int[Tensor, "B"] | TreePositions = 0,
    ) -> Float[Tensor, "B T V"]:
        """Logits for T tokens that start at `position`; arguments and errors as in `states`."""
        return self.head(self.states(tokens, cache, position))

    def states(
        self,
        tokens: Int[Tensor, "B T"],
        cache: tuple[Float[Tensor, "L B S Hkv D"], Float[Tensor, "L B S Hkv D"]] | None = None,
        position: int | Int[Tensor, "B"] | TreePositions = 0,
    ) -> Float[Tensor, "B T d"]:
        """What the head reads for T tokens that start at `position`: the last layer's output, normalised.

        Args:
            tokens: token ids.
            cache: keys and values of all layers, such as `nimblelm.inference.cache.KVCache`. The rows of these T
                positions are overwritten in place, every earlier row is read, later rows are ignored. Without a
                cache the T tokens are the whole sequence and position is 0.
            position: index of the first token: one number, or a tensor with one for each row of the batch. A tensor
                is read on the device alone, so the caller sees to its range. Or the places of a tree of tokens, the
                same for the whole batch.

        Raises:
            ValueError: the tokens reach past max_seq_len or past the cache, or a position comes without a cache.
        """
        if isinstance(position, int | TreePositions):
            first = position if isinstance(position, int) else position.first
            end = first + tokens.shape[1]
            limit = self.config.max_seq_len if cache is None else min(self.config.max_seq_len, cache[0].shape[2])
            if end > limit:
                raise ValueError(f"tokens reach position {end}, the limit is {limit}")
            if first < 0 or (position != 0 and cache is None):
                raise ValueError(f"position {first} needs a cache and must not be negative")
            place = position
            rows = slice(first, end) if isinstance(position, int) else first + position.depths
            rotary = self.rotary[:, rows]
        else:
            if cache is None:
                raise ValueError("positions of rows need a cache")
            place = RowPositions.of_block(position, tokens.shape[1])
            rotary = self.rotary[:, place.positions]  # (2, B, T, D)
        x = self.embedding(tokens)
        rotary = rotary.to(x.dtype)
        for i, block in enumerate(self.blocks):
            layer_cache = None if cache is None else (cache[0][i], cache[1][i])
            x = block(x, rotary, layer_cache, place)
        return self.norm(x)
