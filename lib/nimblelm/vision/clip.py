"""CLIP: an image encoder and a text encoder whose embeddings are compared."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from nimblelm.nn.attend import Attend, causal, full
from nimblelm.nn.checkpoint import load_weights
from nimblelm.nn.encoder_block import EncoderBlock
from nimblelm.nn.patches import grid_of, patchify
from nimblelm.nn.weight_names import renamed

if TYPE_CHECKING:
    from transformers import CLIPModel

MAX_SCALE = 100.0  # of the logits, in the paper and in open_clip; OpenAI's released code has no cap


def quick_gelu(x: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """x sigmoid(1.702 x), the approximation of GELU in OpenAI's checkpoints (Hendrycks and Gimpel, 2016,
    arXiv:1606.08415, section 2).
    """
    return x * torch.sigmoid(1.702 * x)


@dataclass(frozen=True)
class TowerConfig:
    """Shape of one encoder."""

    d_model: int  # width of the residual stream
    num_layers: int
    num_heads: int
    d_ff: int  # hidden width of the feed-forward layer


def encoder_blocks(tower: TowerConfig, norm_eps: float, activation: Any) -> nn.ModuleList:
    """A tower's layers."""
    return nn.ModuleList(
        EncoderBlock(tower.d_model, tower.num_heads, tower.d_ff, norm_eps, activation) for _ in range(tower.num_layers)
    )


@dataclass(frozen=True)
class CLIPConfig:
    """Shape of both encoders; the defaults are ViT-B/32 (Radford et al., 2021, arXiv:2103.00020, table 20).

    Raises:
        ValueError: the patches do not divide the image, or norm_eps is negative or not finite.
    """

    image: TowerConfig = field(default_factory=lambda: TowerConfig(768, 12, 12, 3072))
    text: TowerConfig = field(default_factory=lambda: TowerConfig(512, 12, 8, 2048))
    embedding_dim: int = 512  # of the space that both share
    image_size: int = 224  # pixels on a side
    patch_size: int = 32
    vocab_size: int = 49408
    max_seq_len: int = 77
    end_of_text_id: int = 49407  # the token whose state is the text's
    exact_gelu: bool = False  # as in many of open_clip's checkpoints; `quick_gelu` in OpenAI's
    norm_eps: float = 1e-5

    def __post_init__(self):
        grid_of(self.image_size, self.image_size, self.patch_size)
        if not 0 <= self.norm_eps < math.inf:
            raise ValueError(f"norm_eps {self.norm_eps} must be 0 or more and finite")

    @property
    def activation(self) -> Any:
        return F.gelu if self.exact_gelu else quick_gelu


class ImageEncoder(nn.Module):
    """A vision transformer with a norm before its blocks; the class token's last state is the image's."""

    def __init__(self, config: CLIPConfig):
        super().__init__()
        self.config, tower = config, config.image
        rows, columns = grid_of(config.image_size, config.image_size, config.patch_size)
        self.patch_embedding = nn.Linear(3 * config.patch_size**2, tower.d_model, bias=False)
        self.class_token = nn.Parameter(0.02 * torch.randn(tower.d_model))
        self.positions = nn.Parameter(0.02 * torch.randn(1 + rows * columns, tower.d_model))
        self.pre_norm = nn.LayerNorm(tower.d_model, config.norm_eps)
        self.blocks = encoder_blocks(tower, config.norm_eps, config.activation)
        self.post_norm = nn.LayerNorm(tower.d_model, config.norm_eps)

    def forward(self, images: Float[Tensor, "B 3 height width"], attend: Attend = full) -> Float[Tensor, "B d"]:
        return self.post_norm(self.states(images, attend)[:, 0])

    def states(self, images: Float[Tensor, "B 3 height width"], attend: Attend = full) -> Float[Tensor, "B T d"]:
        """The last block's output: the class token, then the patches; not normalised.

        Raises:
            ValueError: the images are not of the size that positions were learned for.
        """
        *_, last = self.layers(images, attend)
        return last

    def layers(
        self, images: Float[Tensor, "B 3 height width"], attend: Attend = full
    ) -> Iterator[Float[Tensor, "B T d"]]:
        """What the first block reads, then each block's output: num_layers + 1 states; errors as in `states`."""
        size = self.config.image_size
        if images.shape[1:] != (3, size, size):
            raise ValueError(f"images {tuple(images.shape)}, (B, 3, {size}, {size}) is needed")
        patches = self.patch_embedding(patchify(images, self.config.patch_size))
        x = torch.cat([self.class_token.to(patches.dtype).expand(len(patches), 1, -1), patches], dim=1)
        x = self.pre_norm(x + self.positions)
        yield x
        for block in self.blocks:
            x = block(x, attend)
            yield x


