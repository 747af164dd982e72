"""Whisper: an encoder of 30 s of log-mel, and a decoder that writes text, languages, tasks and times as tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from nimblelm.nn.attend import Attend, Past, causal, full
from nimblelm.nn.attention import Attention
from nimblelm.nn.checkpoint import load_weights
from nimblelm.nn.mlp import MLP
from nimblelm.nn.weight_names import renamed

if TYPE_CHECKING:
    from transformers import WhisperForConditionalGeneration


@dataclass(frozen=True)
class WhisperConfig:
    """Shape (Radford et al., 2022, arXiv:2212.04356, table 1; the defaults are tiny).

    Raises:
        ValueError: a size below 1, or num_heads does not divide d_model.
    """

    vocab_size: int = 51_865
    d_model: int = 384
    num_layers: int = 4  # of the encoder
    num_decoder_layers: int = 4
    num_heads: int = 6
    d_ff: int = 1536
    num_mels: int = 80
    num_positions: int = 1500  # of the encoder: half of the 3000 frames
    max_seq_len: int = 448  # tokens of the decoder

    def __post_init__(self):
        if min(vars(self).values()) < 1 or self.d_model % self.num_heads:
            raise ValueError(f"{self} must have sizes of 1 or more, and num_heads must divide d_model")

    @property
    def head_dim(self) -> int:
        return self.d_model // self.num_heads


class Block(nn.Module):
    """Pre-norm: attention, in the decoder attention to the encoder's states, then an MLP. Keys have no bias.

    Args:
        config: the shape.
        cross: whether it is the decoder's.
    """

    def __init__(self, config: WhisperConfig, cross: bool):
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.d_model)
        self.attention = Attention(config.d_model, config.num_heads, bias="qvo")
        if cross:
            self.cross_norm = nn.LayerNorm(config.d_model)
            self.cross = Attention(config.d_model, config.num_heads, bias="qvo")
        self.mlp_norm = nn.LayerNorm(config.d_model)
        self.mlp = MLP(config.d_model, config.d_ff, F.gelu)

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


class Whisper(nn.Module):
    """Logits of the next tokens, given 30 s of sound and the tokens so far.

    The twin is `transformers.WhisperForConditionalGeneration`; `from_whisper` loads its weights. A
    `nimblelm.inference.decoding.cross_cache.CachedDecoder` decodes with caches.

    Args:
        config: the shape.

    Chapter: book/ch16_speech_recognition
    """

    config_class = WhisperConfig

    def __init__(self, config: WhisperConfig):
        super().__init__()
        self.config = config
        self.conv_1 = nn.Conv1d(config.num_mels, config.d_model, 3, padding=1)
        self.conv_2 = nn.Conv1d(config.d_model, config.d_model, 3, stride=2, padding=1)
        self.encoder_positions = nn.Parameter(torch.zeros(config.num_positions, config.d_model))  # sinusoids, kept
        self.encoder = nn.ModuleList(Block(config, cross=False) for _ in range(config.num_layers))
        self.encoder_norm = nn.LayerNorm(config.d_model)
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.decoder_positions = nn.Parameter(torch.zeros(config.max_seq_len, config.d_model))
        self.decoder = nn.ModuleList(Block(config, cross=True) for _ in range(config.num_decoder_layers))
        self.decoder_norm = nn.LayerNorm(config.d_model)

    def forward(self, log_mel: Float[Tensor, "B mels T"], tokens: Int[Tensor, "B n"]) -> Float[Tensor, "B n V"]:
        """Logits after each token.

        Args:
            log_mel: of `whisper_log_mel`, twice as many frames as the encoder has positions.
            tokens: from <|startoftranscript|> on.
        """
        return self.head(self.decode(tokens, self.encode(log_mel)))

    def encode(self, log_mel: Float[Tensor, "B mels T"]) -> Float[Tensor, "B S d"]:
        """The encoder's states, one for every 20 ms.

        Raises:
            ValueError: other bands or another length than the model was made for: it always hears 30 s.
        """
        expected = (self.config.num_mels, 2 * self.config.num_positions)
        if log_mel.shape[1:] != expected:
            raise ValueError(f"log_mel {tuple(log_mel.shape)} must have {expected[0]} bands and {expected[1]} frames")
        x = F.gelu(self.conv_2(F.gelu(self.conv_1(log_mel)))).mT + self.encoder_positions
        for block in self.encoder:
            x = block(x, full)
        return self.encoder_norm(x)

    def decode(
        self,
        tokens: Int[Tensor, "B n"],
        encoded: Float[Tensor, "B S d"],
        past: Past | None = None,
        cross: Sequence[Attend] | None = None,
    ) -> Float[Tensor, "B n d"]:
        """What the head reads after each token.

        Args:
            tokens: of the output.
            encoded: the encoder's states, as far as no cache holds their keys and values.
            past: what the tokens stand on; by default they are the whole output.
            cross: how each layer attends to the encoder's states; by default to all.

        Raises:
            ValueError: more tokens than the decoder has positions.
        """
        if tokens.shape[1] > self.config.max_seq_len:
            raise ValueError(
                f"{tokens.shape[1]} tokens are more than the decoder's {self.config.max_seq_len} positions"
            )
        layers = len(self.decoder)
        past = past or Past([causal] * layers, slice(0, tokens.shape[1]))
        x = self.embedding(tokens) + self.decoder_positions[past.positions]
        for block, attend, look in zip(self.decoder, past.attends, cross or [full] * layers, strict=True):
            x = block(x, attend, look, encoded)
        return self.decoder_norm(x)

    def decoder_attend(self, position: int, length: int) -> Attend:
        """How `length` tokens from `position` on see the output so far."""
        return causal

    def cross_attend(self, is_token: Tensor | None = None) -> Attend:
        """How tokens see the encoder's states: all of them."""
        return full

    def head(self, states: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch V"]:
        """Logits; the matrix is the token embedding's."""
        return F.linear(states, self.embedding.weight)


def _block_names(side: str, cross: bool) -> dict[str, str]:
    layer, ours = f"model.{side}.layers.{{}}", f"{side}.{{}}"
    names = {f"{layer}.self_attn": f"{ours}.attention", f"{layer}.self_attn_layer_norm": f"{ours}.attention_norm"}
    names |= (
        {f"{layer}.encoder_attn": f"{ours}.cross", f"{layer}.encoder_attn_layer_norm": f"{ours}.cross_norm"}
        if cross
        else {}
    )
    return names | {
        f"{layer}.fc1": f"{ours}.mlp.up_proj",
        f"{layer}.fc2": f"{ours}.mlp.down_proj",
        f"{layer}.final_layer_norm": f"{ours}.mlp_norm",
    }  # fmt: skip


WEIGHT_NAMES = {  # transformers' -> ours
    "model.encoder.conv1": "conv_1",
    "model.encoder.conv2": "conv_2",
    "model.encoder.embed_positions.weight": "encoder_positions",
    "model.encoder.layer_norm": "encoder_norm",
    "model.decoder.embed_tokens": "embedding",
    "model.decoder.embed_positions.weight": "decoder_positions",
    "model.decoder.layer_norm": "decoder_norm",
    "proj_out": "",  # the embedding's
    **_block_names("encoder", False),
    **_block_names("decoder", True),
}


def from_whisper(twin: "WhisperForConditionalGeneration") -> Whisper:
    """Copy a `transformers` Whisper into a `Whisper` that gives the same logits.

    Raises:
        ValueError: the configuration uses what our model does not have.
    """
    theirs: Any = twin.config
    if theirs.activation_function != "gelu" or theirs.scale_embedding:
        raise ValueError(f"activation_function {theirs.activation_function!r} must be 'gelu', embeddings not scaled")
    if (
        theirs.encoder_attention_heads != theirs.decoder_attention_heads
        or theirs.encoder_ffn_dim != theirs.decoder_ffn_dim
    ):
        raise ValueError(f"encoder and decoder must be of one width, {theirs.encoder_attention_heads} heads")
    config = WhisperConfig(
        vocab_size=theirs.vocab_size,
        d_model=theirs.d_model,
        num_layers=theirs.encoder_layers,
        num_decoder_layers=theirs.decoder_layers,
        num_heads=theirs.encoder_attention_heads,
        d_ff=theirs.encoder_ffn_dim,
        num_mels=theirs.num_mel_bins,
        num_positions=theirs.max_source_positions,
        max_seq_len=theirs.max_target_positions,
    )
    model = Whisper(config).to(next(twin.parameters()).dtype)
    load_weights(model, renamed(twin.state_dict(), WEIGHT_NAMES))
    return model.eval()
