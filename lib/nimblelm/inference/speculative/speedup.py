"""The speedup that a rate of acceptance and the costs of both models predict."""

import math


def expected_tokens(acceptance_rate: float, draft_length: int) -> float:
    """Mean tokens that one round yields if each drafted token is kept with the same probability.

    E = (1 - a^(g+1)) / (1 - a) = 1 + a + ... + a^g     (Leviathan et al., 2023, arXiv:2211.17192, eq. 1)

    Args:
        acceptance_rate: a, between 0 and 1.
        draft_length: g, drafted tokens per round.

    Raises:
        ValueError: an argument outside its range.

    Chapter: book/ch02_speculative_decoding
    """
    if not 0 <= acceptance_rate <= 1:
        raise ValueError(f"acceptance_rate {acceptance_rate} is outside [0, 1]")
    if not draft_length >= 0:
        raise ValueError(f"draft_length {draft_length} is below 0")
    return float(sum(acceptance_rate**i for i in range(draft_length + 1)))


def predicted_speedup(acceptance_rate: float, draft_length: int, cost_ratio: float, verify_ratio: float = 1.0) -> float:
    """Tokens per second with speculation over tokens per second without.

    E / (g c + v): a round costs g draft steps and one check     (Leviathan et al., 2023, arXiv:2211.17192, theorem 3.8,
    where v = 1).

    Args:
        acceptance_rate: a.
        draft_length: g.
        cost_ratio: c, time of a draft step over time of a target step.
        verify_ratio: v, time of the target's pass over g + 1 tokens over its pass over one.

    Raises:
        ValueError: an argument outside its range.

    Chapter: book/ch02_speculative_decoding
    """
    if not (0 <= cost_ratio < math.inf and 0 < verify_ratio < math.inf):
        raise ValueError(
            f"cost_ratio {cost_ratio} must not be negative, verify_ratio {verify_ratio} must be positive, both finite"
        )
    return expected_tokens(acceptance_rate, draft_length) / (draft_length * cost_ratio + verify_ratio)


def best_draft_length(acceptance_rate: float, cost_ratio: float, max_draft_length: int = 16) -> int:
    """The draft length with the largest predicted speedup; 0 where speculation does not pay.

    Raises:
        ValueError: an argument outside its range.

    Chapter: book/ch02_speculative_decoding
    """
    if not max_draft_length >= 0:
        raise ValueError(f"max_draft_length {max_draft_length} is below 0")
    return max(range(max_draft_length + 1), key=lambda g: predicted_speedup(acceptance_rate, g, cost_ratio))
