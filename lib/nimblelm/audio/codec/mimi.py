"""Mimi: a codec at 12.5 frames a second whose first codebook says what is spoken, the others how it sounds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from nimblelm.audio.codec.bottleneck_transformer import BottleneckConfig, BottleneckTransformer
from nimblelm.audio.codec.causal_conv import CausalConv1d, CausalConvTranspose1d, Stream
from nimblelm.audio.codec.encodec import seanet_config
from nimblelm.audio.codec.residual_vq import ResidualVQ, bit_rate_bps
from nimblelm.audio.codec.seanet import SEANetConfig, SEANetDecoder, SEANetEncoder
from nimblelm.audio.codec.seanet_names import folded, seanet_names
from nimblelm.nn.checkpoint import load_weights
from nimblelm.nn.weight_names import renamed

if TYPE_CHECKING:
    from transformers import MimiModel

MIMI_SEANET = SEANetConfig(
    1, 64, (8, 6, 5, 4), 512, last_kernel_size=3, num_lstm_layers=0, conv_shortcut=False, pad_mode="constant"
)


@dataclass(frozen=True)
class MimiConfig:
    """Shape of Mimi; the defaults are the published model's (Defossez et al., 2024, arXiv:2410.00037, section 3.3).

    Raises:
        ValueError: no semantic codebook or no acoustic one, or a transformer of another width than the latents.
    """

    seanet: SEANetConfig = MIMI_SEANET
    transformer: BottleneckConfig = field(default_factory=BottleneckConfig)
    d_code: int = 256
    num_codebooks: int = 32  # trained; Moshi uses the first 8
    num_semantic: int = 1
    codebook_size: int = 2048
    upsample_groups: int = 512
    sample_rate_hz: int = 24_000

    def __post_init__(self):
        if not 1 <= self.num_semantic < self.num_codebooks or self.transformer.d_model != self.seanet.d_latent:
            raise ValueError(
                f"num_semantic {self.num_semantic} of {self.num_codebooks} codebooks: 1 or more, not all; "
                f"d_model {self.transformer.d_model} must be d_latent {self.seanet.d_latent}"
            )

    @property
    def hop_length(self) -> int:
        """Samples in a frame of codes, 1920 by default: twice the convolutions'."""
        return 2 * self.seanet.hop_length

    @property
    def frames_per_s(self) -> float:
        return self.sample_rate_hz / self.hop_length


class ProjectedVQ(nn.Module):
    """A residual quantizer in a narrower space, with a projection there and one back."""

    def __init__(self, d_latent: int, d_code: int, num_codebooks: int, codebook_size: int):
        super().__init__()
        same = d_latent == d_code
        self.input_proj = nn.Identity() if same else nn.Conv1d(d_latent, d_code, 1, bias=False)
        self.quantizer = ResidualVQ(num_codebooks, codebook_size, d_code)
        self.output_proj = nn.Identity() if same else nn.Conv1d(d_code, d_latent, 1, bias=False)

    def encode(self, x: Float[Tensor, "B D T"], num_codebooks: int | None = None) -> Int[Tensor, "B K T"]:
        return self.quantizer.encode(self.input_proj(x), num_codebooks)

    def decode(self, codes: Int[Tensor, "B K T"]) -> Float[Tensor, "B D T"]:
        return self.output_proj(self.quantizer.decode(codes))


