"""What can be told about a request before anything runs: lengths, token ids, vocabularies, rows of a cache."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Int
from torch import Tensor

from nimblelm.nn.attend import causal


@runtime_checkable
class Bounded(Protocol):
    """A model that says how many tokens it knows and how many rows its cache has; any other callable goes unchecked."""

    vocab_size: int
    max_seq_len: int


def check_request(
    models: Sequence[object],
    prompt: Int[Tensor, "P"],
    max_new_tokens: int,
    eos_token: int | None = None,
    rows_beyond: int = 0,
) -> None:
    """Raise ValueError for a request that the models cannot serve to its end.

    Args:
        models: what reads the tokens.
        prompt: one line of at least one token, all of every model's vocabulary.
        max_new_tokens: at least 1; the last of them is never read, so the caches need one row less than all tokens.
        eos_token: of the vocabulary.
        rows_beyond: rows that the decoder may use after these.
    """
    if prompt.ndim != 1:
        raise ValueError(f"the prompt has shape {tuple(prompt.shape)}, one line of tokens is needed")
    if prompt.dtype not in (torch.int64, torch.int32):
        raise ValueError(f"the prompt holds {prompt.dtype}, token ids are int64 or int32")
    if len(prompt) < 1:
        raise ValueError("the prompt holds 0 tokens, at least 1 is needed")
    if not max_new_tokens >= 1:
        raise ValueError(f"max_new_tokens {max_new_tokens} is below 1")
    bounded = [model for model in models if isinstance(model, Bounded)]
    check_vocabularies(bounded)
    for model in bounded[:1]:
        check_tokens(prompt, model.vocab_size)
        check_eos(eos_token, model.vocab_size)
    rows, needed = min((model.max_seq_len for model in bounded), default=None), len(prompt) + max_new_tokens - 1
    if rows is not None and needed + rows_beyond > rows:
        beyond = f" and {rows_beyond} beyond them" if rows_beyond else ""
        raise ValueError(
            f"{len(prompt)} prompt tokens and {max_new_tokens} new ones take {needed} rows{beyond}, "
            f"the cache holds {rows}"
        )


def check_sees_all(model: object) -> None:
    """Raise ValueError for a model with a window, where a decoder lets tokens see all that came before them."""
    if getattr(model, "attend", causal) is not causal:
        raise ValueError(
            f"the tokens of a {type(model).__name__} see a window, here they would see all before them: "
            "CachedModel and ragged_forward serve it"
        )


def check_tokens(tokens: Int[Tensor, "*shape"], vocab_size: int) -> None:
    """Raise ValueError for ids outside of the vocabulary; waits for the device."""
    if not tokens.numel():
        return
    lowest, highest = (end.item() for end in tokens.aminmax())
    if lowest < 0 or highest >= vocab_size:
        raise ValueError(f"token ids from {lowest} to {highest} reach outside of the vocabulary, 0 to {vocab_size - 1}")


def check_eos(eos_token: int | None, vocab_size: int) -> None:
    """Raise ValueError for an end-of-text token that no model can write."""
    if eos_token is not None and not 0 <= eos_token < vocab_size:
        raise ValueError(f"eos_token {eos_token} is outside of the vocabulary, 0 to {vocab_size - 1}")


def check_vocabularies(models: Sequence[object]) -> None:
    """Raise ValueError where models that share tokens know different numbers of them."""
    sizes = [model.vocab_size for model in models if isinstance(model, Bounded)]
    if len(set(sizes)) > 1:
        raise ValueError(f"the models' vocabularies differ: {sizes} tokens")
