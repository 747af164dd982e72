"""SigLIP: CLIP's two encoders for a sigmoid loss, with attention that pools the patches."""

import math
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from nimblelm.nn.attend import Attend, full
from nimblelm.nn.attention import Attention
from nimblelm.nn.checkpoint import load_weights
from nimblelm.nn.mlp import MLP
from nimblelm.nn.patches import grid_of, patchify
from nimblelm.nn.weight_names import renamed
from nimblelm.vision.clip import TowerConfig, encoder_blocks, tower_names, tower_of

if TYPE_CHECKING:
    from transformers import SiglipModel

TANH_GELU = partial(F.gelu, approximate="tanh")


@dataclass(frozen=True)
class SigLIPConfig:
    """Shape of both encoders; the defaults are B/16 at 224 (Zhai et al., 2023, arXiv:2303.15343).

    Raises:
        ValueError: the patches do not divide the image, the towers' widths differ, or norm_eps is negative or not
            finite.
    """

    image: TowerConfig = field(default_factory=lambda: TowerConfig(768, 12, 12, 3072))
    text: TowerConfig = field(default_factory=lambda: TowerConfig(768, 12, 12, 3072))
    image_size: int = 224  # pixels on a side
    patch_size: int = 16
    vocab_size: int = 32000
    max_seq_len: int = 64  # shorter texts are padded to it, and padding is seen
    norm_eps: float = 1e-6

    def __post_init__(self):
        grid_of(self.image_size, self.image_size, self.patch_size)
        if self.image.d_model != self.text.d_model:
            raise ValueError(f"widths {self.image.d_model} and {self.text.d_model} must be the same: nothing projects")
        if not 0 <= self.norm_eps < math.inf:
            raise ValueError(f"norm_eps {self.norm_eps} must be 0 or more and finite")


class AttentionPool(nn.Module):
    """One learned query gathers all patches, then an MLP with a residual (Zhai et al., 2022, arXiv:2106.04560,
    section 3.2).
    """

    def __init__(self, config: SigLIPConfig):
        super().__init__()
        tower = config.image
        self.query = nn.Parameter(0.02 * torch.randn(tower.d_model))
        self.attention = Attention(tower.d_model, tower.num_heads, bias="qkvo")
        self.norm = nn.LayerNorm(tower.d_model, config.norm_eps)
        self.mlp = MLP(tower.d_model, tower.d_ff, TANH_GELU)

    def forward(self, x: Float[Tensor, "B T d"]) -> Float[Tensor, "B d"]:
        pooled = self.attention(self.query.to(x.dtype).expand(len(x), 1, -1), full, context=x)[:, 0]
        return pooled + self.mlp(self.norm(pooled))


class SigLIP(nn.Module):
    """Images and texts in one space, trained by `siglip_loss` (Zhai et al., 2023, arXiv:2303.15343).

    The image tower has no class token, the text tower sees both ways and is read at its last position.

    The twin is `transformers.SiglipModel`; `from_siglip` loads its weights.

    Args:
        config: the shape.

    Chapter: book/ch09_contrastive_learning
    """

    config_class = SigLIPConfig

    def __init__(self, config: SigLIPConfig):
        super().__init__()
        self.config, width, eps = config, config.image.d_model, config.norm_eps
        rows, columns = grid_of(config.image_size, config.image_size, config.patch_size)
        self.patch_embedding = nn.Linear(3 * config.patch_size**2, width)
        self.image_positions = nn.Parameter(0.02 * torch.randn(rows * columns, width))
        self.image_tower = nn.ModuleDict({"blocks": encoder_blocks(config.image, eps, TANH_GELU)})
        self.image_norm = nn.LayerNorm(width, eps)
        self.pool = AttentionPool(config)
        self.embedding = nn.Embedding(config.vocab_size, width)
        self.text_positions = nn.Parameter(0.02 * torch.randn(config.max_seq_len, width))
        self.text_tower = nn.ModuleDict({"blocks": encoder_blocks(config.text, eps, TANH_GELU)})
        self.text_norm = nn.LayerNorm(width, eps)
        self.text_head = nn.Linear(width, width)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(10.0)))
        self.logit_bias = nn.Parameter(torch.tensor(-10.0))

    def forward(self, images: Float[Tensor, "B 3 height width"], tokens: Int[Tensor, "N T"]) -> Float[Tensor, "B N"]:
        """Logits of whether image and text belong together; their sigmoid is a probability for each pair.

        Args:
            images: normalised pixels.
            tokens: token ids, padded to max_seq_len by the tokenizer.

        Raises:
            ValueError: the images are of another size than the positions, or the texts are too long.
        """
        cosines = self.image_features(images) @ self.text_features(tokens).T
        return self.logit_scale.exp() * cosines + self.logit_bias

    def image_features(self, images: Float[Tensor, "B 3 height width"], attend: Attend = full) -> Float[Tensor, "B d"]:
        """Embeddings of length 1."""
        size = self.config.image_size
        if images.shape[1:] != (3, size, size):
            raise ValueError(f"images {tuple(images.shape)}, (B, 3, {size}, {size}) is needed")
        x = self.patch_embedding(patchify(images, self.config.patch_size)) + self.image_positions
        for block in self.image_tower["blocks"]:  # pyright: ignore[reportGeneralTypeIssues]
            x = block(x, attend)
        return F.normalize(self.pool(self.image_norm(x)), dim=1)

    def text_features(self, tokens: Int[Tensor, "B T"], attend: Attend = full) -> Float[Tensor, "B d"]:
        """Embeddings of length 1."""
        if tokens.shape[1] > self.config.max_seq_len:
            raise ValueError(f"{tokens.shape[1]} tokens, the limit is {self.config.max_seq_len}")
        x = self.embedding(tokens) + self.text_positions[: tokens.shape[1]]
        for block in self.text_tower["blocks"]:  # pyright: ignore[reportGeneralTypeIssues]
            x = block(x, attend)
        return F.normalize(self.text_head(self.text_norm(x[:, -1])), dim=1)


