"""The vision transformer: an image as a sequence of patches, read by a pre-norm encoder."""

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
from nimblelm.nn.patches import grid_of, interpolate_positions, patchify
from nimblelm.nn.weight_names import renamed

if TYPE_CHECKING:
    from transformers import ViTForImageClassification


@dataclass(frozen=True)
class ViTConfig:
    """Shape of a vision transformer (Dosovitskiy et al., 2021, arXiv:2010.11929, table 1).

    Raises:
        ValueError: the patches do not divide the image, or norm_eps is negative or not finite.
    """

    image_size: int = 224  # pixels on a side; positions are learned for this size
    patch_size: int = 16  # pixels on a side
    num_channels: int = 3
    d_model: int = 768  # width of the residual stream
    num_layers: int = 12
    num_heads: int = 12
    d_ff: int = 3072  # hidden width of the feed-forward layer
    num_classes: int = 1000
    norm_eps: float = 1e-12  # the twin's; the authors' code uses 1e-6

    def __post_init__(self):
        grid_of(self.image_size, self.image_size, self.patch_size)
        if not 0 <= self.norm_eps < math.inf:
            raise ValueError(f"norm_eps {self.norm_eps} must be 0 or more and finite")

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches that positions are learned for."""
        return grid_of(self.image_size, self.image_size, self.patch_size)

    @classmethod
    def base(cls) -> "ViTConfig":
        """ViT-B/16 (table 1)."""
        return cls()

    @classmethod
    def large(cls) -> "ViTConfig":
        """ViT-L/16 (table 1)."""
        return cls(d_model=1024, num_layers=24, num_heads=16, d_ff=4096)

    @classmethod
    def huge(cls) -> "ViTConfig":
        """ViT-H/14 (table 1)."""
        return cls(patch_size=14, d_model=1280, num_layers=32, num_heads=16, d_ff=5120)


class ViT(nn.Module):
    """Logits of an image's classes, read off a class token that stands before the patches.

    z_0 = [x_class; f(p_1) E; ...; f(p_N) E] + E_pos, y = LN(z_L^0)      (Dosovitskiy et al., 2021, arXiv:2010.11929,
    eqs. 1 and 4; E has a bias).

    Three stages: `embed`, `states` (or `layers`, all of them), `head`. Images of another size than config.image_size
    have their positions interpolated.

    The twin is `transformers.ViTForImageClassification`; `from_vit` loads its weights.

    Args:
        config: the shape.

    Chapter: book/ch08_vision_transformer
    """

    config_class = ViTConfig

    def __init__(self, config: ViTConfig):
        super().__init__()
        self.config = config
        rows, columns = config.grid
        self.patch_embedding = nn.Linear(config.patch_size**2 * config.num_channels, config.d_model)
        self.class_token = nn.Parameter(torch.zeros(config.d_model))
        self.positions = nn.Parameter(0.02 * torch.randn(1 + rows * columns, config.d_model))
        self.blocks = nn.ModuleList(
            EncoderBlock(config.d_model, config.num_heads, config.d_ff, config.norm_eps)
            for _ in range(config.num_layers)
        )
        self.norm = nn.LayerNorm(config.d_model, config.norm_eps)
        self.classifier = nn.Linear(config.d_model, config.num_classes)
        self.apply(self._init_weights)

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
            nn.init.zeros_(module.bias)

    def forward(self, images: Float[Tensor, "B C height width"], attend: Attend = full) -> Float[Tensor, "B classes"]:
        """Logits of each image's classes.

        Args:
            images: normalised pixels.
            attend: who sees whom; `recorded(maps)` leaves the attention maps behind.

        Raises:
            ValueError: the channels are not the model's, or the image is not divisible into patches.
        """
        return self.head(self.states(self.embed(images), attend))

    def embed(self, images: Float[Tensor, "B C height width"]) -> Float[Tensor, "B T d"]:
        """What the first block reads: the class token and the projected patches, each with its position."""
        if images.shape[1] != self.config.num_channels:
            raise ValueError(f"images of {images.shape[1]} channels, the model reads {self.config.num_channels}")
        grid = grid_of(images.shape[2], images.shape[3], self.config.patch_size)
        patches = self.patch_embedding(patchify(images, self.config.patch_size))  # (B, N, d)
        tokens = torch.cat([self.class_token.to(patches.dtype).expand(len(patches), 1, -1), patches], dim=1)
        return tokens + interpolate_positions(self.positions, self.config.grid, grid)

    def states(self, x: Float[Tensor, "B T d"], attend: Attend = full) -> Float[Tensor, "B T d"]:
        """The last block's output, not yet normalised."""
        for layer in self.layers(x, attend):
            x = layer
        return x

    def layers(self, x: Float[Tensor, "B T d"], attend: Attend = full) -> Iterator[Float[Tensor, "B T d"]]:
        """The embeddings, then each block's output: num_layers + 1 states."""
        yield x
        for block in self.blocks:
            x = block(x, attend)
            yield x

    def head(self, states: Float[Tensor, "B T d"]) -> Float[Tensor, "B classes"]:
        """Logits from the class token's last state."""
        return self.classifier(self.norm(states[:, 0]))


