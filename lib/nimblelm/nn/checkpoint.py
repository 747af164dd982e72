"""One safetensors file for a model of any class: its weights, in full or in int8, and its configuration."""

import json
from dataclasses import MISSING, asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from nimblelm.kernels.weight_only_matmul import Int8Weight, quantize_int8

SCALES = ".scales"  # ends the name of an int8 matrix's scales

Model = TypeVar("Model", bound=nn.Module)


def save(model: nn.Module, path: Path, int8: bool = False) -> None:
    """Write a model's weights and `model.config` into one file; weights that its class shares are written once.

    However the weights lie in memory: decoders store them by column.

    Args:
        model: with a dataclass as its `config`.
        path: of the file.
        int8: a byte for each entry of a matrix, and a scale for each of its rows (`quantize_int8`).

    Raises:
        ValueError: weights differ that its class shares, the model has others than its class (adapters, layers that
            were packed), or, in int8, one is nan or infinite.
    """
    config: Any = model.config
    with torch.device("meta"):
        shared = _names_by_weight(type(model)(config))
    own, stored = model.state_dict(), {}
    if other := own.keys() ^ {name for names in shared for name in names}:
        raise ValueError(f"weights {sorted(other)[:3]} tell the model from a {type(model).__name__} as it is built")
    for name, *others in shared:
        if differing := [other for other in others if not torch.equal(own[other], own[name])]:
            raise ValueError(f"{differing[0]} differs from {name}, and {type(model).__name__} has one weight for both")
        stored[name] = own[name]
    metadata = {"model": type(model).__name__, "config": json.dumps(asdict(config))}
    save_file(to_int8(stored) if int8 else storable(stored), path, metadata)


def _names_by_weight(model: nn.Module) -> list[list[str]]:
    """The names of each weight and buffer; shared ones have several."""
    names: dict[int, list[str]] = {}
    for name, weight in model.state_dict(keep_vars=True).items():
        names.setdefault(id(weight), []).append(name)
    return list(names.values())


def load(model_class: type[Model], path: Path) -> Model:
    """Read what `save` wrote, in float32 and evaluation mode, without gradients.

    Args:
        model_class: its `config_class` is the dataclass that its constructor takes.
        path: of the file.

    Raises:
        ValueError: `save` did not write the file, or wrote a model of another class; as `load_weights`.
    """
    with safe_open(path, "pt") as file:
        metadata, stored = file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    config_class: Any = model_class.config_class  # pyright: ignore[reportAttributeAccessIssue]
    name, shape, known = metadata.get("model"), json.loads(metadata.get("config", "{}")), fields(config_class)
    needed, possible = {field.name for field in known if field.default is MISSING}, {field.name for field in known}
    if name not in (None, model_class.__name__) or not needed <= shape.keys() <= possible:
        raise ValueError(f"{path} holds a {name or 'model'} of configuration {shape}, not a {model_class.__name__}")
    model = model_class(_rebuilt(config_class, shape))
    load_weights(model, from_int8(stored))
    return model.eval().requires_grad_(False)


def _rebuilt(config_class: type, values: dict[str, Any]) -> Any:
    """A dataclass from what JSON made of it: dataclasses within it, and tuples instead of lists."""
    types: dict[str, Any] = {field.name: field.type for field in fields(config_class)}
    return config_class(
        **{
            name: _rebuilt(types[name], value)
            if is_dataclass(types[name])
            else tuple(value)
            if isinstance(value, list)
            else value
            for name, value in values.items()
        }
    )


def load_weights(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Copy weights into a model; of those that it shares one name is enough.

    Raises:
        ValueError: weights are missing, have another shape or are such as the model does not have, or differ where it
            shares one. The model is as it was.
    """
    own = _names_by_weight(model)
    missing = [names[0] for names in own if not weights.keys() & set(names)]
    unknown = sorted(weights.keys() - {name for names in own for name in names})
    if missing or unknown:
        raise ValueError(f"weights are missing: {missing}; the model has none of the names {unknown}")
    for names, shape in ((names, model.state_dict()[names[0]].shape) for names in own):
        first, *others = (name for name in names if name in weights)
        for name in (first, *others):
            if weights[name].shape != shape:
                raise ValueError(f"{name} has the shape {tuple(weights[name].shape)}, the model's {tuple(shape)}")
        if differing := [other for other in others if not torch.equal(weights[other], weights[first])]:
            raise ValueError(f"{differing[0]} differs from {first}, and the model has one weight for both")
    model.load_state_dict(weights, strict=False)


def to_int8(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Every matrix as int8 values and, under its name and `SCALES`, the scales of its rows; the rest as it is.

    A convolution's kernel is a matrix with a row for each channel that it gives.

    What comes back is `storable`.

    Raises:
        ValueError: a matrix holds nan or an infinity.
    """
    stored = dict(weights)
    for name, weight in weights.items():
        if weight.ndim == 2 or (weight.ndim in (3, 4) and len(weight) > 1):
            rounded = quantize_int8(weight.flatten(1))
            stored |= {name: rounded.values.view(weight.shape), name + SCALES: rounded.scales}
    return storable(stored)


def storable(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copies that lie row by row, each in memory of its own: safetensors takes no others."""
    return {name: weight.detach().clone(memory_format=torch.contiguous_format) for name, weight in weights.items()}


def from_int8(stored: dict[str, Tensor]) -> dict[str, Tensor]:
    """What `to_int8` stored, in float32; tensors without scales are taken as they are."""
    weights = {name: weight.to(torch.float32) for name, weight in stored.items() if not name.endswith(SCALES)}
    for name in [name for name in weights if name + SCALES in stored]:
        rows = Int8Weight(stored[name].flatten(1), stored[name + SCALES])
        weights[name] = rows.dequantize().view(stored[name].shape)
    return weights