class TextEncoder(nn.Module):
    """A causal transformer; the state of the end-of-text token, which has seen all others, is the text's."""

    def __init__(self, config: CLIPConfig):
        super().__init__()
        self.config, tower = config, config.text
        self.embedding = nn.Embedding(config.vocab_size, tower.d_model)
        self.positions = nn.Parameter(0.01 * torch.randn(config.max_seq_len, tower.d_model))
        self.blocks = encoder_blocks(tower, config.norm_eps, config.activation)
        self.norm = nn.LayerNorm(tower.d_model, config.norm_eps)
        nn.init.normal_(self.embedding.weight, std=0.02)

    def forward(self, tokens: Int[Tensor, "B T"], attend: Attend = causal) -> Float[Tensor, "B d"]:
        """Of each text, whatever stands behind its end-of-text token.

        Raises:
            ValueError: a text is too long or has no end-of-text token.
        """
        if tokens.shape[1] > self.config.max_seq_len:
            raise ValueError(f"{tokens.shape[1]} tokens, the limit is {self.config.max_seq_len}")
        ends = tokens == self.config.end_of_text_id
        if not ends.any(1).all():
            raise ValueError(f"a text has no end-of-text token, {self.config.end_of_text_id}")
        x = self.embedding(tokens) + self.positions[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x, attend)
        last = ends.int().argmax(1)  # the first of them
        return self.norm(x[torch.arange(len(x), device=x.device), last])


