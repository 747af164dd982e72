"""LLaVA: a CLIP image encoder, a projector and a decoder that reads pictures among its words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from nimblelm.language.llama import WEIGHT_NAMES as LLAMA_NAMES
from nimblelm.language.llama import Llama, LlamaConfig, shape_of
from nimblelm.language.splice import Spliced, splice
from nimblelm.multimodal.projectors import MLPProjector
from nimblelm.nn.attend import Past, band, full, masked
from nimblelm.nn.checkpoint import load_weights
from nimblelm.nn.weight_names import renamed
from nimblelm.vision.clip import CLIPConfig, ImageEncoder, tower_names, tower_of

if TYPE_CHECKING:
    from transformers import LlavaForConditionalGeneration


@dataclass(frozen=True)
class LlavaConfig:
    """Shape of encoder and decoder (Liu et al., 2023, arXiv:2310.03744, section 3.2).

    Raises:
        ValueError: the placeholder is negative, or a layer is not one of the encoder's.
    """

    vision: CLIPConfig
    language: LlamaConfig
    image_id: int = 32000  # the placeholder of a picture
    layers: tuple[int, ...] = (-2,)  # of the encoder, side by side: -1 is the last block's output, -2 the one before
    keep_class_token: bool = False

    def __post_init__(self):
        depth = self.vision.image.num_layers + 1  # the embeddings, then each block's output
        if not self.layers or not all(-depth <= layer < depth for layer in self.layers):
            raise ValueError(f"layers {self.layers} are not among the {depth} states of the encoder")
        if self.image_id < 0:
            raise ValueError(f"image_id {self.image_id} is negative")


class Llava(nn.Module):
    """Logits of every next token of texts with pictures in them.

    H_v = g(Z_v) W, logits = f([.., H_v, ..])          (Liu et al., 2023, arXiv:2304.08485, eq. 1 and figure 1)

    The twin is `transformers.LlavaForConditionalGeneration`; `from_llava` loads its weights.

    Args:
        config: the shape.

    Chapter: book/ch11_language_models_that_see
    """

    config_class = LlavaConfig

    def __init__(self, config: LlavaConfig):
        super().__init__()
        self.config = config
        self.encoder = ImageEncoder(config.vision)
        width = len(config.layers) * config.vision.image.d_model
        self.connector = MLPProjector(width, config.language.d_model)
        self.language = Llama(config.language)

    def see(self, pictures: Float[Tensor, "B 3 height width"]) -> Float[Tensor, "B N d"]:
        """The embeddings of each picture's patches, in the decoder's space.

        Raises:
            ValueError: as `ImageEncoder.states`.
        """
        states = list(self.encoder.layers(pictures, full))
        chosen = torch.cat([states[layer] for layer in self.config.layers], dim=2)
        return self.connector(chosen if self.config.keep_class_token else chosen[:, 1:])

    def forward(
        self,
        tokens: Sequence[Int[Tensor, "_"]],
        pictures: Float[Tensor, "B 3 height width"],
        labels: Sequence[Int[Tensor, "_"]] | None = None,
        padding_side: str = "right",
    ) -> tuple[Float[Tensor, "B T V"], Spliced]:
        """Logits after each slot, and the slots.

        Args:
            tokens: of each text, with one placeholder a picture.
            pictures: normalised, in the order of their placeholders.
            labels: as in `splice`.
            padding_side: as in `splice`.

        Raises:
            ValueError: as `see` and `splice`.
        """
        images = list(self.see(pictures)) if len(pictures) else []
        spliced = splice(tokens, labels, images, self.language.embed, self.config.image_id, padding_side)
        length = spliced.labels.shape[1]
        visible = band(length, length, device=spliced.visible.device) & spliced.visible[:, None, None, :]
        past = Past([masked(visible)] * len(self.language.blocks), spliced.positions)
        return self.language.head(self.language.states(spliced.embeddings, past)), spliced


WEIGHT_NAMES = {  # transformers' -> ours: in memory, then as saved files have them
    **{
        theirs: ours
        for prefix in ("model.vision_tower", "vision_tower", "vision_tower.vision_model")
        for theirs, ours in {
            f"{prefix}.embeddings.class_embedding": "encoder.class_token",
            f"{prefix}.embeddings.patch_embedding": "encoder.patch_embedding",
            f"{prefix}.embeddings.position_embedding.weight": "encoder.positions",
            f"{prefix}.embeddings.position_ids": "",
            f"{prefix}.pre_layrnorm": "encoder.pre_norm",
            f"{prefix}.post_layernorm": "encoder.post_norm",
            **tower_names(prefix, "encoder"),
        }.items()
    },
    **{
        f"{prefix}multi_modal_projector.linear_{number}": f"connector.{ours}"
        for prefix in ("model.", "")
        for number, ours in ((1, "up_proj"), (2, "down_proj"))
    },
    **{
        " + ".join(f"model.language_model.{part.removeprefix('model.')}" for part in theirs.split(" + ")): (
            f"language.{ours}"
        )
        for theirs, ours in LLAMA_NAMES.items()
        if theirs != "lm_head"
    },
    **{
        " + ".join(f"language_model.{part}" for part in theirs.split(" + ")): f"language.{ours}"
        for theirs, ours in LLAMA_NAMES.items()
    },
    "lm_head": "language.head",
}


def weights_from_llava(theirs: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a `transformers` LLaVA, in memory or from a saved file, under our names."""
    ours = renamed(theirs, WEIGHT_NAMES)
    patches = "encoder.patch_embedding.weight"
    return ours | {patches: ours[patches].permute(0, 2, 3, 1).flatten(1)}


def from_llava(twin: "LlavaForConditionalGeneration") -> Llava:
    """Copy a `transformers` LLaVA into a `Llava` that gives the same logits.

    Args:
        twin: any `LlavaForConditionalGeneration` with CLIP's encoder and a Llama, random or pretrained.

    Returns:
        The same model, in evaluation mode, in the dtype of its weights.

    Raises:
        ValueError: the configuration uses what our model does not have.
    """
    theirs: Any = twin.config
    vision, layer = theirs.vision_config, theirs.vision_feature_layer
    if vision.model_type != "clip_vision_model" or vision.hidden_act not in ("quick_gelu", "gelu"):
        raise ValueError(f"the encoder is a {vision.model_type!r} with {vision.hidden_act!r}, CLIP's is needed")
    if theirs.projector_hidden_act != "gelu" or not theirs.multimodal_projector_bias:
        raise ValueError(f"projector_hidden_act {theirs.projector_hidden_act!r} must be 'gelu', with biases")
    config = LlavaConfig(
        vision=CLIPConfig(
            image=tower_of(vision),
            image_size=vision.image_size,
            patch_size=vision.patch_size,
            exact_gelu=vision.hidden_act == "gelu",
            norm_eps=vision.layer_norm_eps,
        ),
        language=LlamaConfig(**shape_of(theirs.text_config, "llama")),
        image_id=theirs.image_token_index,
        layers=(layer,) if isinstance(layer, int) else tuple(layer),
        keep_class_token=theirs.vision_feature_select_strategy == "full",
    )
    model = Llava(config).to(next(twin.parameters()).dtype)
    load_weights(model, weights_from_llava(twin.state_dict()))
    return model.eval()
