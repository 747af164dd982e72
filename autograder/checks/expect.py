"""What a check expects of a result: equality, closeness, shape and dtype, and the distribution of random results."""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, NoReturn

import torch
from torch import Tensor

from autograder.checks.differences import Shape, first_difference, first_wrong
from autograder.checks.statistics import chi_square_test

MAX_SHOWN = 160  # characters of a value in a message
# messages are made for any number of things, and "1 nodes" is none
_ONE_OF_MANY = re.compile(
    r"((?<![\w.,])1 (?:(?:new|free|more|drafted|waiting) )?)(?:(quer|entr)ies|"
    r"(block|call|draw|guess(?=e)|head|key|name|node|number|position|request|round|row|sample|sequence|split|state|step|tile|"
    r"token|uniform|weight)(?:e?s))\b"
)
MAX_BITS = 1024  # of a whole number that is written out
MISSING_RETURN = "; is a `return` missing?"


class CheckFailed(Exception):
    """The student's work does not pass a check; the message says why, for the student.

    Args:
        raised: the type of the exception that the student's code raised, where that is why.
    """

    def __init__(self, message: str, raised: str = "") -> None:
        super().__init__(message)
        self.raised = raised


def fail(message: str, **values: Any) -> NoReturn:
    """Fail the check; the values follow the message, shortened, as in "the sum is wrong (got=3, want=4)"."""
    shown = ", ".join(f"{name}={_short(value)}" for name, value in values.items())
    message = _ONE_OF_MANY.sub(lambda found: found[1] + (f"{found[2]}y" if found[2] else found[3]), message)
    raise CheckFailed(f"{message} ({shown})" if shown else message)


@contextmanager
def explained(**meanings: str) -> Iterator[None]:
    """Where the student's code raises one of these exceptions in here, say what it most likely means.

    Example: `with explained(IndexError="there is no row after the last one"): got = call("f", x)`
    """
    try:
        yield
    except CheckFailed as failure:
        if failure.raised not in meanings:
            raise
        raise CheckFailed(f"{failure} Most likely: {meanings[failure.raised]}.", failure.raised) from None


def _short(value: Any) -> str:
    text = " ".join(repr(_cut(value, [MAX_SHOWN])).split())
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "..."


def _cut(value: Any, room: list[int]) -> Any:
    """As much of a value as is shown, its numbers as a person would write them: 0.1, not 0.10000000149011612.

    It is cut before it is written out: what a student returned may be so large that its text would fill the memory.

    Args:
        room: how many values may still come; each takes a character at least.
    """
    room[0] -= 1
    if isinstance(value, Tensor):
        value = (value.reshape(-1)[:MAX_SHOWN] if value.numel() > MAX_SHOWN else value).tolist()
    if type(value) in (list, tuple):
        return type(value)(_cut(item, room) for item in value[:MAX_SHOWN] if room[0] > 0)
    if type(value) is dict:
        return {_cut(key, room): _cut(value[key], room) for key in islice(value, MAX_SHOWN) if room[0] > 0}
    if isinstance(value, str | bytes):
        return value[: MAX_SHOWN + 1]
    if type(value) is int and value.bit_length() > MAX_BITS:
        return f"a number of {value.bit_length()} bits"
    return float(f"{value:.4g}") if type(value) is float else value


def expect_equal(got: Any, want: Any, what: str, hint: str = "") -> None:
    """The same value of the same kind: True is not 1, 1.0 is not 1; a 0-d integer tensor may stand for an integer."""
    if isinstance(got, Tensor) and got.ndim == 0 and _kind(got) == _kind(want) and not isinstance(want, Tensor):
        got = got.item()
    if got is None and want is not None:
        fail(f"None came for {what}{MISSING_RETURN}")
    if not _same(got, want):
        fail(_with(f"wrong: {what}", hint), **_differing(got, want))


def _differing(got: Any, want: Any) -> dict[str, Any]:
    """What is shown of two values that are not the same: all of them where that is short."""
    if isinstance(want, Tensor):
        if isinstance(got, Tensor) and got.shape == want.shape and _kind(got) == _kind(want):
            return first_wrong(got, want, got != want)
        described = [_tensor_kind(one) if isinstance(one, Tensor) else one for one in (got, want)]
        return dict(zip(("got", "want"), described, strict=True))
    if all(len(_short(one)) < MAX_SHOWN for one in (got, want)):
        return {"got": got, "want": want}
    return first_difference(got, want, _same)


def _tensor_kind(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} of shape {tuple(tensor.shape)}"


def _same(got: Any, want: Any) -> bool:
    if isinstance(want, Tensor):
        return (
            isinstance(got, Tensor)
            and _kind(got) == _kind(want)
            and got.shape == want.shape
            and bool((got == want).all())
        )
    if isinstance(want, list | tuple):
        return type(got) is type(want) and len(got) == len(want) and all(map(_same, got, want))
    if isinstance(want, dict):
        return isinstance(got, dict) and got.keys() == want.keys() and all(_same(got[key], want[key]) for key in want)
    return type(got) is type(want) and got == want


