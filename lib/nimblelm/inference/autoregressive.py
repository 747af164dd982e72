"""Autoregressive decoding with a cache: one forward pass for each token."""

from collections.abc import Callable

import torch
from jaxtyping import Int
from torch import Tensor

from nimblelm.inference.sampling import GREEDY, Sampling, draw


@torch.inference_mode()
def generate(
    model: Callable[[Tensor, int], Tensor],
    prompt: Int[Tensor, "P"],
    max_new_tokens: int,
    sampling: Sampling = GREEDY,
    generator: torch.Generator | None = None,
    eos_token: int | None = None,
) -> Int[Tensor, "N"]:
    """Continue a prompt one token at a time: k tokens cost k passes that depend on each other.

    Args:
        model: `model(tokens, position)` gives logits (T, V) on top of its cache, as `CachedModel` does.
        prompt: at least one token.
        max_new_tokens: the most to generate; the cache must hold all but the last of prompt and new tokens.
        sampling: the law of each token.
        generator: randomness, unless greedy.
        eos_token: generation ends after this token, which is kept.

    Returns:
        The new tokens.

    Raises:
        ValueError: an empty prompt, or fewer than one token asked for.

    Chapter: book/ch01_decoding_and_its_cost
    """
    check_request(prompt, max_new_tokens)
    tokens, position, output = prompt, 0, []
    while len(output) < max_new_tokens:
        logits = model(tokens, position)[-1]
        position += len(tokens)
        tokens = draw(logits, sampling, generator)[0][None]
        output.append(tokens)
        if eos_token is not None and tokens.item() == eos_token:
            break
    return torch.cat(output)


def check_request(prompt: Int[Tensor, "P"], max_new_tokens: int) -> None:
    """Raise ValueError for an empty prompt or fewer than one token asked for.

    Chapter: book/ch01_decoding_and_its_cost
    """
    if len(prompt) < 1:
        raise ValueError("the prompt holds 0 tokens, at least 1 is needed")
    if max_new_tokens < 1:
        raise ValueError(f"max_new_tokens {max_new_tokens} is below 1")
