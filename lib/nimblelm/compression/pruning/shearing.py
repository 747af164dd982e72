"""Sheared LLaMA: masks over layers, heads, hidden units and width learn which part of a model has a wanted shape."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nimblelm.compression.pruning.hard_concrete import (
    LOG_ALPHA_LIMIT,
    lagrangian,
    open_probability,
    ramped,
    sample_mask,
    settled_mask,
)
from nimblelm.compression.pruning.slicing import StructuredMasks
from nimblelm.language.llama import LlamaConfig


@dataclass(frozen=True)
class Shape:
    """How many of each part are to stay: of layers, of a layer's query heads and hidden units, of the width.

    Chapter: book/ch06_pruning
    """

    layers: int
    heads: int
    units: int
    width: int


DIMENSIONS = tuple(field.name for field in fields(Shape))


class LearnedMasks(nn.Module):
    """Hard concrete masks over a Llama, and one pair of multipliers for each of the four dimensions.

    (Xia et al., 2024, arXiv:2310.06694, section 2.1). Give `log_alphas` to an optimizer that descends and `multipliers`
    to one that ascends (`maximize=True`), both on the language model's loss plus `penalty`.

    Heads that share a key-value head are a group of their own, of which as many stay as of every other: what remains
    is grouped-query attention again.

    Args:
        config: of the model that is pruned.
        target: the shape that it shall have.
        warmup_steps: over which the target moves from the model's shape to its own.

    Raises:
        ValueError: the target is larger than the model somewhere, or its heads do not divide over the key-value heads.

    Chapter: book/ch06_pruning
    """

    def __init__(self, config: LlamaConfig, target: Shape, warmup_steps: int):
        super().__init__()
        shared, groups = config.num_heads // config.num_kv_heads, config.num_kv_heads
        sizes = {
            "layers": (config.num_layers,),
            "heads": (config.num_layers, groups, shared),
            "units": (config.num_layers, config.d_ff),
            "width": (config.d_model,),
        }
        full = Shape(config.num_layers, config.num_heads, config.d_ff, config.d_model)
        if any(not 1 <= getattr(target, name) <= getattr(full, name) for name in DIMENSIONS) or target.heads % groups:
            raise ValueError(f"{target} must be part of {full}, with a multiple of {groups} heads")
        self.keep = {name: getattr(target, name) for name in DIMENSIONS} | {"heads": target.heads // groups}
        self.warmup_steps = warmup_steps
        self.log_alphas = nn.ParameterDict({name: torch.full(size, LOG_ALPHA_LIMIT) for name, size in sizes.items()})
        self.multipliers = nn.ParameterDict({name: torch.zeros(2) for name in DIMENSIONS})

    def sample(self, generator: torch.Generator | None = None) -> StructuredMasks:
        """Masks for one training step."""
        return self._masks({name: sample_mask(alpha, generator) for name, alpha in self.log_alphas.items()})

    def settled(self) -> StructuredMasks:
        """The masks that have exactly the target shape."""
        return self._masks({name: settled_mask(alpha, self.keep[name]) for name, alpha in self.log_alphas.items()})

    def _masks(self, z: Mapping[str, Tensor]) -> StructuredMasks:
        return StructuredMasks(z["layers"], z["heads"].flatten(1), z["units"], z["width"])

    def sparsities(self) -> dict[str, Float[Tensor, "*groups"]]:
        """s_hat: the expected share that is removed, of each dimension; of heads and units layer by layer."""
        return {name: 1 - open_probability(alpha).mean(-1) for name, alpha in self.log_alphas.items()}

    def targets(self, step: int) -> dict[str, float]:
        """s at a step, of each dimension."""
        return {
            name: ramped(1 - self.keep[name] / alpha.shape[-1], step, self.warmup_steps)
            for name, alpha in self.log_alphas.items()
        }

    def penalty(self, step: int) -> Float[Tensor, ""]:
        """The four Lagrangians of a step, summed."""
        targets = self.targets(step)
        terms = [lagrangian(s, targets[name], self.multipliers[name]) for name, s in self.sparsities().items()]
        return torch.stack(terms).sum()

    @torch.no_grad()
    def clamp_(self) -> None:
        """Keep every log alpha within reach of its gradient; call it after each optimizer step."""
        for alpha in self.log_alphas.values():
            alpha.clamp_(-LOG_ALPHA_LIMIT, LOG_ALPHA_LIMIT)


def reweighted(
    weights: Float[Tensor, "K"], losses: Float[Tensor, "K"], references: Float[Tensor, "K"], floor: float = 1e-4
) -> Float[Tensor, "K"]:
    """Dynamic batch loading: sources whose loss lags behind its reference are drawn more often from now on.

    w_k ~ w_k exp(loss_k - reference_k), then (1 - floor) w + floor / K      (Xia et al., 2024, algorithm 1, as their
    code has it: a loss below its reference counts too)

    Args:
        weights: share of each source in the batches so far.
        losses: held-out loss of each source now, in nats a token.
        references: what the loss of each source shall come to.
        floor: share that is spread over all sources.

    Raises:
        ValueError: weights are negative or do not sum to 1, or the floor is not between 0 and 1.

    Chapter: book/ch06_pruning
    """
    if bool((weights < 0).any()) or abs(weights.sum().item() - 1) > 1e-3:
        raise ValueError(f"weights {weights.tolist()} must be 0 or more and sum to 1")
    if not 0 <= floor <= 1:
        raise ValueError(f"floor {floor} must be between 0 and 1")
    moved = (weights.log() + losses - references).softmax(-1)
    return (1 - floor) * moved + floor / len(weights)
