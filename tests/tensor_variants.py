"""Tensors that are equal in value and lie differently in memory, and a check that a function does not mind.

A variant keeps what a caller may take for granted, value and shape, and changes what a caller may not have thought of:
strides, start, what lies around the view, dtype. The oracle is the same function in float64 on contiguous tensors.
"""

import re
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import torch
from torch import Tensor

Arguments = dict[str, Tensor]
TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-5, torch.float16: 1e-2, torch.bfloat16: 6e-2}
ALL = (torch.float32, torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class Case:
    """How one public function is called.

    Args:
        function: of the tensors by name; returns tensors, tuples, lists or records of them.
        tensors: makes the arguments, floating ones in float32.
        exact: the oracle, the function itself where it takes float64.
        dtypes: which the function serves.
        own_dtype: arguments that come in one dtype alone: laid out otherwise and expanded, but not rounded.
        fixed: arguments whose values say something (an order, a distribution, positions): laid out otherwise, but
            neither rounded nor expanded.
        tolerance: factor of the limit of error, where a result is less well conditioned than a mean.
        interpreted: it launches Triton kernels, and runs where the interpreter does.
        loud: how many times larger numbers must do in half precision, too; 1 where their rounding decides the answer.
    """

    function: Callable[..., Any]
    tensors: Callable[[], Arguments]
    exact: Callable[..., Any] | None = None
    dtypes: tuple[torch.dtype, ...] = ALL
    own_dtype: frozenset[str] = frozenset()
    fixed: frozenset[str] = frozenset()
    tolerance: float = 1.0
    interpreted: bool = False
    loud: float = 128.0


@dataclass(frozen=True)
class Exempt:
    """A public function that no case holds, and why: one line."""

    reason: str


def layouts(x: Tensor) -> Iterator[tuple[str, Tensor]]:
    """x in every way to lie in memory that its shape allows. What lies around a view is NaN, or a number far off."""
    if x.dim() == 0:
        return
    yield "every second row", _in_room(x, [2, *[1] * (x.dim() - 1)])
    yield "every second column", _in_room(x, [*[1] * (x.dim() - 1), 2])
    yield "inside of a larger buffer", _in_room(x, [1] * x.dim(), margin=1)
    if x.dim() >= 2:
        yield "stored by column", x.mT.contiguous().mT
        yield (
            "stored from the last dimension to the first",
            x.permute(*reversed(range(x.dim()))).contiguous().permute(*reversed(range(x.dim()))),
        )
    if x.dim() >= 3:
        yield "first two dimensions swapped", x.transpose(0, 1).contiguous().transpose(0, 1)
    if x.dim() >= 4:
        yield "head-major", x.transpose(1, 2).contiguous().transpose(1, 2)


def expansions(x: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Tensors of x's shape in which one entry of memory stands for many: other values than x's."""
    if x.numel() == 0:
        return
    for dim in range(x.dim()):
        if x.shape[dim] > 1:
            yield f"expanded along dimension {dim}", x.narrow(dim, 0, 1).expand(x.shape)
    if x.dim() and x.is_floating_point():
        yield "one number expanded", x.flatten()[0].expand(x.shape)


def variants(
    arguments: Arguments,
    dtypes: tuple[torch.dtype, ...] = ALL,
    own_dtype: frozenset[str] = frozenset(),
    fixed: frozenset[str] = frozenset(),
) -> Iterator[tuple[str, Arguments]]:
    """(what is odd, arguments): every layout of each tensor and of all, in every dtype for all, and mixed dtypes.

    Chains of everything would be too many: layouts are walked in the first dtype; in the others all tensors lie
    contiguously, then inside of larger buffers.
    """
    rounded = {n for n, x in arguments.items() if x.is_floating_point()} - own_dtype - fixed
    for dtype in dtypes:
        cast = _cast(arguments, dtype, rounded)
        yield f"all contiguous in {dtype}", cast
        if dtype != dtypes[0]:
            yield f"all inside of larger buffers in {dtype}", _everywhere(cast)["inside of a larger buffer"]
            for name in sorted(rounded) if len(rounded) > 1 else []:
                yield f"{name} alone in {dtype}", {**arguments, name: arguments[name].to(dtype)}
    first = _cast(arguments, dtypes[0], rounded)
    for name, x in first.items():
        for what, variant in [*layouts(x), *([] if name in fixed else expansions(x))]:
            yield f"{name} {what}", {**first, name: variant}
    for what, all_so in _everywhere(first).items():
        yield f"all {what}", all_so


def holds(case: Case) -> list[str]:
    """What a function does wrong, a sentence for each variant: nothing, where it is right.

    Every answer is that of float64 on contiguous tensors of the same values, within the coarsest dtype's tolerance, or
    a ValueError that names a tensor, a number or a dtype. On contiguous tensors of one dtype there must be an answer.
    """
    found, known, wanted = [], {}, None
    for what, arguments in variants(case.tensors(), case.dtypes, case.own_dtype, case.fixed):
        floating = {n for n, x in arguments.items() if x.is_floating_point()} - case.own_dtype
        contiguous = _cast({name: x.contiguous() for name, x in arguments.items()}, torch.float64, floating)
        before = {name: x.clone() for name, x in arguments.items()}
        if not _equal(contiguous, known):
            known, wanted = contiguous, _answer(case.exact or case.function, contiguous)
        try:
            got = _flat(case.function(**arguments))
        except ValueError as error:
            needless = wanted is not None and what.startswith("all contiguous")
            if needless or not re.search("|".join([*arguments, r"\d", "torch"]), str(error)):
                found.append(f"{what}: ValueError {error}")
            continue
        except Exception as error:
            found.append(f"{what}: {type(error).__name__}, {str(error).splitlines()[0] if str(error) else ''}")
            continue
        if wanted is None:
            found.append(f"{what}: the oracle refuses what the function takes")
            continue
        dtypes = [x.dtype for x in (*arguments.values(), *got) if x.is_floating_point()]
        limit = case.tolerance * max((TOLERANCE[dtype] for dtype in dtypes), default=0.0)
        found += [f"{what}: {wrong}" for wrong in _differences(got, wanted, limit)]
        found += [f"{what}: {n} was changed" for n, x in arguments.items() if not x.equal(before[n])]
    return found


def holds_elsewhere(case: Case) -> list[str]:
    """What a function gets wrong in silence where it need not give an answer.

    Numbers that make sums, squares and quotients of half precision overflow or vanish, though the answer would not; the
    dtypes that the case leaves out; whole numbers in narrow dtypes, which wrap around. An error of any kind is loud.
    """
    found = []
    for what, arguments in _unusual(case):
        wide = {name: _widened(x, name in case.own_dtype) for name, x in arguments.items()}
        try:
            got, wanted = _flat(case.function(**arguments)), _answer(case.exact or case.function, wide)
        except Exception:
            continue
        if wanted is None:
            continue
        dtypes = [x.dtype for x in (*arguments.values(), *got) if x.is_floating_point()]
        limit = case.tolerance * max((TOLERANCE[dtype] for dtype in dtypes), default=0.0)
        found += [f"{what}: {wrong}" for wrong in _differences(*_representable(got, wanted), limit)]
    return found


FAINT = 2.0**-10
NARROW = (torch.uint8, torch.int8, torch.int32)


def _unusual(case: Case) -> Iterator[tuple[str, Arguments]]:
    arguments = case.tensors()
    rounded = {n for n, x in arguments.items() if x.is_floating_point()} - case.own_dtype - case.fixed
    for dtype in (torch.float16, torch.bfloat16) if rounded else ():
        for scale in (1.0, case.loud, FAINT):
            scaled = {name: scale * x if name in rounded else x for name, x in arguments.items()}
            yield f"times {scale:g} in {dtype}", _cast(scaled, dtype, rounded)
    for name, x in arguments.items():
        whole = not x.is_floating_point() and not x.is_complex() and x.dtype != torch.bool
        for dtype in NARROW if whole else ():
            if x.to(dtype).to(x.dtype).equal(x):
                yield f"{name} in {dtype}", {**arguments, name: x.to(dtype)}


def _widened(x: Tensor, own_dtype: bool) -> Tensor:
    if x.is_floating_point():
        return x if own_dtype else x.double()
    return x.long() if x.dtype in NARROW else x


def _representable(got: list[Tensor], wanted: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Both without the numbers that the dtype of the result does not hold."""
    pairs = []
    for x, y in zip(got, wanted, strict=True):
        if x.shape == y.shape and x.is_floating_point():
            held = y.abs() < torch.finfo(x.dtype).max * (1 - TOLERANCE[x.dtype])
            held |= ~y.isfinite()
            x, y = x[held], y[held]
        elif x.shape == y.shape:
            x, y = x.long(), y.long()
        pairs.append((x, y))
    return [x for x, _ in pairs], [y for _, y in pairs]


def _answer(function: Callable[..., Any], arguments: Arguments) -> list[Tensor] | None:
    """The tensors of the result; None where the arguments' values are refused."""
    try:
        return _flat(function(**arguments))
    except ValueError:
        return None


def _equal(arguments: Arguments, others: Arguments) -> bool:
    return arguments.keys() == others.keys() and all(x.equal(others[name]) for name, x in arguments.items())


def _differences(got: list[Tensor], wanted: list[Tensor], limit: float) -> Iterator[str]:
    if len(got) != len(wanted):
        yield f"{len(got)} results, {len(wanted)} were due"
    finite_parts = [y[y.isfinite()].abs() for y in wanted if y.is_floating_point()]
    size = max((y.max().item() for y in finite_parts if y.numel()), default=0.0)
    for i, (x, y) in enumerate(zip(got, wanted, strict=False)):
        if x.shape != y.shape:
            yield f"result {i} is {tuple(x.shape)}, not {tuple(y.shape)}"
        elif not x.is_floating_point():
            if not x.equal(y):
                yield f"result {i} differs"
        else:
            finite = y.isfinite()
            if not (x.isfinite() == finite).all():
                yield f"result {i} is not finite where it should be, or the other way round"
            elif finite.any():
                error = (x.double() - y)[finite].abs().max().item()
                subnormal = torch.finfo(x.dtype).smallest_normal * torch.finfo(x.dtype).eps
                if not error <= limit * size + subnormal:
                    yield f"result {i} is off by {error:.3g}, the largest entry of all is {size:.3g}"


def _everywhere(arguments: Arguments) -> dict[str, Arguments]:
    """Name of a layout -> all tensors that have it laid out so."""
    found: dict[str, Arguments] = {}
    for name, x in arguments.items():
        for what, variant in layouts(x):
            found.setdefault(what, dict(arguments))[name] = variant
    return found


def _cast(arguments: Arguments, dtype: torch.dtype, names: Set[str]) -> Arguments:
    return {name: x.to(dtype) if name in names else x for name, x in arguments.items()}


def _in_room(x: Tensor, steps: list[int], margin: int = 0) -> Tensor:
    """x as a view of a larger tensor, `steps` apart, with `margin` rows around it."""
    room = torch.empty([n * step + 2 * margin for n, step in zip(x.shape, steps, strict=True)], dtype=x.dtype)
    room.fill_(float("nan") if x.is_floating_point() else x.dtype == torch.bool or 101)
    view = room[tuple(slice(margin, margin + n * step, step) for n, step in zip(x.shape, steps, strict=True))]
    return view.copy_(x)


def _flat(result: Any) -> list[Tensor]:
    """The tensors of a result, in order."""
    if isinstance(result, Tensor):
        return [result.detach()]
    if is_dataclass(result):
        return [x for field in fields(result) for x in _flat(getattr(result, field.name))]
    if isinstance(result, dict):
        return [x for key in result for x in _flat(result[key])]
    if isinstance(result, tuple | list):
        return [x for part in result for x in _flat(part)]
    return [] if result is None else [torch.tensor(result)]
