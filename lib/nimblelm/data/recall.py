"""A toy task that needs a long range: look a key up among pairs that stand anywhere before."""

from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor


class RecallBatch(NamedTuple):
    """Sequences whose first half holds pairs of a key and a value, and whose second half asks for keys.

    Args:
        keys: (B, 2 N), a permutation of 0 .. N - 1 in each half.
        values: (B, 2 N), 0 .. num_values - 1 in the first half, `num_values` ("not said") in the second.
        answers: (B, N), the value of each key asked for.
        distances: (B, N), positions from the question back to its pair.
    """

    keys: Int[Tensor, "B L"]
    values: Int[Tensor, "B L"]
    answers: Int[Tensor, "B N"]
    distances: Int[Tensor, "B N"]


def recall_batch(batch_size: int, num_pairs: int, num_values: int, generator: torch.Generator) -> RecallBatch:
    """Random sequences of the task; nothing but the key says where its pair stands.

    Raises:
        ValueError: no sequence, no pair or no value.
    """
    if not min(batch_size, num_pairs, num_values) >= 1:
        raise ValueError(f"batch_size {batch_size}, num_pairs {num_pairs}, num_values {num_values} must be 1 or more")
    stored, asked = (torch.rand(batch_size, num_pairs, generator=generator).argsort(-1) for _ in range(2))
    values = torch.randint(num_values, (batch_size, num_pairs), generator=generator)
    position = stored.argsort(-1).gather(1, asked)  # where the key that is asked for was stored
    return RecallBatch(
        keys=torch.cat([stored, asked], 1),
        values=torch.cat([values, torch.full_like(values, num_values)], 1),
        answers=values.gather(1, position),
        distances=num_pairs + torch.arange(num_pairs) - position,
    )
