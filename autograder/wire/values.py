"""What may cross between judge and worker: plain values as a small JSON tree, tensors as bytes beside it.

Everything is copied and nothing is executed. The judge reads trees that a hostile worker wrote, so types, depth and
sizes are checked before use, and whatever does not fit raises ProtocolError and nothing else.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np
import torch

MAX_DEPTH = 16
MAX_VALUES = 50_000
MAX_TEXT = 65_536  # characters of one string
MAX_DIMENSIONS = 8
ARENA_BYTES = 256 * 2**20  # in each direction
ALIGNMENT = 64
NUMBER_BYTES = 4  # what a number of a tensor counts for at least: whoever looks at it may have to widen or list it
TENSOR_BYTES = 1024  # and a tensor, which is an object
DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        *(torch.float64, torch.float32, torch.float16, torch.bfloat16),
        *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
    )
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}
PLAIN = "numbers, text, tensors, arrays, and lists, tuples and dicts of them"
NON_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


class ProtocolError(Exception):
    """The other side sent what this protocol does not allow."""


@dataclass(frozen=True)
class Seed:
    """Stands for `torch.Generator().manual_seed(value)`, made on the worker's side."""

    value: int


@dataclass(frozen=True, eq=False)
class Callback:
    """Stands for a callable whose calls come back to the judge."""

    function: Callable[..., Any]


class Remote:
    """Stands for `attribute(*args, **kwargs)`, built on the worker's side from "module:attribute" or ":setup_name".

    Args:
        target: what to call.
        keep: build it once for each worker and use it again in later calls with the same target and arguments.
    """

    def __init__(self, target: str, *args: Any, keep: bool = False, **kwargs: Any) -> None:
        if target.count(":") != 1 or target.endswith(":"):
            raise ValueError(f"target {target!r} is not of the form 'module:attribute' or ':name'")
        if keep and not all(isinstance(arg, bool | int | float | str | None) for arg in (*args, *kwargs.values())):
            raise ValueError(f"{target} is to be kept: its arguments must be numbers or strings")
        self.target, self.args, self.kwargs, self.keep = target, args, kwargs, keep


class Arena:
    """One direction of the shared memory: tensors are put one after the other and taken as private copies."""

    def __init__(self, memory: Any, start: int = 0, size: int = ARENA_BYTES) -> None:
        self.bytes = torch.frombuffer(memory, dtype=torch.uint8, count=size, offset=start)
        self.copy: Callable[[torch.Tensor], torch.Tensor] = torch.Tensor.clone  # of bytes, on their way out
        self._end = 0
        self.size = size

    def clear(self) -> None:
        """Begin a new message."""
        self._end = 0

    def poison(self) -> None:
        """Overwrite what was put or taken since the last time, so that no earlier answer can stand for the next."""
        self.bytes[: self._end] = 0xFF
        self._end = 0

    def put(self, tensor: torch.Tensor) -> list[Any]:
        """Copy a tensor in and return its description [dtype, shape, offset].

        Raises:
            ValueError: its dtype is not among those that cross, or the arena is full.
        """
        if tensor.dtype not in NAMES:
            raise ValueError(f"a tensor of dtype {tensor.dtype} cannot cross, only {', '.join(DTYPES)}")
        raw = tensor.detach().contiguous().reshape(-1).view(torch.uint8)  # on whatever device
        offset, end = self._end, self._end + raw.numel()
        if end > self.size:
            raise ValueError(f"the tensors take more than the {self.size / 2**20:g} MB that may cross in one message")
        self.bytes[offset:end] = raw
        self._end = -(-end // ALIGNMENT) * ALIGNMENT
        return [NAMES[tensor.dtype], list(tensor.shape), offset]

    def take(self, description: Any, budget: "Budget") -> torch.Tensor:
        """A copy of a described tensor, private to this process; its description is checked and its size charged."""
        if not (isinstance(description, list) and len(description) == 3):
            raise ProtocolError("a tensor's description is not [dtype, shape, offset]")
        name, shape, offset = description
        if not isinstance(name, str) or name not in DTYPES:
            raise ProtocolError("a tensor has an unknown dtype")
        if not isinstance(shape, list) or len(shape) > MAX_DIMENSIONS or not all(_is_size(n) for n in shape):
            raise ProtocolError("a tensor has an impossible shape")
        size = math.prod(shape) * DTYPES[name].itemsize
        if not _is_size(offset) or offset % ALIGNMENT or offset + size > self.size:
            raise ProtocolError("a tensor lies outside the shared memory")
        rows = math.prod(max(n, 1) for n in shape)  # many empty ones are many, too
        budget.charge_bytes(max(TENSOR_BYTES, rows * max(NUMBER_BYTES, DTYPES[name].itemsize)))
        self._end = max(self._end, offset + size)
        raw = self.copy(self.bytes[offset : offset + size])
        return (raw != 0 if name == "bool" else raw.view(DTYPES[name])).reshape(shape)


class Copies(Arena):
    """Stands in for shared memory within one process: it holds copies of the tensors themselves."""

    def __init__(self) -> None:
        super().__init__(bytearray(1), size=1)
        self.size = ARENA_BYTES
        self._tensors: list[torch.Tensor] = []

    def put(self, tensor: torch.Tensor) -> list[Any]:
        if tensor.dtype not in NAMES:
            raise ValueError(f"a tensor of dtype {tensor.dtype} cannot cross, only {', '.join(DTYPES)}")
        self._tensors.append(tensor.detach().cpu().clone())
        return [NAMES[tensor.dtype], list(tensor.shape), len(self._tensors) - 1]

    def take(self, description: Any, budget: "Budget") -> torch.Tensor:
        return self._tensors[description[2]]


class Budget:
    """What one message may still hold."""

    def __init__(self, size: int = ARENA_BYTES) -> None:
        self._values, self._bytes, self._size = MAX_VALUES, size, size

    def charge_value(self, depth: int) -> None:
        self._values -= 1
        if self._values < 0:
            raise ProtocolError(f"more than {MAX_VALUES} values in one message")
        if depth > MAX_DEPTH:
            raise ProtocolError(f"values nested more than {MAX_DEPTH} deep")

    @property
    def spent_bytes(self) -> int:
        return self._size - self._bytes

    def charge_bytes(self, size: int) -> None:
        self._bytes -= size
        if self._bytes < 0:
            raise ProtocolError(f"tensors of more than the {self._size / 2**20:g} MB that one message may bring")


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**48


def pack(value: Any, arena: Arena, special: Callable[[Any], Any] | None = None, depth: int = 0) -> Any:
    """The JSON tree of a value; its tensors are put into the arena.

    Dataclasses and named tuples become dicts, arrays tensors, array scalars numbers.

    Args:
        special: the JSON node of a Seed, Callback or Remote; None where they are not allowed.

    Raises:
        ValueError: it holds something that cannot cross.
    """
    if depth > MAX_DEPTH:
        raise ValueError(f"values nested more than {MAX_DEPTH} deep cannot cross")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise ValueError("an integer of more than 64 bits cannot cross")
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"float": str(float(value))}
    if isinstance(value, torch.Tensor):
        return {"tensor": arena.put(value)}
    if special is not None and isinstance(value, Seed | Callback | Remote):
        return special(value)
    if isinstance(value, np.ndarray | np.generic):
        return pack(_from_numpy(value), arena, depth=depth)
    if is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    elif isinstance(value, tuple) and hasattr(value, "_asdict"):
        value = value._asdict()  # type: ignore[attr-defined]
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise ValueError("a dict with keys that are not strings cannot cross")
        return {"dict": {str(key): pack(item, arena, special, depth + 1) for key, item in value.items()}}
    if isinstance(value, list | tuple):
        items = [pack(item, arena, special, depth + 1) for item in value]
        return items if isinstance(value, list) else {"tuple": items}
    raise ValueError(f"a value of type {type(value).__name__} cannot cross, only {PLAIN}")


