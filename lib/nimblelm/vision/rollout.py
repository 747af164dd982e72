"""Which patches an answer rests on: attention maps of all layers as one map."""

from collections.abc import Sequence
from functools import reduce

import torch
from jaxtyping import Float
from torch import Tensor

from nimblelm.nn.attend import recorded
from nimblelm.vision.vit import ViT


def attention_rollout(maps: Sequence[Float[Tensor, "_ _ _ _"]], residual: float = 0.5) -> Float[Tensor, "B T T"]:
    """How much of each token of the input is in each token of the last layer, if attention were all that mixes them.

    A~_l = residual I + (1 - residual) mean over heads of A_l, R = A~_L ... A~_2 A~_1     (Abnar and Zuidema, 2020,
    arXiv:2005.00928, section 3); rows sum to 1.

    Args:
        maps: softmax weights (B, H, T, T) of each layer, the first layer's first, as `recorded` leaves them.
        residual: share of a token that comes over the residual connection, 0 to 1.

    Returns:
        Row i: what token i of the last layer is made of.

    Raises:
        ValueError: there are no maps, they are not all of one square shape, or residual is outside of 0 .. 1.

    Chapter: book/ch08_vision_transformer
    """
    maps = _checked(maps)
    if not 0 <= residual <= 1:
        raise ValueError(f"residual {residual} is outside of 0 .. 1")
    identity = torch.eye(maps[0].shape[-1], dtype=maps[0].dtype, device=maps[0].device)
    rolled = identity.expand(len(maps[0]), -1, -1)
    for layer in maps:
        rolled = (residual * identity + (1 - residual) * layer.mean(1)) @ rolled
    return rolled


def gradient_rollout(
    maps: Sequence[Float[Tensor, "_ _ _ _"]], gradients: Sequence[Float[Tensor, "_ _ _ _"]]
) -> Float[Tensor, "B T T"]:
    """Relevance of each token of the input to one output, from attention and its gradients.

    R = I at first; for each layer R <- R + A^ R with A^ = mean over heads of max(0, dy/dA * A)     (Chefer et al.,
    2021, arXiv:2103.15679, eqs. 5 and 6, the case of self-attention).

    Args:
        maps: softmax weights (B, H, T, T) of each layer, the first layer's first.
        gradients: of the output y with respect to each map.

    Returns:
        Row i: how much token i of the last layer draws on each token of the input for that output. The identity's part
        of a row is the token itself.

    Raises:
        ValueError: there are no maps, they are not all of one square shape, or the gradients are not of that shape.

    Chapter: book/ch08_vision_transformer
    """
    if len(maps) != len(gradients):
        raise ValueError(f"{len(maps)} maps and {len(gradients)} gradients must be of the same layers")
    both = _checked([*maps, *gradients])
    maps, gradients = both[: len(maps)], both[len(maps) :]
    identity = torch.eye(maps[0].shape[-1], dtype=maps[0].dtype, device=maps[0].device)
    relevance = identity.expand(len(maps[0]), -1, -1)
    for layer, gradient in zip(maps, gradients, strict=True):
        relevance = relevance + (gradient * layer).clamp(min=0).mean(1) @ relevance
    return relevance


def _checked(maps: Sequence[Tensor]) -> list[Tensor]:
    """The maps in the widest of their dtypes."""
    shapes = {tuple(one.shape) for one in maps}
    if len(shapes) != 1 or maps[0].ndim != 4 or maps[0].shape[-1] != maps[0].shape[-2]:
        raise ValueError(f"maps of shapes {sorted(shapes)} must all be of one (B, H, T, T), and one or more")
    dtype = reduce(torch.promote_types, (one.dtype for one in maps))
    return [one.to(dtype) for one in maps]


def class_relevance(
    model: ViT, images: Float[Tensor, "B C height width"], classes: Sequence[int]
) -> Float[Tensor, "B N"]:
    """`gradient_rollout` of one class's logit to the patches, read at the class token.

    Args:
        model: what is asked.
        images: normalised pixels.
        classes: of which class each image is asked.

    Returns:
        A number of 0 or more for each patch, row by row.

    Raises:
        ValueError: there is not one class for each image, or the model does not have it.

    Chapter: book/ch08_vision_transformer
    """
    if len(classes) != len(images) or not all(0 <= one < model.config.num_classes for one in classes):
        raise ValueError(f"classes {list(classes)} must be {len(images)}, each below {model.config.num_classes}")
    maps: list[Tensor] = []
    with torch.enable_grad():
        embedded = model.embed(images).detach().requires_grad_()
        logits = model.head(model.states(embedded, recorded(maps)))
        chosen = logits[
            torch.arange(len(images), device=logits.device), torch.tensor(list(classes), device=logits.device)
        ]
        gradients = torch.autograd.grad(chosen.sum(), maps)
    return gradient_rollout([one.detach() for one in maps], gradients)[:, 0, 1:]