_BLOCK_NAMES = {  # parts of a block that transformers has under one name only
    "layernorm_before": "attention_norm",
    "layernorm_after": "mlp_norm",
}
WEIGHT_NAMES = {  # transformers' -> ours, in memory and, where they differ, as saved files have them
    "vit.embeddings.cls_token": "class_token",
    "vit.embeddings.position_embeddings": "positions",
    "vit.embeddings.patch_embeddings.projection": "patch_embedding",
    **{f"vit.layers.{{}}.{theirs}": f"blocks.{{}}.{ours}" for theirs, ours in _BLOCK_NAMES.items()},
    **{f"vit.layers.{{}}.attention.{part}_proj": f"blocks.{{}}.attention.{part}_proj" for part in "qkv"},
    "vit.layers.{}.attention.o_proj": "blocks.{}.attention.out_proj",
    "vit.layers.{}.mlp.fc1": "blocks.{}.mlp.up_proj",
    "vit.layers.{}.mlp.fc2": "blocks.{}.mlp.down_proj",
    **{f"vit.encoder.layer.{{}}.{theirs}": f"blocks.{{}}.{ours}" for theirs, ours in _BLOCK_NAMES.items()},
    "vit.encoder.layer.{}.attention.attention.query": "blocks.{}.attention.q_proj",
    "vit.encoder.layer.{}.attention.attention.key": "blocks.{}.attention.k_proj",
    "vit.encoder.layer.{}.attention.attention.value": "blocks.{}.attention.v_proj",
    "vit.encoder.layer.{}.attention.output.dense": "blocks.{}.attention.out_proj",
    "vit.encoder.layer.{}.intermediate.dense": "blocks.{}.mlp.up_proj",
    "vit.encoder.layer.{}.output.dense": "blocks.{}.mlp.down_proj",
    "vit.layernorm": "norm",
    "classifier": "classifier",
}


def weights_from_vit(theirs: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a `transformers` ViT, in memory or from a saved file, under our names.

    Their patch projection is a convolution (d, C, P, P); ours is a matrix whose columns go pixel by pixel.
    """
    ours = renamed(theirs, WEIGHT_NAMES)
    ours["patch_embedding.weight"] = ours["patch_embedding.weight"].permute(0, 2, 3, 1).flatten(1)
    return ours | {"class_token": ours["class_token"].flatten(), "positions": ours["positions"][0]}


def from_vit(twin: "ViTForImageClassification") -> ViT:
    """Copy a `transformers` vision transformer into a `ViT` that gives the same logits.

    Args:
        twin: any `ViTForImageClassification`, random or pretrained.

    Returns:
        The same model, in evaluation mode, in the dtype of its weights.

    Raises:
        ValueError: the configuration uses what our model does not have.
    """
    theirs: Any = twin.config
    if theirs.hidden_act != "gelu" or not theirs.qkv_bias:
        raise ValueError(f"hidden_act {theirs.hidden_act!r} must be 'gelu', qkv_bias {theirs.qkv_bias} must be True")
    if not isinstance(theirs.image_size, int) or not isinstance(theirs.patch_size, int):
        raise ValueError(f"image_size {theirs.image_size} and patch_size {theirs.patch_size} must be of squares")
    config = ViTConfig(
        image_size=theirs.image_size,
        patch_size=theirs.patch_size,
        num_channels=theirs.num_channels,
        d_model=theirs.hidden_size,
        num_layers=theirs.num_hidden_layers,
        num_heads=theirs.num_attention_heads,
        d_ff=theirs.intermediate_size,
        num_classes=theirs.num_labels,
        norm_eps=theirs.layer_norm_eps,
    )
    model = ViT(config).to(next(twin.parameters()).dtype)
    load_weights(model, weights_from_vit(twin.state_dict()))
    return model.eval()