class CLIP(nn.Module):
    """Images and texts in one space (Radford et al., 2021, arXiv:2103.00020, section 2).

    The twin is `transformers.CLIPModel`; `from_clip` loads its weights.

    Args:
        config: the shape.

    Chapter: book/ch09_contrastive_learning
    """

    config_class = CLIPConfig

    def __init__(self, config: CLIPConfig):
        super().__init__()
        self.config = config
        self.image_encoder = ImageEncoder(config)
        self.text_encoder = TextEncoder(config)
        self.image_projection = nn.Linear(config.image.d_model, config.embedding_dim, bias=False)
        self.text_projection = nn.Linear(config.text.d_model, config.embedding_dim, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def forward(self, images: Float[Tensor, "B 3 height width"], tokens: Int[Tensor, "N T"]) -> Float[Tensor, "B N"]:
        """Logits of which text belongs to which image: exp(logit_scale) times their cosine.

        Args:
            images: normalised pixels.
            tokens: token ids, each text with an end-of-text token.

        Raises:
            ValueError: as `ImageEncoder.states` and `TextEncoder.forward`.
        """
        return self.logit_scale.exp() * self.image_features(images) @ self.text_features(tokens).T

    def image_features(self, images: Float[Tensor, "B 3 height width"]) -> Float[Tensor, "B e"]:
        """Embeddings of length 1."""
        return F.normalize(self.image_projection(self.image_encoder(images)), dim=1)

    def text_features(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B e"]:
        """Embeddings of length 1."""
        return F.normalize(self.text_projection(self.text_encoder(tokens)), dim=1)


def tower_names(theirs: str, ours: str) -> dict[str, str]:
    """Rules for the blocks of one of `transformers`' towers."""
    layer, block = f"{theirs}.encoder.layers.{{}}", f"{ours}.blocks.{{}}"
    return {
        **{f"{layer}.self_attn.{part}_proj": f"{block}.attention.{part}_proj" for part in ("q", "k", "v", "out")},
        f"{layer}.layer_norm1": f"{block}.attention_norm",
        f"{layer}.layer_norm2": f"{block}.mlp_norm",
        f"{layer}.mlp.fc1": f"{block}.mlp.up_proj",
        f"{layer}.mlp.fc2": f"{block}.mlp.down_proj",
    }


WEIGHT_NAMES = {  # transformers' -> ours
    "vision_model.embeddings.class_embedding": "image_encoder.class_token",
    "vision_model.embeddings.patch_embedding": "image_encoder.patch_embedding",
    "vision_model.embeddings.position_embedding.weight": "image_encoder.positions",
    "vision_model.pre_layrnorm": "image_encoder.pre_norm",
    "vision_model.post_layernorm": "image_encoder.post_norm",
    "text_model.embeddings.token_embedding": "text_encoder.embedding",
    "text_model.embeddings.position_embedding.weight": "text_encoder.positions",
    "text_model.final_layer_norm": "text_encoder.norm",
    **tower_names("vision_model", "image_encoder"),
    **tower_names("text_model", "text_encoder"),
    "vision_model.embeddings.position_ids": "",  # in files of older versions
    "text_model.embeddings.position_ids": "",
    "visual_projection": "image_projection",
    "text_projection": "text_projection",
    "logit_scale": "logit_scale",
}


def weights_from_clip(theirs: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a `transformers` CLIP, in memory or from a saved file, under our names.

    Their patch projection is a convolution (d, 3, P, P); ours is a matrix whose columns go pixel by pixel.
    """
    ours = renamed(theirs, WEIGHT_NAMES)
    patches = "image_encoder.patch_embedding.weight"
    return ours | {patches: ours[patches].permute(0, 2, 3, 1).flatten(1)}


def from_clip(twin: "CLIPModel") -> CLIP:
    """Copy a `transformers` CLIP into a `CLIP` that gives the same logits.

    Args:
        twin: any `CLIPModel`, random or pretrained.

    Returns:
        The same model, in evaluation mode, in the dtype of its weights.

    Raises:
        ValueError: the configuration uses what our model does not have.
    """
    theirs: Any = twin.config
    image, text = theirs.vision_config, theirs.text_config
    activations = {image.hidden_act, text.hidden_act}
    if activations not in ({"quick_gelu"}, {"gelu"}) or image.layer_norm_eps != text.layer_norm_eps:
        raise ValueError(
            f"activations {sorted(activations)} must be 'quick_gelu' or 'gelu', and the towers' layer_norm_eps "
            f"{image.layer_norm_eps} and {text.layer_norm_eps} the same"
        )
    if image.num_channels != 3:
        raise ValueError(f"num_channels {image.num_channels} must be 3")
    config = CLIPConfig(
        image=tower_of(image),
        text=tower_of(text),
        embedding_dim=theirs.projection_dim,
        image_size=image.image_size,
        patch_size=image.patch_size,
        vocab_size=text.vocab_size,
        max_seq_len=text.max_position_embeddings,
        # configurations of before 2023 say 2, and mean the largest id
        end_of_text_id=text.vocab_size - 1 if text.eos_token_id == 2 else text.eos_token_id,
        exact_gelu=activations == {"gelu"},
        norm_eps=image.layer_norm_eps,
    )
    model = CLIP(config).to(next(twin.parameters()).dtype)
    load_weights(model, weights_from_clip(twin.state_dict()))
    return model.eval()


def tower_of(theirs: Any) -> TowerConfig:
    """The shape of one of `transformers`' towers."""
    return TowerConfig(
        theirs.hidden_size, theirs.num_hidden_layers, theirs.num_attention_heads, theirs.intermediate_size
    )
