"""Arithmetic coding: symbols in as many bits as their improbability is worth, to within a bit or two for the whole."""

from bisect import bisect_right
from collections.abc import Generator, Iterable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

PRECISION = 32  # bits of low and high; frequencies add up to far less
TOTAL = 1 << 16
_WHOLE, _HALF, _QUARTER = (1 << PRECISION) - 1, 1 << (PRECISION - 1), 1 << (PRECISION - 2)


def cumulative_frequencies(probs: Float[Tensor, "V"], total: int = TOTAL) -> list[int]:
    """A distribution in whole numbers, summed up: symbol s has the interval from entry s to entry s + 1.

    Every symbol gets 1 and the share of what is left that its probability is: what is improbable costs many bits, but
    never infinitely many.

    Args:
        probs: a distribution over V symbols.
        total: what the frequencies add up to.

    Returns:
        V + 1 numbers from 0 to total.

    Raises:
        ValueError: not a distribution, or more symbols than the total or the coder's precision allows.

    Chapter: book/ch19_audio_codecs
    """
    size, probs = len(probs), probs.double().cpu()
    if not size <= total <= _QUARTER or not bool((probs >= 0).all()) or abs(float(probs.sum()) - 1) > 1e-3:
        raise ValueError(f"{size} probabilities that sum to {float(probs.sum()):g}: a distribution, of at most {total}")
    shares = probs.cumsum(0) / probs.sum() * (total - size)
    return [0, *(shares.round().long() + torch.arange(1, size + 1)).tolist()]


def arithmetic_encode(symbols: Iterable[tuple[int, Sequence[int]]]) -> list[int]:
    """Bits of a sequence of symbols, each given with the frequencies that it was expected with.

    An interval begins as 0 .. 1 and shrinks to the part of each symbol; a bit is sent as soon as both ends agree on it
    (Witten, Neal and Cleary, 1987, Comm. ACM 30, section 2).

    Args:
        symbols: (symbol, its `cumulative_frequencies`), one after the other; the frequencies may change each time.

    Raises:
        ValueError: a symbol that is out of range, or one of frequency 0; frequencies that add up to more than 2^30.

    Chapter: book/ch19_audio_codecs
    """
    low, high, pending, bits = 0, _WHOLE, 0, []

    def send(bit: int) -> None:
        nonlocal pending
        bits.extend([bit, *[1 - bit] * pending])
        pending = 0

    for symbol, cumulative in symbols:
        _check_total(cumulative)
        if not 0 <= symbol < len(cumulative) - 1 or cumulative[symbol] == cumulative[symbol + 1]:
            raise ValueError(f"symbol {symbol} of {len(cumulative) - 1} is out of range or of frequency 0")
        low, high = _narrowed(low, high, symbol, cumulative)
        while step := _agreed(low, high):
            bit, low, high = step
            if bit is None:
                pending += 1
            else:
                send(bit)
    pending += 1
    send(int(low >= _QUARTER))
    return bits


def arithmetic_decode(bits: Sequence[int]) -> Generator[int, Sequence[int], None]:
    """A coroutine that is sent the frequencies of the next symbol and gives the symbol.

    `decoder = arithmetic_decode(bits); next(decoder); symbol = decoder.send(cumulative)`. The frequencies must be those
    that the encoder had, to the last unit: both sides run the same model on what was decoded so far.

    Raises:
        ValueError: frequencies that add up to nothing, or to more than 2^30.

    Chapter: book/ch19_audio_codecs
    """
    low, high, read = 0, _WHOLE, PRECISION
    value = int("".join(map(str, [*bits[:PRECISION], *[0] * max(0, PRECISION - len(bits))])), 2)
    symbol = -1
    while True:
        cumulative = yield symbol
        _check_total(cumulative)
        width, total = high - low + 1, cumulative[-1]
        symbol = bisect_right(cumulative, ((value - low + 1) * total - 1) // width) - 1
        low, high = _narrowed(low, high, symbol, cumulative)
        while step := _agreed(low, high):
            bit, low, high = step
            taken = _QUARTER if bit is None else bit * _HALF
            value = 2 * (value - taken) + (bits[read] if read < len(bits) else 0)
            read += 1


def _check_total(cumulative: Sequence[int]) -> None:
    """An interval is never narrower than a quarter: with more than that, a symbol's part of it could be empty."""
    if not 0 < cumulative[-1] <= _QUARTER:
        raise ValueError(f"frequencies add up to {cumulative[-1]}: 1 to {_QUARTER} can be coded")


def _narrowed(low: int, high: int, symbol: int, cumulative: Sequence[int]) -> tuple[int, int]:
    """The part of the interval that is the symbol's."""
    width, total = high - low + 1, cumulative[-1]
    return low + width * cumulative[symbol] // total, low + width * cumulative[symbol + 1] // total - 1


def _agreed(low: int, high: int) -> tuple[int | None, int, int] | None:
    """The bit that both ends agree on, none yet if they straddle the middle closely, and the interval made twice as
    wide."""
    if high < _HALF:
        bit, taken = 0, 0
    elif low >= _HALF:
        bit, taken = 1, _HALF
    elif low >= _QUARTER and high < 3 * _QUARTER:
        bit, taken = None, _QUARTER
    else:
        return None
    return bit, 2 * (low - taken), 2 * (high - taken) + 1
