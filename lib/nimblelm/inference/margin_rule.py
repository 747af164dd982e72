"""Where two greedy texts of one model part: did a decoder go wrong, or was the choice within rounding?"""

from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from nimblelm.nn.transformer import Transformer


class Parting(NamedTuple):
    """The first place where two texts differ, and what the model knows there.

    Chapter: book/ch02_speculative_decoding
    """

    place: int  # tokens that the texts share
    margin: float  # between the exact logits of the two tokens
    noise: float  # the largest error of a logit there, in the precision that was decoded in

    @property
    def within_noise(self) -> bool:
        """The margin rule: each of the two logits may be off by the noise, so they may change places up to twice it."""
        return self.margin <= 2 * self.noise


@torch.inference_mode()
def find_parting(
    model: Transformer, exact: Transformer, prompt: Int[Tensor, "P"], text: list[int], other: list[int]
) -> Parting | None:
    """Compare two texts that greedy decoding of a model in low precision gave.

    A pass over six tokens adds up in another order than a pass over one. In bfloat16 that moves a logit by a last digit
    or two, and where the two most probable tokens lie closer than that, either is right.

    Args:
        model: as it was decoded.
        exact: the same weights in float32.
        prompt: what both texts continue.
        text, other: the new tokens, of equal length.

    Returns:
        None where the texts are equal.

    Raises:
        ValueError: the lengths differ.

    Chapter: book/ch02_speculative_decoding
    """
    if len(text) != len(other):
        raise ValueError(f"the texts hold {len(text)} and {len(other)} tokens, equal numbers are needed")
    place = next((i for i, (a, b) in enumerate(zip(text, other, strict=True)) if a != b), None)
    if place is None:
        return None
    shared = torch.cat([prompt, prompt.new_tensor(text[:place])])[None]
    rounded, logits = (one(shared)[0, -1].double() for one in (model, exact))
    margin = (logits[text[place]] - logits[other[place]]).abs()
    return Parting(place, margin.item(), (rounded - logits).abs().max().item())
