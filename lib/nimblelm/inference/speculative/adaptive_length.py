"""The draft length that promises most tokens per second, from measured costs and the acceptance seen so far."""

import math
from collections.abc import Mapping, Sequence

from nimblelm.inference.speculative.speedup import expected_tokens


class AdaptiveLength:
    """Chooses each round's draft length, 0 among them where speculation does not pay.

    argmax_g E(a, g) / cost(g), with E(a, g) = 1 + a + ... + a^g     (Leviathan et al., 2023, arXiv:2211.17192, eq. 1)

    The rate a is that of recent rounds: kept and verified drafts both count for less with every round that passes. A
    few counts at an assumed rate never fade. So where rounds of length 0 bring no news the rate drifts back to the
    assumed one, and drafting is tried again by itself.

    Args:
        round_costs: seconds of a round by draft length, such as `SpeculativeDecoder.round_costs` measures.
        assumed_rate: a before anything is known.
        assumed_counts: how many verified drafts the assumption is worth.
        memory: what a count is worth a round later.

    Raises:
        ValueError: no costs, a negative draft length, a cost that is not positive and finite, or a number outside its
            range.

    Chapter: book/ch02_speculative_decoding
    """

    def __init__(
        self,
        round_costs: Mapping[int, float],
        assumed_rate: float = 0.7,
        assumed_counts: float = 2.0,
        memory: float = 0.98,
    ):
        if not round_costs or not all(0 < cost < math.inf for cost in round_costs.values()) or min(round_costs) < 0:
            raise ValueError(f"round_costs {dict(round_costs)} must be one or more positive times of lengths from 0 up")
        if not (0 <= assumed_rate <= 1 and 0 <= memory < 1 and 0 < assumed_counts < math.inf):
            raise ValueError(
                f"assumed_rate {assumed_rate} must lie in [0, 1], memory {memory} in [0, 1), "
                f"assumed_counts {assumed_counts} above 0"
            )
        self.round_costs = dict(round_costs)
        self.assumed_rate, self.assumed_counts, self.memory = assumed_rate, assumed_counts, memory
        self.kept = self.verified = 0.0

    @property
    def rate(self) -> float:
        """The estimate of a."""
        return (self.kept + self.assumed_rate * self.assumed_counts) / (self.verified + self.assumed_counts)

    def choose(self) -> int:
        """The draft length of the next round."""
        rate = self.rate
        return max(self.round_costs, key=lambda g: expected_tokens(rate, g) / self.round_costs[g])

    def update(self, draft_length: int, num_accepted: Sequence[int]) -> None:
        """Take in a round.

        Args:
            draft_length: what each sequence's draft proposed.
            num_accepted: how many of these each unfinished sequence kept; the first not kept was verified as well.

        Raises:
            ValueError: more are kept than were proposed, or fewer than none.
        """
        if not all(0 <= kept <= draft_length for kept in num_accepted):
            raise ValueError(f"num_accepted {list(num_accepted)} must lie between 0 and draft_length {draft_length}")
        self.kept = self.memory * self.kept + sum(num_accepted)
        self.verified = self.memory * self.verified + sum(min(kept + 1, draft_length) for kept in num_accepted)
