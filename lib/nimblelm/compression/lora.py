"""LoRA: a frozen layer, and beside it a product of two thin matrices that learns."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

PROJECTIONS = ("q_proj", "k_proj", "v_proj", "out_proj", "gate_up_proj", "down_proj")


class LoRALinear(nn.Module):
    """y = base(x) + (alpha / r) B A x      (Hu et al., 2021, arXiv:2106.09685, eq. 3)

    A (r, in) begins at random as a linear layer's weight does, B (out, r) at zero: a fresh adapter changes nothing.
    The base layer is frozen.

    Args:
        base: a linear layer without a merged adapter; `nn.Linear`, or one with quantized weights.
        rank: r.
        alpha: with r the scale of what is added, so that r can change without the learning rate.
        generator: draws A.

    Raises:
        ValueError: the base has an adapter already, rank is below 1 or above what it has, or alpha is not above 0 and
            finite.

    Chapter: book/ch05_quantization_and_lora
    """

    def __init__(self, base: nn.Module, rank: int, alpha: float, generator: torch.Generator | None = None):
        super().__init__()
        check_adapter(base, rank, alpha)
        width_in, width_out = int(base.in_features), int(base.out_features)  # pyright: ignore[reportArgumentType]
        self.base, self.in_features, self.out_features = base.requires_grad_(False), width_in, width_out
        self.scale = alpha / rank
        bound = 1 / math.sqrt(width_in)
        like = next((p for p in base.parameters()), None)
        dtype = like.dtype if like is not None and like.is_floating_point() else torch.float32
        drawn = torch.empty(rank, width_in, dtype=dtype).uniform_(-bound, bound, generator=generator)
        self.A, self.B = nn.Parameter(drawn), nn.Parameter(torch.zeros(width_out, rank, dtype=dtype))

    def forward(self, x: Float[Tensor, "*batch in"]) -> Float[Tensor, "*batch out"]:
        return self.base(x) + self.scale * F.linear(F.linear(x, self.A), self.B)

    def delta(self) -> Float[Tensor, "out in"]:
        """What the adapter adds to the weight: (alpha / r) B A."""
        return self.scale * self.B @ self.A


def check_adapter(base: nn.Module, rank: int, alpha: float) -> None:
    """Whether a layer can have such an adapter; raises what `LoRALinear` does, and changes nothing."""
    if isinstance(base, LoRALinear):
        raise ValueError(f"a layer of {base.out_features} x {base.in_features} has an adapter already: merge it first")
    narrowest = min(int(base.in_features), int(base.out_features))  # pyright: ignore[reportArgumentType]
    if not 1 <= rank <= narrowest:
        raise ValueError(f"rank {rank} must be from 1 to {narrowest}")
    if not 0 < alpha < math.inf:
        raise ValueError(f"alpha {alpha} must be above 0 and finite")


def named_layers(model: nn.Module, targets: Sequence[str]) -> list[tuple[nn.Module, str]]:
    """(parent, last name) of each layer with one of the names.

    Raises:
        ValueError: there is none, or one layer stands in two places: an adapter in each would count twice.
    """
    found = [(parent, name) for parent in model.modules() for name, _ in parent.named_children() if name in targets]
    if not found:
        raise ValueError(f"no layer is named one of {list(targets)}")
    if len({id(getattr(parent, name)) for parent, name in found}) < len(found):
        raise ValueError(f"a layer named one of {list(targets)} stands in two places of the model")
    return found


def add_lora(
    model: nn.Module,
    rank: int,
    alpha: float,
    targets: Sequence[str] = PROJECTIONS,
    generator: torch.Generator | None = None,
) -> nn.Module:
    """Freeze a model and put an adapter beside each linear layer that is named; the model itself is changed.

    Dettmers et al. (2023, arXiv:2305.14314, section 4) find that all projections of a block must have one to reach
    full fine-tuning; Hu et al. (2021) adapt queries and values only.

    Args:
        model: whose layers' last names are looked up.
        rank, alpha, generator: of `LoRALinear`.
        targets: last names of the layers.

    Raises:
        ValueError: no layer has one of the names, or one stands in two places; as `LoRALinear`. Nothing is changed
            then.

    Chapter: book/ch05_quantization_and_lora
    """
    found = named_layers(model, targets)
    for parent, name in found:
        check_adapter(getattr(parent, name), rank, alpha)
    model.requires_grad_(False)
    for parent, name in found:
        setattr(parent, name, LoRALinear(getattr(parent, name), rank, alpha, generator))
    return model


def adapters(model: nn.Module) -> Iterator[tuple[str, LoRALinear]]:
    """Every adapter with its layer's name.

    Chapter: book/ch05_quantization_and_lora
    """
    return ((name, module) for name, module in model.named_modules() if isinstance(module, LoRALinear))


def adapter_weights(model: nn.Module) -> dict[str, Tensor]:
    """A and B of every adapter: all that training changed, and all that is to be saved."""
    return {f"{name}.{part}": getattr(m, part).detach() for name, m in adapters(model) for part in ("A", "B")}


def load_adapter(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Copy what `adapter_weights` gave into a model with adapters of the same shapes.

    Raises:
        ValueError: names or shapes differ.
    """
    own = adapter_weights(model)
    if own.keys() != weights.keys() or any(own[name].shape != weights[name].shape for name in own):
        raise ValueError(f"the adapter has the weights {sorted(weights)}, the model {sorted(own)}")
    for name, weight in weights.items():
        own[name].copy_(weight)


@torch.no_grad()
def merge_lora(model: nn.Module) -> nn.Module:
    """Add each adapter to its layer's weight and leave the plain layer in its place; the model itself is changed.

    W' = W + (alpha / r) B A: no latency remains      (Hu et al., 2021, arXiv:2106.09685, section 4.1)

    Raises:
        ValueError: a base is not a plain linear layer (a quantized one has no weight that could take the sum), or
            another layer has the same weight. Nothing is changed then.

    Chapter: book/ch05_quantization_and_lora
    """
    found = list(adapters(model))
    users = Counter(id(weight) for module in model.modules() for weight in module.parameters(recurse=False))
    for name, adapter in found:
        if type(adapter.base) is not nn.Linear:
            raise ValueError(f"{name} stands on {type(adapter.base).__name__}, which has no weight to add to")
        if users[id(adapter.base.weight)] > 1:
            raise ValueError(f"{name} has its weight in common with another layer, which the sum would change")
    for name, adapter in found:
        assert isinstance(adapter.base, nn.Linear)
        adapter.base.weight += adapter.delta().to(adapter.base.weight.dtype)
        parent, _, last = name.rpartition(".")
        setattr(model.get_submodule(parent), last, adapter.base)
    return model
