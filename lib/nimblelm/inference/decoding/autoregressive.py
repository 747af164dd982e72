"""Autoregressive decoding with a cache: one forward pass for each token."""

from collections.abc import Callable

import torch
from jaxtyping import Int
from torch import Tensor

from nimblelm.inference.decoding.request_checks import check_request
from nimblelm.inference.decoding.sampling import GREEDY, Sampling, draw


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
        sampling: the distribution of each token.
        generator: randomness, unless greedy.
        eos_token: generation ends after this token, which is kept.

    Returns:
        The new tokens.

    Raises:
        ValueError: as `check_request`, before anything is read; or logits that are no distribution.

    Chapter: book/ch01_decoding_and_its_cost
    """
    check_request([model], prompt, max_new_tokens, eos_token)
    tokens, position, output = prompt, 0, []
    while len(output) < max_new_tokens:
        logits = model(tokens, position)[-1]
        position += len(tokens)
        tokens = draw(logits, sampling, generator)[0][None]
        output.append(tokens)
        if eos_token is not None and tokens.item() == eos_token:
            break
    return torch.cat(output)
