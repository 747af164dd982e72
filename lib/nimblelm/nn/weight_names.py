"""Weights under other names: rules that turn a published model's parameters into ours, and back."""

import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

TRANSPOSED = "^T"  # behind a name: that matrix is stored the other way round


def renamed(weights: Mapping[str, Tensor], rules: Mapping[str, str]) -> dict[str, Tensor]:
    """Every weight under its name in the other model.

    A rule `"layers.{}.self_attn.q_proj": "blocks.{}.attention.q_proj"` renames a module or a parameter, whatever comes
    behind it, such as `.weight`; `{}` is a number, the same on both sides. `"gate + up": "gate_up"` lays matrices one
    below the other, and `"qkv": "q + k + v"` cuts one into equal parts. `^T` behind a name transposes, as weights
    stored by columns need. What a rule names with `""` is left out.

    Args:
        weights: by the names on the rules' left sides.
        rules: left side -> right side; the first that fits a name is taken. `reverse` turns them round.

    Raises:
        ValueError: no rule fits a name, a part of a concatenation is missing, parts are not equal, or two weights come
            to one name.
    """
    found: dict[str, Tensor] = {}
    taken: set[str] = set()
    for name in weights:
        if name in taken:
            continue
        sources, targets = _matching(name, rules)
        if missing := [source for source, _ in sources if source not in weights]:
            raise ValueError(f"{name} is to be joined with {missing}, which are not there")
        taken |= {source for source, _ in sources}
        whole = [weights[source].t() if turned else weights[source] for source, turned in sources]
        if twice := [target for target, _ in targets if target in found]:
            raise ValueError(f"{name} is renamed to {twice[0]}, and so is another")
        parts = _parts(whole, len(targets), name)
        found |= {target: part.t() if turned else part for (target, turned), part in zip(targets, parts, strict=True)}
    return found


def _parts(whole: list[Tensor], count: int, name: str) -> Sequence[Tensor]:
    """Tensors laid one below the other and cut into equal parts."""
    if len(whole) == count == 1:
        return whole  # a counter has no rows to join or cut
    joined = torch.cat(whole)
    if count and len(joined) % count:
        raise ValueError(f"the {len(joined)} rows of {name} are not {count} equal parts")
    return joined.chunk(count) if count else ()


def _matching(name: str, rules: Mapping[str, str]) -> tuple[list[tuple[str, bool]], list[tuple[str, bool]]]:
    """(names, whether transposed) on both sides of the rule that fits a name, numbers and ending put in."""
    for left, right in rules.items():
        for side in left.split(" + "):
            pattern = re.escape(side.removesuffix(TRANSPOSED)).replace(r"\{\}", r"(\d+)")
            if fits := re.fullmatch(rf"{pattern}((?:\.\w+)*)", name):
                *numbers, ending = fits.groups()
                return (_filled(left, numbers, ending), _filled(right, numbers, ending))
    raise ValueError(f"no rule names {name}")


def _filled(side: str, numbers: list[str], ending: str) -> list[tuple[str, bool]]:
    names = [name for name in side.split(" + ") if name]
    return [(name.removesuffix(TRANSPOSED).format(*numbers) + ending, name.endswith(TRANSPOSED)) for name in names]


def reverse(rules: Mapping[str, str]) -> dict[str, str]:
    """The rules of the way back; what was left out stays out."""
    return {right: left for left, right in rules.items() if right}
