"""Who sees whom: attention as a function of queries, keys and values, which a model takes as an argument."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nimblelm.kernels.flash_attention import flash_attention
from nimblelm.kernels.shapes import check_attention

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]  # q (B, T, H, D), k and v (B, S, Hkv, D) -> (B, T, H, D)


class Past(NamedTuple):
    """What a pass over T new tokens builds on: an `Attend` for each layer, and where the tokens stand.

    A cache makes one for each pass; its functions write the new keys and values where the cache wants them, and attend
    to what they find there.
    """

    attends: Sequence[Attend]
    positions: slice | Int[Tensor, "*rows T"]  # picks the tokens' rows of a table of positions


def causal(
    q: Float[Tensor, "B T H D"], k: Float[Tensor, "B S Hkv D"], v: Float[Tensor, "B S Hkv D"]
) -> Float[Tensor, "B T H D"]:
    """The last query sees every key, each one before it a key less.

    Chapter: book/ch04_flash_attention
    """
    return flash_attention(q, k, v, causal=q.shape[1] > 1)  # one query sees all: nothing is to be masked


def full(
    q: Float[Tensor, "B T H D"], k: Float[Tensor, "B S Hkv D"], v: Float[Tensor, "B S Hkv D"]
) -> Float[Tensor, "B T H D"]:
    """Every query sees every key.

    Chapter: book/ch04_flash_attention
    """
    return flash_attention(q, k, v)


def windowed(size: int) -> Attend:
    """`causal`, and no further back than `size` keys, the query's own included.

    Query i of T sees key j of S where 0 <= i + S - T - j < size      (Beltagy et al., 2020, arXiv:2004.05150,
    section 3.1; Jiang et al., 2023, arXiv:2310.06825, section 2)

    Raises:
        ValueError: size is below 1.
    """
    if size < 1:
        raise ValueError(f"a window of {size} keys is below 1")

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if k.shape[1] <= size:
            return causal(q, k, v)
        return masked(band(q.shape[1], k.shape[1], size, q.device))(q, k, v)

    return attend


def band(
    num_queries: int, num_keys: int, size: int | None = None, device: torch.device | None = None
) -> Bool[Tensor, "T S"]:
    """What each query sees of the keys, under `windowed(size)` or, without a size, under `causal`.

    For masks that hide more than that, such as padding: `masked(band(T, S) & keys_that_are_tokens)`.
    """
    last = num_keys - num_queries  # the key of the first query
    visible = torch.ones(num_queries, num_keys, dtype=torch.bool, device=device).tril(last)
    return visible if size is None else visible.triu(last - size + 1)


def prefix_mask(prefix: Int[Tensor, "B"], length: int) -> Bool[Tensor, "B 1 T T"]:
    """What tokens see where a prefix, picture and question, is read as a whole, an answer word by word.

    A token sees all of the prefix and, behind it, those before it (Raffel et al., 2020, arXiv:1910.10683, section
    3.2.1; Beyer et al., 2024, arXiv:2407.07726, figure 2: PaliGemma).

    Args:
        prefix: length of each sequence's prefix; 0 gives the causal mask.
        length: tokens of all sequences, T.

    Raises:
        ValueError: a prefix is negative or longer than the sequence.

    Chapter: book/ch11_language_models_that_see
    """
    prefix = prefix.long()  # narrow integers would wrap
    if length < 1 or ((prefix < 0) | (prefix > length)).any():
        raise ValueError(f"prefixes {prefix.tolist()} are not between 0 and the {length} tokens")
    inside = torch.arange(length, device=prefix.device) < prefix[:, None]  # (B, T)
    return (band(length, length, device=prefix.device) | inside[:, None, :])[:, None]


def masked(visible: Bool[Tensor, "*#batch T S"]) -> Attend:
    """Queries see the keys where `visible` is true: padding, trees, prefixes.

    A query that sees no key gives 0.

    Args:
        visible: (T, S), or with the batch and the heads before, as far as they differ: (B, 1, 1, S) hides padding.

    Raises:
        ValueError: visible holds no booleans; when called, q, k, v and visible do not fit each other.
    """
    _check_visible(visible)
    return lambda q, k, v: _attention(q, k, v, visible, None)


def biased(bias: Float[Tensor, "*#batch T S"], scale: float | None = None) -> Attend:
    """Softmax of scores to which a bias is added: relative positions; -inf hides a key.

    softmax(scale Q K^T + B) V       (Raffel et al., 2020, arXiv:1910.10683, section 2.1, where scale is 1)

    Args:
        bias: B, (T, S) or with the batch and the heads before, as far as they differ.
        scale: factor of the scores, 1 / sqrt(D) by default.

    Raises:
        ValueError: the bias holds no real numbers; when called, q, k, v and the bias do not fit each other.
    """
    if not bias.is_floating_point():
        raise ValueError(f"the bias holds {bias.dtype}, numbers that are added to scores are needed")
    return lambda q, k, v: _attention(q, k, v, bias.to(q.dtype), scale)


def _check_visible(visible: Tensor) -> None:
    if visible.dtype != torch.bool:  # torch would add a float mask to the scores: 0 and 1 hide nothing
        raise ValueError(f"visible holds {visible.dtype}, booleans are needed")


def _check_mask(mask: Tensor, q: Tensor, k: Tensor) -> None:
    """Raise ValueError where a mask's dimensions, from the last on, are neither those of the scores nor 1."""
    (batch, queries, heads, _), keys, shape = q.shape, k.shape[1], tuple(mask.shape)
    fits = zip(reversed(shape), (keys, queries, heads, batch), strict=False)
    if not 2 <= len(shape) <= 4 or any(size not in (1, full) for size, full in fits):
        raise ValueError(f"a mask {shape} does not fit scores {(batch, heads, queries, keys)}")


def _attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, scale: float | None) -> Tensor:
    check_attention(q, k, v)
    _check_mask(mask, q, k)
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    gqa = q.shape[1] != k.shape[1]
    return F.scaled_dot_product_attention(q, k, v, mask, scale=scale, enable_gqa=gqa).transpose(1, 2)


def recorded(maps: list[Tensor], visible: Bool[Tensor, "*#batch T S"] | None = None) -> Attend:
    """`masked`, or `full` where nothing is said, with the softmax weights (B, H, T, S) of each call appended to `maps`.

    A model that is given one of these for all its layers leaves their attention maps behind, the first layer's first.
    Scores and weights are computed in float32 at least: those of float16 may not fit it.

    Raises:
        ValueError: as `masked`.
    """
    if visible is not None:
        _check_visible(visible)

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        check_attention(q, k, v)
        wide = torch.promote_types(q.dtype, torch.float32)
        query, key, value = (x.transpose(1, 2).to(wide) for x in (q, k, v))
        key, value = (x.repeat_interleave(q.shape[2] // k.shape[2], dim=1) for x in (key, value))
        scores = query * q.shape[-1] ** -0.5 @ key.mT
        if visible is None:
            weights = scores.softmax(-1)
        else:  # finite, then 0: a query that sees no key
            _check_mask(visible, q, k)
            weights = scores.masked_fill(~visible, torch.finfo(scores.dtype).min).softmax(-1) * visible
        maps.append(weights.to(q.dtype))
        return (weights @ value).transpose(1, 2).to(q.dtype)

    return attend
