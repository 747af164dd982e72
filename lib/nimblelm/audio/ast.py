"""AST, the audio spectrogram transformer: a vision transformer whose picture is a log-mel spectrum."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nimblelm.nn.attend import Attend, full
from nimblelm.nn.checkpoint import load_weights
from nimblelm.nn.encoder_block import EncoderBlock
from nimblelm.nn.weight_names import renamed

if TYPE_CHECKING:
    from transformers import ASTForAudioClassification


@dataclass(frozen=True)
class ASTConfig:
    """Shape of the transformer and of the spectrum that it reads (Gong et al., 2021, arXiv:2104.01778, section 2).

    Raises:
        ValueError: a patch is larger than the spectrum, a stride is below 1, or norm_eps is negative or not finite.
    """

    num_classes: int
    d_model: int = 768
    num_layers: int = 12
    num_heads: int = 12
    d_ff: int = 3072
    num_mels: int = 128
    num_frames: int = 1024  # 10.24 s
    patch_size: int = 16  # 16 bands by 160 ms
    mel_stride: int = 10  # patches overlap by 6
    frame_stride: int = 10
    norm_eps: float = 1e-12

    def __post_init__(self):
        if not 1 <= self.patch_size <= min(self.num_mels, self.num_frames):
            raise ValueError(f"patch_size {self.patch_size} must fit {self.num_mels} bands by {self.num_frames} frames")
        if min(self.mel_stride, self.frame_stride) < 1 or not 0 <= self.norm_eps < math.inf:
            raise ValueError(f"strides must be 1 or more, norm_eps {self.norm_eps} 0 or more and finite")

    @property
    def grid(self) -> tuple[int, int]:
        """Patches along the bands and along time, 12 by 101 by default."""
        size = self.patch_size
        return (self.num_mels - size) // self.mel_stride + 1, (self.num_frames - size) // self.frame_stride + 1

    @property
    def num_patches(self) -> int:
        return self.grid[0] * self.grid[1]


class AST(nn.Module):
    """Classes of a sound from overlapping patches of its log-mel spectrum.

    z0 = [cls; dist; E patch + b] + pos;  z <- blocks(z);  y = W norm((norm z[cls] + norm z[dist]) / 2)
    (Gong et al., 2021, section 2.1: a vision transformer, DeiT's, with its class and its distillation token)

    Three stages: `embed`, `states` (or `layers`, all of them), `logits`. The twin is
    `transformers.ASTForAudioClassification`; `from_ast` loads its weights.

    Args:
        config: the shape.

    Chapter: book/ch15_sound_to_log_mel
    """

    config_class = ASTConfig

    def __init__(self, config: ASTConfig):
        super().__init__()
        self.config = config
        self.patches = nn.Conv2d(1, config.d_model, config.patch_size, (config.mel_stride, config.frame_stride))
        self.class_token = nn.Parameter(torch.zeros(1, 1, config.d_model))
        self.distillation_token = nn.Parameter(torch.zeros(1, 1, config.d_model))
        self.positions = nn.Parameter(0.02 * torch.randn(1, config.num_patches + 2, config.d_model))
        self.blocks = nn.ModuleList(
            EncoderBlock(config.d_model, config.num_heads, config.d_ff, config.norm_eps)
            for _ in range(config.num_layers)
        )
        self.norm = nn.LayerNorm(config.d_model, config.norm_eps)
        self.head_norm = nn.LayerNorm(config.d_model, config.norm_eps)
        self.head = nn.Linear(config.d_model, config.num_classes)

    def forward(self, mel: Float[Tensor, "B num_mels num_frames"], attend: Attend = full) -> Float[Tensor, "B classes"]:
        """Logits of the classes.

        Args:
            mel: normalised as in `nimblelm.audio.features.kaldi.ast_features`.
            attend: who sees whom; `recorded(maps)` leaves the attention maps behind.

        Raises:
            ValueError: the spectrum has another size than the positions.
        """
        return self.logits(self.states(self.embed(mel), attend))

    def embed(self, mel: Float[Tensor, "B num_mels num_frames"]) -> Float[Tensor, "B T d"]:
        """What the first block reads: two learned tokens and the patches, band by band, each with its position."""
        size = self.config.num_mels, self.config.num_frames
        if tuple(mel.shape[1:]) != size:
            raise ValueError(f"a spectrum of shape {tuple(mel.shape)}: {size[0]} bands and {size[1]} frames are needed")
        patches = self.patches(mel[:, None]).flatten(2).mT  # (B, num_patches, d)
        tokens = torch.cat([self.class_token, self.distillation_token], dim=1).expand(len(mel), -1, -1)
        return torch.cat([tokens, patches], dim=1) + self.positions

    def layers(self, x: Float[Tensor, "B T d"], attend: Attend = full) -> Iterator[Float[Tensor, "B T d"]]:
        """The input of the first block, then what each block gives."""
        yield x
        for block in self.blocks:
            x = block(x, attend)
            yield x

    def states(self, x: Float[Tensor, "B T d"], attend: Attend = full) -> Float[Tensor, "B T d"]:
        """What the last block gives, normalised."""
        for block in self.blocks:
            x = block(x, attend)
        return self.norm(x)

    def logits(self, states: Float[Tensor, "B T d"]) -> Float[Tensor, "B classes"]:
        """The head on the mean of the class and the distillation token."""
        return self.head(self.head_norm(states[:, :2].mean(1)))


TRUNK = "audio_spectrogram_transformer"
LAYER, SAVED_LAYER = f"{TRUNK}.layers.{{}}", f"{TRUNK}.encoder.layer.{{}}"
WEIGHT_NAMES = {  # theirs, in the model and in the file that they save -> ours
    f"{TRUNK}.embeddings.cls_token": "class_token",
    f"{TRUNK}.embeddings.distillation_token": "distillation_token",
    f"{TRUNK}.embeddings.position_embeddings": "positions",
    f"{TRUNK}.embeddings.patch_embeddings.projection": "patches",
    **{f"{LAYER}.attention.{p}_proj": f"blocks.{{}}.attention.{p}_proj" for p in "qkv"},
    **{
        f"{SAVED_LAYER}.attention.attention.{p}": f"blocks.{{}}.attention.{p[0]}_proj"
        for p in ("query", "key", "value")
    },
    f"{LAYER}.attention.o_proj": "blocks.{}.attention.out_proj",
    f"{SAVED_LAYER}.attention.output.dense": "blocks.{}.attention.out_proj",
    f"{LAYER}.mlp.fc1": "blocks.{}.mlp.up_proj",
    f"{SAVED_LAYER}.intermediate.dense": "blocks.{}.mlp.up_proj",
    f"{LAYER}.mlp.fc2": "blocks.{}.mlp.down_proj",
    f"{SAVED_LAYER}.output.dense": "blocks.{}.mlp.down_proj",
    **{f"{layer}.layernorm_before": "blocks.{}.attention_norm" for layer in (LAYER, SAVED_LAYER)},
    **{f"{layer}.layernorm_after": "blocks.{}.mlp_norm" for layer in (LAYER, SAVED_LAYER)},
    f"{TRUNK}.layernorm": "norm",
    "classifier.layernorm": "head_norm",
    "classifier.dense": "head",
}


def from_ast(twin: "ASTForAudioClassification") -> AST:
    """The same model as a `transformers.ASTForAudioClassification`, in its dtype and evaluation mode.

    Raises:
        ValueError: it has another activation than GELU, or projections without bias.
    """
    theirs: Any = twin.config
    if theirs.hidden_act != "gelu" or not theirs.qkv_bias:
        raise ValueError(f"hidden_act {theirs.hidden_act!r} must be 'gelu', qkv_bias {theirs.qkv_bias} True")
    config = ASTConfig(
        num_classes=theirs.num_labels,
        d_model=theirs.hidden_size,
        num_layers=theirs.num_hidden_layers,
        num_heads=theirs.num_attention_heads,
        d_ff=theirs.intermediate_size,
        num_mels=theirs.num_mel_bins,
        num_frames=theirs.max_length,
        patch_size=theirs.patch_size,
        mel_stride=theirs.frequency_stride,
        frame_stride=theirs.time_stride,
        norm_eps=theirs.layer_norm_eps,
    )
    model = AST(config).to(next(twin.parameters()).dtype)
    load_weights(model, renamed(twin.state_dict(), WEIGHT_NAMES))
    return model.eval()