class SplitVQ(nn.Module):
    """A semantic quantizer beside a residual acoustic one: both read the same latents, and what they decode is added.

    Were the semantic book the first of one residual chain, the others would have to repair what distillation bent in
    it; side by side it owes them nothing (Defossez et al., 2024, section 3.3.3).

    Args:
        config: of the codec.

    Chapter: book/ch19_audio_codecs
    """

    def __init__(self, config: MimiConfig):
        super().__init__()
        self.num_semantic = config.num_semantic
        shape = config.seanet.d_latent, config.d_code
        self.semantic = ProjectedVQ(*shape, config.num_semantic, config.codebook_size)
        self.acoustic = ProjectedVQ(*shape, config.num_codebooks - config.num_semantic, config.codebook_size)

    def encode(self, x: Float[Tensor, "B D T"], num_codebooks: int | None = None) -> Int[Tensor, "B K T"]:
        """Semantic codes, then acoustic ones.

        Raises:
            ValueError: fewer codebooks than are semantic, or more than there are.
        """
        if num_codebooks is None:
            return torch.cat([self.semantic.encode(x), self.acoustic.encode(x)], dim=1)
        if num_codebooks < self.num_semantic:
            raise ValueError(f"{num_codebooks} codebooks: {self.num_semantic} are semantic and always sent")
        semantic = self.semantic.encode(x)
        if num_codebooks == self.num_semantic:
            return semantic
        return torch.cat([semantic, self.acoustic.encode(x, num_codebooks - self.num_semantic)], dim=1)

    def decode(self, codes: Int[Tensor, "B K T"]) -> Float[Tensor, "B D T"]:
        """The sum of what both decode."""
        latents = self.semantic.decode(codes[:, : self.num_semantic])
        acoustic = codes[:, self.num_semantic :]
        return latents + self.acoustic.decode(acoustic) if acoustic.shape[1] else latents


class Mimi(nn.Module):
    """SEANet, a transformer at 25 Hz, a stride of 2, codes at 12.5 Hz, and all of it backwards; causal throughout.

    (Defossez et al., 2024, section 3.3, figure 2)

    The twin is `transformers.MimiModel`; `from_mimi` loads its weights.

    Args:
        config: the shape.

    Chapter: book/ch19_audio_codecs
    """

    config_class = MimiConfig

    def __init__(self, config: MimiConfig):
        super().__init__()
        self.config = config
        width = config.seanet.d_latent
        self.encoder = SEANetEncoder(config.seanet)
        self.encoder_transformer = BottleneckTransformer(config.transformer)
        self.downsample = CausalConv1d(width, width, 4, 2, bias=False, pad_mode="replicate")
        self.quantizer = SplitVQ(config)
        self.upsample = CausalConvTranspose1d(width, width, 4, 2, groups=config.upsample_groups, bias=False)
        self.decoder_transformer = BottleneckTransformer(config.transformer)
        self.decoder = SEANetDecoder(config.seanet)

    def latents(
        self, waveform: Float[Tensor, "B C samples"], stream: Stream | None = None
    ) -> Float[Tensor, "B D frames"]:
        """What is quantized, 12.5 frames a second."""
        return self.downsample(self.encoder_transformer(self.encoder(waveform, stream), stream), stream)

    @torch.inference_mode()
    def encode(
        self, waveform: Float[Tensor, "B C samples"], num_codebooks: int | None = None, stream: Stream | None = None
    ) -> Int[Tensor, "B K T"]:
        """Codes; row 0 is the semantic book.

        Args:
            waveform: at 24 kHz, within -1 and 1.
            num_codebooks: how many codebooks, 8 in Moshi; all without.
            stream: of the chunks before; a chunk holds whole frames, 80 ms each.

        Raises:
            ValueError: other channels than the model's, no samples, too many or too few codebooks, or in a stream a
                chunk that is not whole frames.
        """
        channels, length = self.config.seanet.channels, waveform.shape[-1]
        if waveform.shape[1] != channels or not length:
            raise ValueError(f"a waveform of shape {tuple(waveform.shape)}: {channels} channel(s), 1 sample or more")
        if stream is not None and length % self.config.hop_length:
            raise ValueError(f"a chunk of {length} samples is not a multiple of {self.config.hop_length}, a frame's")
        return self.quantizer.encode(self.latents(waveform, stream), num_codebooks)

    @torch.inference_mode()
    def decode(self, codes: Int[Tensor, "B K T"], stream: Stream | None = None) -> Float[Tensor, "B C samples"]:
        """The waveform of codes, semantic book first.

        Raises:
            ValueError: more rows than codebooks, or a code out of range.
        """
        frames = self.upsample(self.quantizer.decode(codes), stream)
        return self.decoder(self.decoder_transformer(frames, stream), stream)

    def bit_rate_bps(self, num_codebooks: int) -> float:
        """Bits a second of so many codebooks' codes: 1.1 kbit/s for 8."""
        return bit_rate_bps(num_codebooks, self.config.codebook_size, self.config.frames_per_s)


