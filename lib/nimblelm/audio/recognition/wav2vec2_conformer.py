"""wav2vec 2.0 with conformer blocks and relative positions: the front end of one paper, the encoder of another."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jaxtyping import Float
from torch import Tensor, nn

from nimblelm.audio.recognition.conformer import ConformerBlock, RelativePositions
from nimblelm.audio.recognition.wav2vec2 import FEATURE_NAMES, Wav2Vec2Config, WaveformEncoder, shape_of
from nimblelm.nn.attend import full
from nimblelm.nn.checkpoint import load_weights
from nimblelm.nn.weight_names import renamed

if TYPE_CHECKING:
    from transformers import Wav2Vec2ConformerForCTC


@dataclass(frozen=True)
class Wav2Vec2ConformerConfig(Wav2Vec2Config):
    """Shape; the convolution that tells positions has no part in it.

    Raises:
        ValueError: as `Wav2Vec2Config`.
    """

    kernel_size: int = 31  # of each block's depthwise convolution
    relative: bool = True  # whether attention knows distances


class Wav2Vec2Conformer(nn.Module):
    """Logits of CTC's labels for every 20 ms of a waveform.

    The twin is `transformers.Wav2Vec2ConformerForCTC`; `from_wav2vec2_conformer` loads its weights.

    Args:
        config: the shape.

    Chapter: book/ch16_speech_recognition
    """

    config_class = Wav2Vec2ConformerConfig

    def __init__(self, config: Wav2Vec2ConformerConfig):
        super().__init__()
        self.config = config
        self.features = WaveformEncoder(config)
        shape = (config.d_model, config.num_heads, config.d_ff, config.kernel_size)
        self.blocks = nn.ModuleList(ConformerBlock(*shape) for _ in range(config.num_layers))
        self.positions = nn.ModuleList(
            RelativePositions(config.d_model, config.num_heads)
            for _ in range(config.num_layers if config.relative else 0)
        )
        self.norm = nn.LayerNorm(config.d_model, config.norm_eps)
        self.head = nn.Linear(config.d_model, config.vocab_size)

    def forward(self, waveform: Float[Tensor, "B samples"]) -> Float[Tensor, "B T V"]:
        """Logits; waveforms of one length.

        Raises:
            ValueError: the waveforms are shorter than what one vector sees.
        """
        x = self.features(waveform)
        for i, block in enumerate(self.blocks):
            positions = self.positions[i] if self.config.relative else None
            x = block(x, positions.attend() if isinstance(positions, RelativePositions) else full)
        return self.head(self.norm(x))


def _block_names() -> dict[str, str]:
    layer, ours = "wav2vec2_conformer.encoder.layers.{}", "blocks.{}"
    names = {f"{layer}.ffn{i}_layer_norm": f"{ours}.norm_{i}" for i in (1, 2)}
    names |= {f"{layer}.ffn{i}.intermediate_dense": f"{ours}.mlp_{i}.up_proj" for i in (1, 2)}
    names |= {f"{layer}.ffn{i}.output_dense": f"{ours}.mlp_{i}.down_proj" for i in (1, 2)}
    names |= {f"{layer}.self_attn.linear_{x}": f"{ours}.attention.{x}_proj" for x in "qkv"}
    return names | {
        f"{layer}.self_attn_layer_norm": f"{ours}.attention_norm",
        f"{layer}.self_attn.linear_out": f"{ours}.attention.out_proj",
        f"{layer}.self_attn.linear_pos": "positions.{}.projection",
        f"{layer}.self_attn.pos_bias_u": "positions.{}.content_bias",
        f"{layer}.self_attn.pos_bias_v": "positions.{}.position_bias",
        f"{layer}.conv_module.layer_norm": f"{ours}.convolution.norm",
        f"{layer}.conv_module.pointwise_conv1": f"{ours}.convolution.pointwise_in",
        f"{layer}.conv_module.depthwise_conv": f"{ours}.convolution.depthwise",
        f"{layer}.conv_module.batch_norm": f"{ours}.convolution.batch_norm",
        f"{layer}.conv_module.pointwise_conv2": f"{ours}.convolution.pointwise_out",
        f"{layer}.final_layer_norm": f"{ours}.final_norm",
    }


WEIGHT_NAMES = {  # transformers' -> ours
    **{f"wav2vec2_conformer.{theirs}": ours for theirs, ours in FEATURE_NAMES.items()},
    "wav2vec2_conformer.encoder.pos_conv_embed.conv": "",  # the published code makes it and never calls it
    **_block_names(),
    "lm_head": "head",
}


def from_wav2vec2_conformer(twin: "Wav2Vec2ConformerForCTC") -> Wav2Vec2Conformer:
    """Copy a `transformers` recogniser into a `Wav2Vec2Conformer` that gives the same logits.

    Raises:
        ValueError: the configuration uses what our model does not have: rotary positions, an adapter, another
            activation than Swish.
    """
    theirs: Any = twin.config
    if theirs.position_embeddings_type not in ("relative", None) or theirs.add_adapter or theirs.hidden_act != "swish":
        raise ValueError(
            f"position_embeddings_type {theirs.position_embeddings_type!r} must be 'relative' or None, hidden_act "
            f"{theirs.hidden_act!r} 'swish'"
        )
    config = Wav2Vec2ConformerConfig(
        **shape_of(theirs),
        kernel_size=theirs.conv_depthwise_kernel_size,
        relative=theirs.position_embeddings_type is not None,
    )
    model = Wav2Vec2Conformer(config).to(next(twin.parameters()).dtype)
    load_weights(model, renamed(twin.state_dict(), WEIGHT_NAMES))
    return model.eval()
