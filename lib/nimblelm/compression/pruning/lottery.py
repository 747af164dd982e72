"""The lottery ticket hypothesis: small parts of a network that train well alone, if they start where they did."""

from collections.abc import Callable

import torch
from torch import Tensor

from nimblelm.compression.pruning.magnitude import largest

Weights = dict[str, Tensor]
Train = Callable[[Weights, Weights], Weights]  # weights to start from, their masks -> trained weights, masked


def find_tickets(start: Weights, train: Train, rounds: int, share: float) -> list[Weights]:
    """Iterative magnitude pruning with rewinding: train, drop the smallest weights that are left, start over.

    (Frankle and Carbin, 2019, arXiv:1803.03635, section 2.) Each round trains from `start`, not from where the last one
    ended. `start` is the initialisation or, for larger networks, the weights after a few steps: late rewinding (Frankle
    et al., 2020, arXiv:1912.05671).

    Args:
        start: the weights of every round's first step, by layer.
        train: trains the weights that a mask leaves.
        rounds: of pruning.
        share: of the weights left, that goes in a round, layer by layer.

    Returns:
        The masks after 0, 1, ..., `rounds` rounds: rounds + 1 of them, the first all True.

    Raises:
        ValueError: rounds is negative, or the share not between 0 and 1, both excluded.

    Chapter: book/ch06_pruning
    """
    if rounds < 0 or not 0 < share < 1:
        raise ValueError(f"rounds {rounds} must be 0 or more, and share {share} between 0 and 1")
    masks = [{name: torch.ones_like(weight, dtype=torch.bool) for name, weight in start.items()}]
    for _ in range(rounds):
        masks.append(next_masks(train(masked(start, masks[-1]), masks[-1]), masks[-1], share))
    return masks


def next_masks(trained: Weights, masks: Weights, share: float) -> Weights:
    """The masks without the smallest `share` of the trained weights that they leave; at least one a layer stays.

    Raises:
        ValueError: the share is not between 0 and 1.

    Chapter: book/ch06_pruning
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share {share} must be between 0 and 1")
    found = {}
    for name, weight in trained.items():
        left = int(masks[name].sum())
        scores = torch.where(masks[name], weight.abs(), -torch.ones_like(weight))  # what is gone stays gone
        found[name] = largest(scores, max(1, left - round(share * left)))
    return found


def masked(weights: Weights, masks: Weights) -> Weights:
    """Copies of the weights, 0 where the mask is False.

    Chapter: book/ch06_pruning
    """
    return {name: torch.where(masks[name], weight, torch.zeros_like(weight)) for name, weight in weights.items()}


def shuffled(masks: Weights, generator: torch.Generator) -> Weights:
    """Masks with as many True entries a layer, at random places: the control that keeps nothing but the sizes.

    Chapter: book/ch06_pruning
    """
    return {
        name: mask.flatten()[torch.randperm(mask.numel(), generator=generator)].view(mask.shape)
        for name, mask in masks.items()
    }
