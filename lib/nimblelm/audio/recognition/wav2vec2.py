"""wav2vec 2.0 as a recogniser: convolutions over the waveform, a transformer, a CTC head."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from nimblelm.nn.attend import full
from nimblelm.nn.attention import Attention
from nimblelm.nn.checkpoint import load_weights
from nimblelm.nn.mlp import MLP
from nimblelm.nn.weight_names import renamed

if TYPE_CHECKING:
    from transformers import Wav2Vec2ForCTC


@dataclass(frozen=True)
class Wav2Vec2Config:
    """Shape (Baevski et al., 2020, arXiv:2006.11477, section 4.2; the defaults are BASE, fine-tuned on 960 h).

    Raises:
        ValueError: convolutions whose lists differ in length, an unknown feature_norm, or a norm_eps that is negative
            or not finite.
    """

    vocab_size: int = 32
    d_model: int = 768
    num_layers: int = 12
    num_heads: int = 12
    d_ff: int = 3072
    conv_widths: tuple[int, ...] = (512,) * 7
    conv_kernels: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    conv_strides: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)  # a vector every 320 samples: 20 ms
    conv_bias: bool = False
    feature_norm: str = "group"  # of the first convolution's channels; "layer": of every convolution's vectors
    position_kernel: int = 128  # of the convolution that tells positions
    position_groups: int = 16
    norm_eps: float = 1e-5

    def __post_init__(self):
        if len({len(self.conv_widths), len(self.conv_kernels), len(self.conv_strides)}) != 1:
            raise ValueError(f"{self.conv_widths}, {self.conv_kernels} and {self.conv_strides} must be of one length")
        if self.feature_norm not in ("group", "layer") or not 0 <= self.norm_eps < math.inf:
            raise ValueError(
                f"feature_norm {self.feature_norm!r} must be 'group' or 'layer', norm_eps {self.norm_eps} 0 or more"
            )


class WaveformEncoder(nn.Module):
    """A vector for every few hundred samples, by strided convolutions without padding.

    Args:
        config: the shape.

    Chapter: book/ch16_speech_recognition
    """

    def __init__(self, config: Wav2Vec2Config):
        super().__init__()
        self.kernels = config.conv_kernels
        sizes = zip(pairwise((1, *config.conv_widths)), config.conv_kernels, config.conv_strides, strict=True)
        self.convs = nn.ModuleList(nn.Conv1d(*io, k, s, bias=config.conv_bias) for io, k, s in sizes)
        by_group = config.feature_norm == "group"
        first = config.conv_widths[:1] if by_group else config.conv_widths
        self.norms = nn.ModuleList(nn.GroupNorm(w, w) if by_group else nn.LayerNorm(w) for w in first)
        self.norm = nn.LayerNorm(config.conv_widths[-1], config.norm_eps)
        self.projection = nn.Linear(config.conv_widths[-1], config.d_model)

    def forward(self, waveform: Float[Tensor, "B samples"]) -> Float[Tensor, "B T d"]:
        """The vectors that the transformer reads.

        Raises:
            ValueError: the waveform is shorter than what one vector sees.
        """
        x = waveform[:, None]
        for i, conv in enumerate(self.convs):
            if x.shape[-1] < self.kernels[i]:
                raise ValueError(f"{waveform.shape[-1]} samples are fewer than one vector sees")
            x = conv(x)
            if i < len(self.norms):
                norm = self.norms[i]
                x = norm(x) if isinstance(norm, nn.GroupNorm) else norm(x.mT).mT
            x = F.gelu(x)
        return self.projection(self.norm(x.mT))


class PostNormBlock(nn.Module):
    """x = LN(x + MHSA(x)); x = LN(x + MLP(x)).

    Args:
        config: the shape.
    """

    def __init__(self, config: Wav2Vec2Config):
        super().__init__()
        self.attention = Attention(config.d_model, config.num_heads, bias="qkvo")
        self.attention_norm = nn.LayerNorm(config.d_model, config.norm_eps)
        self.mlp = MLP(config.d_model, config.d_ff, F.gelu)
        self.mlp_norm = nn.LayerNorm(config.d_model, config.norm_eps)

    def forward(self, x: Float[Tensor, "B T d"]) -> Float[Tensor, "B T d"]:
        x = self.attention_norm(x + self.attention(x, full))
        return self.mlp_norm(x + self.mlp(x))


class Wav2Vec2(nn.Module):
    """Logits of CTC's labels for every 20 ms of a waveform.

    The twin is `transformers.Wav2Vec2ForCTC`; `from_wav2vec2` loads its weights.

    Args:
        config: the shape.

    Chapter: book/ch16_speech_recognition
    """

    config_class = Wav2Vec2Config

    def __init__(self, config: Wav2Vec2Config):
        super().__init__()
        self.config = config
        self.features = WaveformEncoder(config)
        kernel, groups = config.position_kernel, config.position_groups
        conv = nn.Conv1d(config.d_model, config.d_model, kernel, padding=kernel // 2, groups=groups)
        self.position_conv = nn.utils.parametrizations.weight_norm(conv, dim=2)
        self.norm = nn.LayerNorm(config.d_model, config.norm_eps)
        self.blocks = nn.ModuleList(PostNormBlock(config) for _ in range(config.num_layers))
        self.head = nn.Linear(config.d_model, config.vocab_size)

    def forward(self, waveform: Float[Tensor, "B samples"]) -> Float[Tensor, "B T V"]:
        """Logits; waveforms of one length, each with mean 0 and variance 1.

        Raises:
            ValueError: the waveforms are shorter than what one vector sees.
        """
        return self.head(self.states(waveform))

    def states(self, waveform: Float[Tensor, "B samples"]) -> Float[Tensor, "B T d"]:
        """What the head reads."""
        x = self.features(waveform)
        positions = F.gelu(self.position_conv(x.mT)[..., : x.shape[1]]).mT  # an even kernel gives one too many
        x = self.norm(x + positions)
        for block in self.blocks:
            x = block(x)
        return x


FEATURE_NAMES = {
    "feature_extractor.conv_layers.{}.conv": "features.convs.{}",
    "feature_extractor.conv_layers.{}.layer_norm": "features.norms.{}",
    "feature_projection.layer_norm": "features.norm",
    "feature_projection.projection": "features.projection",
    "masked_spec_embed": "",  # what pretraining puts in the place of masked vectors
    "encoder.layer_norm": "norm",
}
WEIGHT_NAMES = {  # transformers' -> ours
    **{f"wav2vec2.{theirs}": ours for theirs, ours in FEATURE_NAMES.items()},
    "wav2vec2.encoder.pos_conv_embed.conv": "position_conv",
    "wav2vec2.encoder.layers.{}.attention": "blocks.{}.attention",
    "wav2vec2.encoder.layers.{}.layer_norm": "blocks.{}.attention_norm",
    "wav2vec2.encoder.layers.{}.feed_forward.intermediate_dense": "blocks.{}.mlp.up_proj",
    "wav2vec2.encoder.layers.{}.feed_forward.output_dense": "blocks.{}.mlp.down_proj",
    "wav2vec2.encoder.layers.{}.final_layer_norm": "blocks.{}.mlp_norm",
    "lm_head": "head",
}


def shape_of(theirs: Any) -> dict[str, Any]:
    """What the configurations of wav2vec 2.0 and its conformer share, by our names."""
    return {
        "vocab_size": theirs.vocab_size,
        "d_model": theirs.hidden_size,
        "num_layers": theirs.num_hidden_layers,
        "num_heads": theirs.num_attention_heads,
        "d_ff": theirs.intermediate_size,
        "conv_widths": tuple(theirs.conv_dim),
        "conv_kernels": tuple(theirs.conv_kernel),
        "conv_strides": tuple(theirs.conv_stride),
        "conv_bias": theirs.conv_bias,
        "feature_norm": theirs.feat_extract_norm,
        "position_kernel": theirs.num_conv_pos_embeddings,
        "position_groups": theirs.num_conv_pos_embedding_groups,
        "norm_eps": theirs.layer_norm_eps,
    }


def from_wav2vec2(twin: "Wav2Vec2ForCTC") -> Wav2Vec2:
    """Copy a `transformers` recogniser into a `Wav2Vec2` that gives the same logits.

    Raises:
        ValueError: the configuration uses what our model does not have: the layer norms of LARGE stand before.
    """
    theirs: Any = twin.config
    if theirs.do_stable_layer_norm or theirs.add_adapter or theirs.hidden_act != "gelu":
        raise ValueError(f"do_stable_layer_norm {theirs.do_stable_layer_norm} must be false, hidden_act 'gelu'")
    model = Wav2Vec2(Wav2Vec2Config(**shape_of(theirs))).to(next(twin.parameters()).dtype)
    load_weights(model, renamed(twin.state_dict(), WEIGHT_NAMES))
    return model.eval()
