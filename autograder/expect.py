"""What a check expects of a result: equality, closeness, shape and dtype, and the law of random results."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import torch
from torch import Tensor

MAX_SHOWN = 160  # characters of a value in a message
MISSING_RETURN = "; is a `return` missing?"
MIN_EXPECTED = 5.0  # cells expected less often than this are pooled (Cochran's rule)


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
    if isinstance(value, Tensor) and value.numel() > MAX_SHOWN:  # a list of all of it could fill the judge's memory
        value = value.reshape(-1)[:MAX_SHOWN]
    value = _four_digits(value.tolist() if isinstance(value, Tensor) else value)
    text = " ".join(repr(value).split())
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "..."


def _four_digits(value: Any) -> Any:
    """Numbers as a person would write them: 0.1, not 0.10000000149011612."""
    if type(value) in (list, tuple):
        return type(value)(map(_four_digits, value))
    return float(f"{value:.4g}") if type(value) is float else value


def expect_equal(got: Any, want: Any, what: str, hint: str = "") -> None:
    """The same value of the same kind: True is not 1, 1.0 is not 1; a 0-d integer tensor may stand for an integer."""
    if isinstance(got, Tensor) and got.ndim == 0 and _kind(got) == _kind(want) and not isinstance(want, Tensor):
        got = got.item()
    if got is None and want is not None:
        fail(f"{what} is None{MISSING_RETURN}")
    if not _same(got, want):
        fail(_with(f"wrong: {what}", hint), got=got, want=want)


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


def expect_tensor(got: Any, what: str, shape: tuple | None = None, dtype: torch.dtype | str | None = None) -> Tensor:
    """The same tensor, of that shape (None matches any size) and dtype ("float" and "int" match any of their kind)."""
    if not isinstance(got, Tensor):
        fail(f"{what} should be a tensor, it is a {type(got).__name__}{MISSING_RETURN if got is None else ''}")
    if dtype is not None and dtype not in (got.dtype, _kind(got)):
        fail(f"{what} should have dtype {str(dtype).removeprefix('torch.')}", got=got.dtype)
    if shape is not None:
        matches = len(shape) == got.ndim and all(
            want in (None, size) for want, size in zip(shape, got.shape, strict=True)
        )
        if not matches:
            fail(f"{what} has the wrong shape", got=tuple(got.shape), want=shape)
    return got


def expect_parts(got: Any, function: str, *parts: str) -> tuple:
    """The several values that a function should return together, as a tuple; a list of them will do."""
    if not isinstance(got, list | tuple) or len(got) != len(parts):
        many = f" of {len(got)}" if isinstance(got, list | tuple) else ""
        kind = f"None{MISSING_RETURN}" if got is None else f"a {type(got).__name__}{many}"
        fail(f"`{function}` should return ({', '.join(parts)}), it returned {kind}")
    return tuple(got)


def expect_close(got: Any, want: Any, what: str, atol: float = 1e-6, rtol: float = 1e-5, hint: str = "") -> None:
    """Numbers or tensors within atol + rtol |want|; a NaN or infinity passes only where `want` has the same one."""
    wanted = torch.as_tensor(want, dtype=torch.float64)
    if isinstance(got, bool) or not isinstance(got, int | float | Tensor):
        kind = "a tensor" if wanted.ndim else "a number"
        fail(f"{what} should be {kind}, it is a {type(got).__name__}{MISSING_RETURN if got is None else ''}")
    found = torch.as_tensor(got).to(torch.float64)
    if found.shape != wanted.shape:
        fail(f"{what} has the wrong shape", got=tuple(found.shape), want=tuple(wanted.shape))
    if bool((found.isnan() & ~wanted.isnan()).any()):
        fail(_with(f"{what} holds NaN (not a number)", hint), got=got)
    if bool((found.isinf() & wanted.isfinite()).any()):
        fail(_with(f"{what} holds infinity", hint), got=got)
    if not torch.allclose(found, wanted, rtol=rtol, atol=atol, equal_nan=True):
        off = (found - wanted).abs().nan_to_num(nan=math.inf).max().item()
        fail(_with(f"wrong: {what}, off by up to {off:.3g}", hint), got=got, want=want)


def _with(message: str, hint: str) -> str:
    return f"{message}; {hint}" if hint else message


def expect_law(draws: Any, probs: Tensor, what: str, significance: float = 1e-6, hint: str = "") -> None:
    """Draws follow a law: fails where a chi-square test rejects it.

    Args:
        draws: (n,) indices of categories.
        probs: (K,) their probabilities under the right law.
        significance: the chance that a right answer fails.
    """
    draws = expect_tensor(draws, what, shape=(None,), dtype="int")
    if len(draws) == 0 or int(draws.min()) < 0 or int(draws.max()) >= len(probs):
        fail(f"{what} should lie between 0 and {len(probs) - 1}", got=draws)
    counts = torch.bincount(draws.to(torch.int64), minlength=len(probs))
    if chi_square_test(counts, probs) < significance:
        fail(_with(f"{what} does not follow the right law in {len(draws)} draws", hint),
             frequencies=_rounded(counts / len(draws)), probabilities=_rounded(probs))  # fmt: skip


def _rounded(probs: Tensor) -> list[float]:
    return [round(float(p), 3) for p in probs[:8]]


def chi_square_test(counts: Tensor, probs: Tensor) -> float:
    """p-value of Pearson's chi-square test (Pearson, 1900): the chance of counts at least this far from n * probs.

    Cells expected less than 5 times are pooled into one; an outcome of probability 0 that was seen gives 0.0.

    Args:
        counts: (K,) how often each outcome was seen.
        probs: (K,) probabilities, normalised here.

    Raises:
        ValueError: the shapes differ, or nothing was counted.
    """
    seen, law = counts.to(torch.float64), probs.to(torch.float64)
    if seen.shape != law.shape or seen.ndim != 1 or seen.sum() <= 0:
        raise ValueError(
            f"counts {tuple(seen.shape)} and probs {tuple(law.shape)} do not match, or nothing was counted"
        )
    expected = law / law.sum() * seen.sum()
    if bool((seen[expected == 0] > 0).any()):
        return 0.0
    small = expected < MIN_EXPECTED
    seen, expected = _pooled(seen, small), _pooled(expected, small)
    degrees = int((expected > 0).sum()) - 1
    if degrees < 1:
        return 1.0
    keep = expected > 0
    statistic = ((seen - expected)[keep] ** 2 / expected[keep]).sum()
    return _upper_tail(statistic, degrees).item()


def _pooled(cells: Tensor, small: Tensor) -> Tensor:
    return torch.cat([cells[~small], cells[small].sum()[None]])


def _upper_tail(statistic: Tensor, degrees: int | Tensor) -> Tensor:
    """P(chi-square with that many degrees of freedom > statistic)."""
    half = torch.as_tensor(degrees, dtype=torch.float64) / 2
    return torch.special.gammaincc(half, torch.as_tensor(statistic, dtype=torch.float64) / 2)


def draws_needed(probs: Tensor, wrong_probs: Tensor, significance: float = 1e-6, power: float = 0.999) -> int:
    """How many draws a chi-square test needs to tell a wrong law from the right one.

    Under the wrong law the statistic is about noncentral chi-square with noncentrality n * sum((w - p)^2 / p) (Cohen,
    1988, chapter 7), a Poisson mixture of central ones.

    Args:
        probs, wrong_probs: (K,) the two laws.
        significance: the chance that the right law fails.
        power: the chance that the wrong one does.

    Raises:
        ValueError: the laws are equal.
    """
    p, w = (law.to(torch.float64) / law.to(torch.float64).sum() for law in (probs, wrong_probs))
    possible = p > 0
    effect = float(((w - p)[possible] ** 2 / p[possible]).sum())
    if effect < 1e-12:
        raise ValueError("the two laws are equal: no number of draws tells them apart")
    degrees = int(possible.sum()) - 1
    critical = _bisect(lambda x: _upper_tail(torch.tensor(x), degrees).item() < significance, 0.0, 1e4)
    enough = _bisect(lambda noncentrality: _noncentral_upper_tail(critical, degrees, noncentrality) > power, 0.0, 1e4)
    return math.ceil(enough / effect)


def _noncentral_upper_tail(statistic: float, degrees: int, noncentrality: float) -> float:
    mean = noncentrality / 2
    j = torch.arange(int(mean + 12 * math.sqrt(mean + 1)) + 20, dtype=torch.float64)
    weights = torch.exp(j * math.log(max(mean, 1e-300)) - mean - torch.lgamma(j + 1))
    return float((weights * _upper_tail(torch.tensor(statistic), degrees + 2 * j)).sum())


def _bisect(holds: Any, low: float, high: float) -> float:
    """The least x in the range for which a rising condition holds."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