LAYER, BLOCK = "{}_transformer.layers.{{}}", "{}_transformer.blocks.{{}}"
ATTENTION = {"q_proj": "q_proj", "k_proj": "k_proj", "v_proj": "v_proj", "o_proj": "out_proj"}
VQ = "quantizer.{}_residual_vector_quantizer"


def _names(side: str, kind: str) -> dict[str, str]:
    """Rules for one transformer and one quantizer: theirs -> ours."""
    theirs, ours = LAYER.format(side), BLOCK.format(side)
    return {
        **{f"{theirs}.self_attn.{a}": f"{ours}.attention.{b}" for a, b in ATTENTION.items()},
        f"{theirs}.mlp.fc1": f"{ours}.mlp.up_proj",
        f"{theirs}.mlp.fc2": f"{ours}.mlp.down_proj",
        f"{theirs}.input_layernorm": f"{ours}.attention_norm",
        f"{theirs}.post_attention_layernorm": f"{ours}.mlp_norm",
        f"{theirs}.self_attn_layer_scale.scale": f"{ours}.attention_scale",
        f"{theirs}.mlp_layer_scale.scale": f"{ours}.mlp_scale",
        f"{VQ.format(kind)}.layers.{{}}.codebook.vectors": f"quantizer.{kind}.quantizer.codebooks.{{}}.vectors",
        f"{VQ.format(kind)}.layers.{{}}.codebook.initialized": "",
        f"{VQ.format(kind)}.input_proj": f"quantizer.{kind}.input_proj",
        f"{VQ.format(kind)}.output_proj": f"quantizer.{kind}.output_proj",
    }


def divided(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Codebooks as vectors: Mimi's files hold running sums and running counts, of which they are the quotients."""
    total, count = ".codebook.embed_sum", ".codebook.cluster_usage"
    found = {name: weight for name, weight in weights.items() if not name.endswith((total, count))}
    for name in [name for name in weights if name.endswith(total)]:
        stem = name.removesuffix(total)
        found[f"{stem}.codebook.vectors"] = weights[name] / weights[stem + count].clamp(min=1e-5)[:, None]
    return found


def from_mimi(twin: "MimiModel") -> Mimi:
    """The same codec as a `transformers.MimiModel`, in its dtype and evaluation mode.

    Raises:
        ValueError: it is not causal, has no stride of 2 behind its transformer, another activation than GELU, or biases
            in attention.
    """
    theirs: Any = twin.config
    if theirs.encodec_frame_rate != 2 * theirs.frame_rate or not theirs.use_causal_conv:
        raise ValueError(f"frame_rate {theirs.frame_rate} must be half of {theirs.encodec_frame_rate}, and it causal")
    if theirs.hidden_act != "gelu" or theirs.attention_bias or theirs.trim_right_ratio != 1.0:
        raise ValueError(
            f"hidden_act {theirs.hidden_act!r} must be 'gelu', attention_bias {theirs.attention_bias} False, "
            f"trim_right_ratio {theirs.trim_right_ratio} 1.0"
        )
    transformer = BottleneckConfig(
        d_model=theirs.hidden_size,
        num_layers=theirs.num_hidden_layers,
        num_heads=theirs.num_attention_heads,
        num_kv_heads=theirs.num_key_value_heads,
        head_dim=theirs.head_dim,
        d_ff=theirs.intermediate_size,
        window=theirs.sliding_window,
        rope_base=theirs.rope_parameters["rope_theta"],
        norm_eps=theirs.norm_eps,
    )
    config = MimiConfig(
        seanet=seanet_config(theirs, num_lstm_layers=0),
        transformer=transformer,
        d_code=theirs.vector_quantization_hidden_dimension,
        num_codebooks=theirs.num_quantizers,
        num_semantic=theirs.num_semantic_quantizers,
        codebook_size=theirs.codebook_size,
        upsample_groups=theirs.upsample_groups,
        sample_rate_hz=theirs.sampling_rate,
    )
    model = Mimi(config).to(next(twin.parameters()).dtype)
    rules = seanet_names(model) | _names("encoder", "semantic") | _names("decoder", "acoustic")
    rules |= {"downsample": "downsample", "upsample": "upsample"}
    load_weights(model, renamed(divided(folded(twin.state_dict())), rules))
    return model.eval()
