"""Masks that an optimizer cannot undo."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle


@torch.no_grad()
def apply_masks(model: nn.Module, masks: Mapping[str, Tensor]) -> None:
    """Set the weights to 0 where their mask is False, in place.

    Args:
        masks: of some of the model's parameters, by their names.

    Raises:
        ValueError: the model has no such parameter, or one of another shape.

    Chapter: book/ch06_pruning
    """
    for weight, mask in _paired(model, masks):
        weight.masked_fill_(~mask, 0)


def hold_masks(model: nn.Module, optimizer: torch.optim.Optimizer, masks: Mapping[str, Tensor]) -> RemovableHandle:
    """Apply the masks now and after every step of the optimizer, to the weights and to what it remembers of them.

    A gradient that is set to 0 isn't enough: momentum of earlier gradients moves a weight from 0 for many steps,
    m_t = b1 m_{t-1} + (1 - b1) 0, w_t = w_{t-1} - lr m_t / (sqrt(v_t) + eps).

    Returns:
        A handle whose `remove` lets the weights go.

    Raises:
        ValueError: as `apply_masks`, or the optimizer does not train a masked weight.

    Chapter: book/ch06_pruning
    """
    pairs = _paired(model, masks)
    trained = {id(p) for group in optimizer.param_groups for p in group["params"]}
    if untrained := [name for name, (weight, _) in zip(masks, pairs, strict=True) if id(weight) not in trained]:
        raise ValueError(f"the optimizer does not train {untrained}")

    @torch.no_grad()
    def hold(*_) -> None:
        for weight, mask in pairs:
            remembered = (x for x in optimizer.state[weight].values() if torch.is_tensor(x) and x.shape == weight.shape)
            for tensor in (weight, *remembered):
                tensor.masked_fill_(~mask, 0)

    hold()
    return optimizer.register_step_post_hook(hold)


def _paired(model: nn.Module, masks: Mapping[str, Tensor]) -> list[tuple[nn.Parameter, Tensor]]:
    own = dict(model.named_parameters())
    for name, mask in masks.items():
        if name not in own or own[name].shape != mask.shape or mask.dtype != torch.bool:
            known = tuple(own[name].shape) if name in own else "no such parameter"
            raise ValueError(f"{name} has a {mask.dtype} mask {tuple(mask.shape)}, the model {known}: bool is needed")
    return [(own[name], mask) for name, mask in masks.items()]


def share_of_zeros(weights: Iterable[Tensor]) -> float:
    """Share of the weights that are exactly 0.

    Raises:
        ValueError: there are no weights.

    Chapter: book/ch06_pruning
    """
    counts = [(int((weight == 0).sum()), weight.numel()) for weight in weights]
    if not sum(total for _, total in counts):
        raise ValueError("there are no weights")
    return sum(zeros for zeros, _ in counts) / sum(total for _, total in counts)
