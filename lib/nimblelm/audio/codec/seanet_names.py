"""The names of a published SEANet's weights, and its weight norms multiplied out."""

from collections.abc import Mapping

from torch import Tensor, nn

from nimblelm.audio.codec.causal_conv import CausalConv1d, CausalConvTranspose1d
from nimblelm.audio.codec.seanet import Chain, ResidualUnit, StreamedLSTM

GAIN, DIRECTION = ".parametrizations.weight.original0", ".parametrizations.weight.original1"
SAVED = {".weight_g": GAIN, ".weight_v": DIRECTION}  # as older files have them


def folded(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights without weight normalization: w = g v / |v|, the norm over all but the first dimension.

    (Salimans and Kingma, 2016, arXiv:1602.07868, eq. 2)
    """
    named = {_parametrized(name): weight for name, weight in weights.items()}
    found = {name: weight for name, weight in named.items() if not name.endswith((GAIN, DIRECTION))}
    for name in [name for name in named if name.endswith(DIRECTION)]:
        stem, direction = name.removesuffix(DIRECTION), named[name]
        norm = direction.flatten(1).norm(dim=1).reshape(-1, *[1] * (direction.ndim - 1))
        found[f"{stem}.weight"] = named[stem + GAIN] * direction / norm
    return found


def _parametrized(name: str) -> str:
    ending = next((ending for ending in SAVED if name.endswith(ending)), None)
    return name if ending is None else name.removesuffix(ending) + SAVED[ending]


def seanet_names(model: nn.Module) -> dict[str, str]:
    """Rules that rename the weights of encoder and decoder: theirs -> ours, layer by layer as both count them."""
    rules: dict[str, str] = {}
    for part in ("encoder", "decoder"):
        chain = getattr(model, part)
        assert isinstance(chain, Chain)
        for i, layer in enumerate(chain):
            theirs, ours = f"{part}.layers.{i}", f"{part}.{i}"
            if isinstance(layer, ResidualUnit):
                rules |= {f"{theirs}.block.1": f"{ours}.mix", f"{theirs}.block.3": f"{ours}.out"}
                rules[f"{theirs}.shortcut"] = f"{ours}.shortcut"
            elif isinstance(layer, CausalConv1d | CausalConvTranspose1d | StreamedLSTM):
                rules[theirs] = ours
    return rules
