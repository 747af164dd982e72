"""Where two greedy sequences of one model diverge: did a decoder go wrong, or was the choice within rounding?"""

from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from nimblelm.inference.decoding.request_checks import check_tokens
from nimblelm.language.llama import Llama


class Divergence(NamedTuple):
    """The first position at which two sequences differ, and what the model knows there.

    Chapter: book/ch02_speculative_decoding
    """

    position: int  # tokens that the sequences share
    margin: float  # between the exact logits of the two tokens
    noise: float  # the largest error of a logit there, in the precision that was decoded in

    @property
    def within_noise(self) -> bool:
        """The margin rule: each of the two logits may be off by the noise, so their order may change up to twice it."""
        return self.margin <= 2 * self.noise


@torch.inference_mode()
def first_divergence(
    model: Llama, exact: Llama, prompt: Int[Tensor, "P"], sequence: list[int], other: list[int]
) -> Divergence | None:
    """Compare two sequences that greedy decoding of a model in low precision gave.

    A pass over six tokens adds up in another order than a pass over one. In bfloat16 that moves a logit by a last digit
    or two, and where the two most probable tokens lie closer than that, either is right.

    Args:
        model: as it was decoded.
        exact: the same weights in float32.
        prompt: what both sequences continue.
        sequence, other: the new tokens, of equal length.

    Returns:
        None where the sequences are equal.

    Raises:
        ValueError: the lengths or the models' vocabularies differ, a token is outside of them, the prompt is empty, all
            is longer than the models take, or a logit at the divergence is no finite number.

    Chapter: book/ch02_speculative_decoding
    """
    if len(sequence) != len(other):
        raise ValueError(f"the sequences hold {len(sequence)} and {len(other)} tokens, equal numbers are needed")
    if model.config.vocab_size != exact.config.vocab_size:
        raise ValueError(f"the models know {model.config.vocab_size} and {exact.config.vocab_size} tokens")
    vocab_size, limit = exact.config.vocab_size, min(model.config.max_seq_len, exact.config.max_seq_len)
    if len(prompt) < 1 or len(prompt) + len(sequence) > limit:
        raise ValueError(f"{len(prompt)} prompt tokens and {len(sequence)} new ones must be 1 or more, {limit} at most")
    check_tokens(torch.cat([prompt, prompt.new_tensor(sequence + other)]), vocab_size)
    position = next((i for i, (a, b) in enumerate(zip(sequence, other, strict=True)) if a != b), None)
    if position is None:
        return None
    shared = torch.cat([prompt, prompt.new_tensor(sequence[:position])])[None]
    rounded, logits = (one(shared)[0, -1].double() for one in (model, exact))
    if not (rounded.isfinite().all() and logits.isfinite().all()):
        raise ValueError(f"a logit after {position} shared tokens is nan or infinite: no margin can be told")
    margin = (logits[sequence[position]] - logits[other[position]]).abs()
    return Divergence(position, margin.item(), (rounded - logits).abs().max().item())
