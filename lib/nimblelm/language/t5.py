"""T5: an encoder and a decoder with relative positions, where every task is text to text."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from nimblelm.nn.attend import Attend, Past, band, biased
from nimblelm.nn.attention import Attention
from nimblelm.nn.checkpoint import load_weights
from nimblelm.nn.mlp import MLP
from nimblelm.nn.norms import RMSNorm
from nimblelm.nn.relative_positions import RelativeBias
from nimblelm.nn.weight_names import renamed

if TYPE_CHECKING:
    from transformers import T5ForConditionalGeneration


@dataclass(frozen=True)
class T5Config:
    """Shape of an encoder-decoder (Raffel et al., 2020, arXiv:1910.10683, section 2.1).

    Raises:
        ValueError: norm_eps is negative or not finite.
    """

    vocab_size: int
    d_model: int  # width of the residual stream
    num_layers: int  # of the encoder, and of the decoder
    num_decoder_layers: int
    num_heads: int
    head_dim: int  # which need not be d_model / num_heads
    d_ff: int  # hidden width of the feed-forward layer
    num_buckets: int = 32  # of relative positions
    max_distance: int = 128  # from which on relative positions are one
    norm_eps: float = 1e-6

    def __post_init__(self):
        if not 0 <= self.norm_eps < math.inf:
            raise ValueError(f"norm_eps {self.norm_eps} must be 0 or more and finite")


class Block(nn.Module):
    """One pre-norm layer: attention, in the decoder attention to the encoder's states, then a feed-forward layer.

    Scores are not divided by sqrt(head_dim): `attend` must not scale.
    """

    def __init__(self, config: T5Config, cross: bool):
        super().__init__()
        attention = (config.d_model, config.num_heads)
        self.attention_norm = RMSNorm(config.d_model, config.norm_eps)
        self.attention = Attention(*attention, head_dim=config.head_dim)
        if cross:
            self.cross_norm = RMSNorm(config.d_model, config.norm_eps)
            self.cross = Attention(*attention, head_dim=config.head_dim)
        self.mlp_norm = RMSNorm(config.d_model, config.norm_eps)
        self.mlp = MLP(config.d_model, config.d_ff, F.relu, bias=False)

    def forward(
        self,
        x: Float[Tensor, "B T d"],
        attend: Attend,
        cross: Attend | None = None,
        encoded: Float[Tensor, "B S d"] | None = None,
    ) -> Float[Tensor, "B T d"]:
        x = x + self.attention(self.attention_norm(x), attend)
        if cross is not None:
            x = x + self.cross(self.cross_norm(x), cross, context=encoded)
        return x + self.mlp(self.mlp_norm(x))


class T5(nn.Module):
    """Logits of the output's next tokens, given the input.

    The twin is `transformers.T5ForConditionalGeneration`; `from_t5` loads its weights.

    Args:
        config: the shape.
    """

    config_class = T5Config

    def __init__(self, config: T5Config):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        relative = (config.num_buckets, config.max_distance)
        self.encoder_bias = RelativeBias(config.num_heads, True, *relative)
        self.encoder = nn.ModuleList(Block(config, cross=False) for _ in range(config.num_layers))
        self.encoder_norm = RMSNorm(config.d_model, config.norm_eps)
        self.decoder_bias = RelativeBias(config.num_heads, False, *relative)
        self.decoder = nn.ModuleList(Block(config, cross=True) for _ in range(config.num_decoder_layers))
        self.decoder_norm = RMSNorm(config.d_model, config.norm_eps)

    def forward(
        self,
        source: Int[Tensor, "B S"],
        tokens: Int[Tensor, "B T"],
        is_token: Bool[Tensor, "B S"] | None = None,
    ) -> Float[Tensor, "B T V"]:
        """Logits after each token of the output.

        Args:
            source: the input.
            tokens: the output so far, which begins with the start token.
            is_token: false where the input is padding; none by default.
        """
        return self.head(self.decode(tokens, self.encode(source, is_token), is_token=is_token))

    def encode(self, source: Int[Tensor, "B S"], is_token: Bool[Tensor, "B S"] | None = None) -> Float[Tensor, "B S d"]:
        """The encoder's states; arguments as in `forward`."""
        positions = torch.arange(source.shape[1], device=source.device)
        bias = self.encoder_bias(positions, positions)
        if is_token is not None:
            bias = bias.masked_fill(~is_token[:, None, None, :], float("-inf"))
        x, attend = self.embedding(source), biased(bias, scale=1.0)
        for block in self.encoder:
            x = block(x, attend)
        return self.encoder_norm(x)

    def decode(
        self,
        tokens: Int[Tensor, "B T"],
        encoded: Float[Tensor, "B S d"],
        past: Past | None = None,
        cross: list[Attend] | None = None,
        is_token: Bool[Tensor, "B S"] | None = None,
    ) -> Float[Tensor, "B T d"]:
        """What the head reads after T tokens of the output.

        Args:
            tokens: of the output.
            encoded: the encoder's states, as far as no cache holds their keys and values.
            past: what the tokens stand on; by default they are the whole output.
            cross: how each layer attends to the encoder's states; by default to all that are tokens.
            is_token: false where the input is padding; of no meaning where `cross` is given.
        """
        layers = len(self.decoder)
        past = past or Past([self.decoder_attend(0, tokens.shape[1])] * layers, slice(0, tokens.shape[1]))
        cross = cross or [self.cross_attend(is_token)] * layers
        x = self.embedding(tokens)
        for block, attend, look in zip(self.decoder, past.attends, cross, strict=True):
            x = block(x, attend, look, encoded)
        return self.decoder_norm(x)

    def decoder_attend(self, position: int, length: int) -> Attend:
        """How `length` tokens from `position` on see the output up to the last of them."""
        keys = torch.arange(position + length, device=self.decoder_bias.weight.device)
        bias = self.decoder_bias(keys[position:], keys)
        return biased(bias.masked_fill(~band(length, len(keys), device=keys.device), float("-inf")), scale=1.0)

    def cross_attend(self, is_token: Bool[Tensor, "B S"] | None = None) -> Attend:
        """How tokens see the encoder's states."""
        bias = self.decoder_bias.weight.new_zeros(1, 1, 1, 1)
        if is_token is not None:
            bias = bias.masked_fill(~is_token[:, None, None, :], float("-inf"))
        return biased(bias, scale=1.0)

    def head(self, states: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch V"]:
        """Logits; the matrix is the token embedding's, so states are scaled by 1 / sqrt(d_model) first."""
        return F.linear(states * self.config.d_model**-0.5, self.embedding.weight)


def _block_names(side: str, sublayers: list[str]) -> dict[str, str]:
    """transformers' -> ours, of a stack whose blocks have these sublayers in this order."""
    names = {}
    for i, ours in enumerate(sublayers):
        layer, theirs = f"{side}.block.{{}}.layer.{i}", "EncDecAttention" if ours == "cross" else "SelfAttention"
        names[f"{layer}.layer_norm"] = f"{side}.{{}}.{ours}_norm"
        names |= {f"{layer}.{theirs}.{x}": f"{side}.{{}}.{ours}.{x}_proj" for x in "qkv"}
        names[f"{layer}.{theirs}.o"] = f"{side}.{{}}.{ours}.out_proj"
        names[f"{layer}.DenseReluDense.wi"] = f"{side}.{{}}.{ours}.up_proj"
        names[f"{layer}.DenseReluDense.wo"] = f"{side}.{{}}.{ours}.down_proj"
    return names


WEIGHT_NAMES = {  # transformers' -> ours
    "shared": "embedding",
    "encoder.embed_tokens": "",  # shared's
    "decoder.embed_tokens": "",
    "lm_head": "",
    "encoder.block.0.layer.0.SelfAttention.relative_attention_bias": "encoder_bias",
    "decoder.block.0.layer.0.SelfAttention.relative_attention_bias": "decoder_bias",
    "encoder.final_layer_norm": "encoder_norm",
    "decoder.final_layer_norm": "decoder_norm",
    **_block_names("encoder", ["attention", "mlp"]),
    **_block_names("decoder", ["attention", "cross", "mlp"]),
}


def from_t5(twin: "T5ForConditionalGeneration") -> T5:
    """Copy a `transformers` T5 into a `T5` that gives the same logits.

    Args:
        twin: any `T5ForConditionalGeneration` of the first version: ReLU, and one embedding for all.

    Returns:
        The same model, in evaluation mode, in the dtype of its weights.

    Raises:
        ValueError: the configuration uses what our model does not have.
    """
    theirs: Any = twin.config
    if theirs.feed_forward_proj != "relu" or not theirs.scale_decoder_outputs:
        raise ValueError(f"feed_forward_proj {theirs.feed_forward_proj!r} must be 'relu', and the head the embedding")
    config = T5Config(
        vocab_size=theirs.vocab_size,
        d_model=theirs.d_model,
        num_layers=theirs.num_layers,
        num_decoder_layers=theirs.num_decoder_layers,
        num_heads=theirs.num_heads,
        head_dim=theirs.d_kv,
        d_ff=theirs.d_ff,
        num_buckets=theirs.relative_attention_num_buckets,
        max_distance=theirs.relative_attention_max_distance,
        norm_eps=theirs.layer_norm_epsilon,
    )
    model = T5(config).to(next(twin.parameters()).dtype)
    load_weights(model, renamed(twin.state_dict(), WEIGHT_NAMES))
    return model.eval()
