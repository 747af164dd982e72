"""What a round gave, and acceptance counted over many rounds."""

from dataclasses import dataclass
from typing import NamedTuple

from jaxtyping import Int
from torch import Tensor


class Round(NamedTuple):
    """What one round of drafting and checking gave.

    Chapter: book/ch02_speculative_decoding
    """

    tokens: Int[Tensor, "N"]  # the kept draft tokens and the target's own token after them: N = num_accepted + 1
    num_accepted: int
    draft_tokens: Int[Tensor, "G"]  # all that the draft proposed


@dataclass(frozen=True)
class AcceptanceStats:
    """Acceptance over the rounds of one or more generations.

    Chapter: book/ch02_speculative_decoding
    """

    token_acceptance_rate: float  # the lecture's TAR = sum_i k_i / m: kept draft tokens per round
    tokens_per_round: float  # TAR + 1: what one pass of the target yields
    acceptance_rate: float  # a: of the drafted tokens that the target verified, the share that it kept
    per_position: list[float]  # of the rounds that reached draft position i, the share that kept its token

    @classmethod
    def from_rounds(cls, rounds: list[Round]) -> "AcceptanceStats":
        """Count over rounds that drafted at least one token.

        Raises:
            ValueError: there is no such round, or one kept more than it drafted.
        """
        counted = [(r.num_accepted, len(r.draft_tokens)) for r in rounds if len(r.draft_tokens)]
        if not counted:
            raise ValueError(f"none of the {len(rounds)} rounds drafted a token")
        for kept, length in counted:
            if not 0 <= kept <= length:
                raise ValueError(f"a round kept {kept} of {length} drafted tokens")
        longest = max(length for _, length in counted)
        reached = [sum(kept >= i and length > i for kept, length in counted) for i in range(longest)]
        passed = [sum(kept > i for kept, _ in counted) for i in range(longest)]
        rate = sum(kept for kept, _ in counted) / len(counted)
        shares = [p / r for p, r in zip(passed, reached, strict=True) if r]
        return cls(rate, rate + 1, sum(passed) / sum(reached), shares)