def _from_numpy(value: Any) -> Any:
    if isinstance(value, np.generic):
        item = value.item()
        if isinstance(item, np.floating):  # of a long double
            return float(item)
        if isinstance(item, np.generic):
            raise ValueError(f"a number of type {type(item).__name__} cannot cross")
        return item
    try:
        return torch.from_numpy(np.ascontiguousarray(value)).reshape(value.shape)
    except TypeError:
        raise ValueError(f"an array of dtype {value.dtype} cannot cross") from None


def unpack(
    tree: Any,
    arena: Arena,
    special: Callable[[str, Any], Any] | None = None,
    budget: Budget | None = None,
    depth: int = 0,
) -> Any:
    """The value of a JSON tree, with private copies of its tensors.

    Args:
        special: builds what a Seed, Callback or Remote node stands for; None where they are not allowed.

    Raises:
        ProtocolError: the tree is not one that `pack` writes.
    """
    budget = budget or Budget(arena.size)
    budget.charge_value(depth)

    def inner(node: Any) -> Any:
        return unpack(node, arena, special, budget, depth + 1)

    if tree is None or isinstance(tree, bool):
        return tree
    if isinstance(tree, str):
        return checked_text(tree)
    if isinstance(tree, int):
        if not -(2**63) <= tree < 2**63:
            raise ProtocolError("an integer of more than 64 bits")
        return tree
    if isinstance(tree, float):
        if not math.isfinite(tree):
            raise ProtocolError("a number too large for a float")
        return tree
    if isinstance(tree, list):
        return [inner(node) for node in tree]
    if not isinstance(tree, dict) or len(tree) != 1:
        raise ProtocolError("a value of unknown form")
    kind, body = next(iter(tree.items()))
    if kind == "tensor":
        return arena.take(body, budget)
    if kind == "tuple" and isinstance(body, list):
        return tuple(inner(node) for node in body)
    if kind == "dict" and isinstance(body, dict):
        return {checked_text(key): inner(node) for key, node in body.items()}
    if kind == "float" and isinstance(body, str) and body in NON_FINITE:
        return NON_FINITE[body]
    if special is not None:
        return special(kind, body)
    raise ProtocolError("a value of unknown form")


def checked_text(text: str) -> str:
    """The same string, if it is Unicode text of bearable length."""
    if len(text) > MAX_TEXT:
        raise ProtocolError(f"a string of more than {MAX_TEXT} characters")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ProtocolError("a string that is not Unicode text") from None
    return text