def _kind(value: Any) -> str:
    if isinstance(value, Tensor):
        return "bool" if value.dtype == torch.bool else "float" if value.is_floating_point() else "int"
    return type(value).__name__


def expect_tensor(
    got: Any, what: str, shape: tuple | None = None, dtype: torch.dtype | str | None = None, dims: str = ""
) -> Tensor:
    """The same tensor, of that shape and dtype.

    Args:
        shape: None in it matches any size.
        dtype: "float" and "int" match any of their kind.
        dims: the names of the dimensions, as the exercise has them, with blanks between.
    """
    if not isinstance(got, Tensor):
        fail(f"{what} should be a tensor, not {_a(got)}")
    if dtype is not None and dtype not in (got.dtype, _kind(got)):
        wanted = dtype.removeprefix("torch.") if isinstance(dtype, str) else str(dtype).removeprefix("torch.")
        fail(f"{what} should have dtype {wanted}", got=str(got.dtype).removeprefix("torch."))
    if shape is not None:
        matches = len(shape) == got.ndim and all(
            want in (None, size) for want, size in zip(shape, got.shape, strict=True)
        )
        if not matches:
            fail(f"wrong shape: {what}", got=tuple(got.shape), want=Shape(shape, dims))
    return got


def _a(value: Any) -> str:
    """A value by its kind, in a sentence."""
    return f"None{MISSING_RETURN}" if value is None else f"a {type(value).__name__}"


def expect_parts(got: Any, function: str, *parts: str) -> tuple:
    """The several values that a function should return together, as a tuple; a list of them will do."""
    if not isinstance(got, list | tuple) or len(got) != len(parts):
        many = f" of {len(got)}" if isinstance(got, list | tuple) else ""
        kind = f"None{MISSING_RETURN}" if got is None else f"a {type(got).__name__}{many}"
        fail(f"`{function}` should return ({', '.join(parts)}), it returned {kind}")
    return tuple(got)


def expect_close(
    got: Any, want: Any, what: str, atol: float = 1e-6, rtol: float = 1e-5, hint: str = "", dims: str = ""
) -> None:
    """Numbers or tensors within atol + rtol |want|; a NaN or infinity passes only where `want` has the same one.

    `dims` names the dimensions, as in `expect_tensor`.
    """
    wanted = torch.as_tensor(want, dtype=torch.float64)
    if isinstance(got, bool) or not isinstance(got, int | float | Tensor):
        fail(f"{what} should be {'a tensor' if wanted.ndim else 'a number'}, not {_a(got)}")
    found = torch.as_tensor(got)
    if found.shape != wanted.shape:
        fail(f"wrong shape: {what}", got=tuple(found.shape), want=Shape(wanted.shape, dims))
    found = found.to(torch.float64)  # not before the shape: a tensor of bytes would grow eightfold
    for wrong, said in (
        (found.isnan() & ~wanted.isnan(), "NaN (not a number)"),
        (found.isinf() & wanted.isfinite(), "infinity"),
    ):
        if bool(wrong.any()):
            fail(_with(f"{said} in {what}{_share(wrong)}", hint), **first_wrong(found, wanted, wrong))
    wrong = ~torch.isclose(found, wanted, rtol=rtol, atol=atol, equal_nan=True)
    if bool(wrong.any()):
        off = (found - wanted).abs().nan_to_num(nan=math.inf).max().item()
        said = f"wrong: {what}, off by up to {off:.3g}{_share(wrong)}"
        fail(_with(said, hint), **first_wrong(found, wanted, wrong))


def _share(wrong: Tensor) -> str:
    """How many of several numbers are wrong."""
    return f" in {int(wrong.sum())} of {wrong.numel()} numbers" if wrong.numel() > 1 else ""


def _with(message: str, hint: str) -> str:
    return f"{message}; {hint}" if hint else message


def expect_distribution(draws: Any, probs: Tensor, what: str, significance: float = 1e-6, hint: str = "") -> None:
    """Draws follow a distribution: fails where a chi-square test rejects it.

    Args:
        draws: (n,) indices of categories.
        probs: (K,) their probabilities under the right distribution.
        significance: the chance that a right answer fails.
    """
    draws = expect_tensor(draws, what, shape=(None,), dtype="int")
    if len(draws) == 0 or int(draws.min()) < 0 or int(draws.max()) >= len(probs):
        fail(f"{what} should lie between 0 and {len(probs) - 1}", got=draws)
    counts = torch.bincount(draws.to(torch.int64), minlength=len(probs))
    if chi_square_test(counts, probs) < significance:
        fail(_with(f"{len(draws)} draws of {what} do not follow the right distribution", hint),
             frequencies=_rounded(counts / len(draws)), probabilities=_rounded(probs))  # fmt: skip


def _rounded(probs: Tensor) -> list[float]:
    return [round(float(p), 3) for p in probs[:8]]
