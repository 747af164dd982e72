"""Where each sequence of a batch stands: a handful of numbers per row, which never leave the device."""

from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor


class DecodingState(NamedTuple):
    """Last tokens, lengths and limits of B sequences, allocated once and updated in place.

    A sequence is finished when its length reaches its limit; the end-of-text token moves the limit there. A finished
    sequence takes part in every further round and grows by nothing, so no round branches on who is left.
    """

    recent: Int[Tensor, "B H"]  # the last tokens, at least two: the previous and the current one
    length: Int[Tensor, "B"]  # tokens, the prompt among them
    limit: Int[Tensor, "B"]  # the length at which the sequence ends
    report: Int[Tensor, "B W"]  # the last round's outcome, as `report_row` reads it

    @classmethod
    def allocate(cls, batch_size: int, history: int, max_draft_length: int, device: torch.device) -> "DecodingState":
        """B finished sequences, of which the last `history` tokens are kept."""
        recent, report = (
            torch.zeros(batch_size, width, dtype=torch.int64, device=device)
            for width in (history, 2 * max_draft_length + 3)
        )
        length = torch.full((batch_size,), history, device=device)
        return cls(recent, length, length.clone(), report)

    def begin(self, prompts: Int[Tensor, "B P"], length: Int[Tensor, "B"], max_new_tokens: Int[Tensor, "B"]) -> None:
        """Start sequences from prompts, padded at their ends, of these lengths."""
        self.length.copy_(length)
        self.limit.copy_(length + max_new_tokens)
        position = length[:, None] + torch.arange(-self.recent.shape[1], 0, device=length.device)
        self.recent.copy_(prompts.gather(1, position.clamp(min=0)))  # a short prompt has no token before its first

    def advance(
        self,
        tokens: Int[Tensor, "B N"],
        count: Int[Tensor, "B"],
        eos_token: int | None,
        draft_tokens: Int[Tensor, "B G"] | None = None,
    ) -> None:
        """Append the first `count` tokens to each sequence, no more than its limit allows and none after its end.

        Args:
            tokens: the new tokens of each sequence.
            count: how many of them, 1 to N, the round yields.
            eos_token: a sequence ends with the first of these.
            draft_tokens: what the draft proposed, for the report.
        """
        index = torch.arange(tokens.shape[1], device=tokens.device)
        grown = torch.minimum(count, self.limit - self.length)
        if eos_token is not None:
            ends = (tokens == eos_token) & (index < grown[:, None])
            grown = torch.where(ends, index + 1, grown[:, None]).amin(1)
            self.limit.copy_(torch.where(ends.any(1), self.length + grown, self.limit))
        window = torch.cat([self.recent, tokens], dim=1)
        kept = grown[:, None] + torch.arange(self.recent.shape[1], device=tokens.device)
        self.recent.copy_(window.gather(1, kept))
        self.length.add_(grown)
        parts = [grown[:, None], count[:, None] - 1, tokens]
        parts += [] if draft_tokens is None else [draft_tokens]
        outcome = torch.cat(parts, dim=1)
        self.report[:, : outcome.shape[1]] = outcome


class RowReport(NamedTuple):
    """What a round gave one sequence."""

    grown: int  # tokens that the sequence grew by; 0 where it was finished before
    num_accepted: int
    tokens: list[int]  # num_accepted + 1: kept drafts and what follows them; the sequence keeps the first `grown`
    draft_tokens: list[int]


def report_row(numbers: list[int], draft_length: int) -> RowReport:
    """Read one row of `DecodingState.report` after a round of this draft length."""
    grown, num_accepted, *rest = numbers
    return RowReport(grown, num_accepted, rest[: num_accepted + 1], rest[draft_length + 1 : 2 * draft_length + 1])