_POOL = "vision_model.head"
WEIGHT_NAMES = {  # transformers' -> ours
    "vision_model.embeddings.patch_embedding": "patch_embedding",
    "vision_model.embeddings.position_embedding.weight": "image_positions",
    "vision_model.post_layernorm": "image_norm",
    f"{_POOL}.probe": "pool.query",
    **{
        f"{_POOL}.attention.in_proj_{kind}": " + ".join(f"pool.attention.{part}_proj.{kind}" for part in "qkv")
        for kind in ("weight", "bias")
    },
    f"{_POOL}.attention.out_proj": "pool.attention.out_proj",
    f"{_POOL}.layernorm": "pool.norm",
    f"{_POOL}.mlp.fc1": "pool.mlp.up_proj",
    f"{_POOL}.mlp.fc2": "pool.mlp.down_proj",
    "text_model.embeddings.token_embedding": "embedding",
    "text_model.embeddings.position_embedding.weight": "text_positions",
    "text_model.final_layer_norm": "text_norm",
    "text_model.head": "text_head",
    **tower_names("vision_model", "image_tower"),
    **tower_names("text_model", "text_tower"),
    "logit_scale": "logit_scale",
    "logit_bias": "logit_bias",
}


def weights_from_siglip(theirs: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a `transformers` SigLIP, in memory or from a saved file, under our names."""
    ours = renamed(theirs, WEIGHT_NAMES)
    patches = ours["patch_embedding.weight"].permute(0, 2, 3, 1).flatten(1)
    scalars = {name: ours[name].squeeze() for name in ("logit_scale", "logit_bias")}
    return ours | scalars | {"patch_embedding.weight": patches, "pool.query": ours["pool.query"].flatten()}


def from_siglip(twin: "SiglipModel") -> SigLIP:
    """Copy a `transformers` SigLIP into a `SigLIP` that gives the same logits.

    Args:
        twin: any `SiglipModel`, random or pretrained.

    Returns:
        The same model, in evaluation mode, in the dtype of its weights.

    Raises:
        ValueError: the configuration uses what our model does not have.
    """
    theirs: Any = twin.config
    image, text = theirs.vision_config, theirs.text_config
    activations = {image.hidden_act, text.hidden_act}
    if activations != {"gelu_pytorch_tanh"} or image.layer_norm_eps != text.layer_norm_eps or image.num_channels != 3:
        raise ValueError(
            f"activations {sorted(activations)} must be 'gelu_pytorch_tanh', layer_norm_eps {image.layer_norm_eps} and "
            f"{text.layer_norm_eps} the same, num_channels {image.num_channels} 3"
        )
    if text.projection_size != text.hidden_size:
        raise ValueError(f"projection_size {text.projection_size} must be the text tower's width {text.hidden_size}")
    config = SigLIPConfig(
        image=tower_of(image),
        text=tower_of(text),
        image_size=image.image_size,
        patch_size=image.patch_size,
        vocab_size=text.vocab_size,
        max_seq_len=text.max_position_embeddings,
        norm_eps=image.layer_norm_eps,
    )
    model = SigLIP(config).to(next(twin.parameters()).dtype)
    load_weights(model, weights_from_siglip(twin.state_dict()))
    return model.eval()
