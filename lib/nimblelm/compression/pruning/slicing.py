"""A smaller Llama cut out of a larger one, and the same model with masks, which gives the same logits."""

import copy
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from nimblelm.language.llama import Llama


@dataclass(frozen=True)
class StructuredMasks:
    """One number for each part of a Llama that can go: 0 removes it, others scale what it writes.

    z of Xia et al. (2024, arXiv:2310.06694, section 2.1): layer, head, intermediate and hidden dimension.

    Chapter: book/ch06_pruning
    """

    layers: Float[Tensor, "L"]
    heads: Float[Tensor, "L H"]  # query heads
    units: Float[Tensor, "L F"]  # of the feed-forward layers
    width: Float[Tensor, "d"]  # features of the residual stream

    @staticmethod
    def all_open(model: Llama) -> "StructuredMasks":
        """Masks that change nothing."""
        c = model.config
        return StructuredMasks(
            *(torch.ones(n) for n in (c.num_layers, (c.num_layers, c.num_heads), (c.num_layers, c.d_ff), c.d_model))
        )


def check_masks(model: Llama, masks: StructuredMasks) -> None:
    """Raises ValueError where masks are of another model's sizes, or leave no layer or no feature."""
    for name, own in vars(StructuredMasks.all_open(model)).items():
        given = getattr(masks, name)
        if given.shape != own.shape:
            raise ValueError(f"the mask of {name} is {tuple(given.shape)}, the model's {tuple(own.shape)}")
    if not (bool(masks.layers.any()) and bool(masks.width.any())):
        raise ValueError("the masks leave no layer, or no feature of the residual stream")


def masked_weights(model: Llama, masks: StructuredMasks) -> dict[str, Tensor]:
    """The model's parameters, times the masks of what they write: gradients reach both.

    Embedding, W_O and W_down write into the residual stream: their outputs are scaled by `width`, the inputs of W_O by
    `heads`, those of W_down by `units`, both by `layers`.

    Args:
        model: with tied embeddings or not.
        masks: see `StructuredMasks`.

    Raises:
        ValueError: the masks do not fit the model.

    Chapter: book/ch06_pruning
    """
    check_masks(model, masks)
    weights: dict[str, Tensor] = dict(model.named_parameters())
    weights["embedding.weight"] = weights["embedding.weight"] * masks.width
    for i, layer in enumerate(masks.layers):
        rows = (layer * masks.width)[:, None]
        heads = masks.heads[i].repeat_interleave(model.config.head_dim)
        for name, columns in (
            (f"blocks.{i}.attention.out_proj.weight", heads),
            (f"blocks.{i}.mlp.down_proj.weight", masks.units[i]),
        ):
            weights[name] = rows * weights[name] * columns
    return weights


def masked_gains(model: Llama, masks: StructuredMasks) -> dict[str, Tensor]:
    """The gains of the norms, such that a norm over all d features gives what one over the n open ones gives.

    x / sqrt(sum(x^2) / n + eps) = sqrt(n / d) x / sqrt(sum(x^2) / d + eps n / d), where x is 0 in the d - n others.

    Chapter: book/ch06_pruning
    """
    factor = (masks.width != 0).double().mean().sqrt().item()
    return {name: gain * factor for name, gain in model.named_parameters() if gain.ndim == 1}


@torch.no_grad()
def masked_model(model: Llama, masks: StructuredMasks) -> Llama:
    """A copy of the model with the masks in its weights: of the old shape, with zeros.

    Raises:
        ValueError: the masks do not fit the model.

    Chapter: book/ch06_pruning
    """
    masked = copy.deepcopy(model)
    own = masked.state_dict()
    for name, weight in (masked_weights(model, masks) | masked_gains(model, masks)).items():
        own[name].copy_(weight)
    for module in masked.modules():
        if hasattr(module, "eps"):
            module.eps *= (masks.width != 0).double().mean().item()  # pyright: ignore[reportOperatorIssue]
    return masked


@torch.no_grad()
def sliced_model(model: Llama, masks: StructuredMasks) -> Llama:
    """The model without what the masks remove, the other masks multiplied into its weights: it gives the logits of
    `masked_model`, and is smaller.

    Args:
        model: any `Llama`.
        masks: that keep as many heads in every kept layer and as many units; of the query heads that share a key-value
            head as many for each key-value head, or none.

    Raises:
        ValueError: the masks do not fit the model, or what they keep has no common shape.

    Chapter: book/ch06_pruning
    """
    weights = {name: weight.detach() for name, weight in masked_weights(model, masks).items()}
    width = masks.width.nonzero()[:, 0]
    layers = masks.layers.nonzero()[:, 0].tolist()
    heads, groups = _kept_heads(model, masks, layers)
    units = [masks.units[i].nonzero()[:, 0] for i in layers]
    if len({len(u) for u in units}) > 1 or not len(units[0]):
        raise ValueError(f"layers keep {[len(u) for u in units]} units, which must be equal and 1 or more")
    shape = replace(
        model.config,
        d_model=len(width),
        num_layers=len(layers),
        num_heads=len(heads[0]),
        num_kv_heads=len(groups[0]),
        d_ff=len(units[0]),
        d_head=model.config.head_dim,
    )
    small = type(model)(shape).to(model.embedding.weight)
    own = small.state_dict()
    own["embedding.weight"].copy_(weights["embedding.weight"][:, width])
    own["norm.weight"].copy_(weights["norm.weight"][width])
    if not shape.tie_embeddings:
        own["head.weight"].copy_(weights["head.weight"][:, width])
    for new, old in enumerate(layers):
        _copy_block(small.blocks[new], f"blocks.{old}.", weights, width, heads[new], groups[new], units[new])
    return small.train(model.training)


def _kept_heads(model: Llama, masks: StructuredMasks, layers: list[int]) -> tuple[list[Tensor], list[Tensor]]:
    """Query heads and key-value heads that are kept in each kept layer."""
    shared = model.config.num_heads // model.config.num_kv_heads
    kept = masks.heads[layers] != 0
    counts = kept.unflatten(-1, (-1, shared)).sum(-1)  # query heads that ask each key-value head
    used = counts > 0
    if len(counts[used].unique()) != 1 or len(used.sum(-1).unique()) != 1:
        raise ValueError(f"query heads kept for each key-value head, layer by layer: {counts.tolist()}; must be equal")
    return [row.nonzero()[:, 0] for row in kept], [row.nonzero()[:, 0] for row in used]


def _copy_block(
    block, prefix: str, weights: dict[str, Tensor], width: Tensor, heads: Tensor, groups: Tensor, units: Tensor
) -> None:
    head_dim = block.attention.head_dim

    def channels(indices: Tensor) -> Tensor:
        return (indices[:, None] * head_dim + torch.arange(head_dim, device=indices.device)).flatten()

    d_ff = weights[prefix + "mlp.down_proj.weight"].shape[1]
    parts = {
        "attention.q_proj.weight": (channels(heads), width),
        "attention.k_proj.weight": (channels(groups), width),
        "attention.v_proj.weight": (channels(groups), width),
        "attention.out_proj.weight": (width, channels(heads)),
        "mlp.gate_up_proj.weight": (torch.cat([units, d_ff + units]), width),
        "mlp.down_proj.weight": (width, units),
    }
    own = block.state_dict()
    for name, (rows, columns) in parts.items():
        own[name].copy_(weights[prefix + name][rows][:, columns])
    for name in ("attention_norm.weight", "mlp_norm.weight"):
        own[name].copy_(weights[prefix + name][width])
