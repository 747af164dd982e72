"""Speculative decoding of a batch, one CUDA graph a round, with all that a round decides decided on the device."""

import statistics
import time
from collections.abc import Callable, Hashable, Sequence
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nimblelm.inference.batched.autoregressive import autoregressive_round
from nimblelm.inference.batched.decoder import BatchDecoder, BatchOutput
from nimblelm.inference.batched.decoding_state import DecodingState
from nimblelm.inference.batched.device_sampling import DeviceSampler
from nimblelm.inference.batched.static_model import StaticModel
from nimblelm.inference.speculative.acceptance import count_accepted, residual_probs
from nimblelm.inference.speculative.adaptive_length import AdaptiveLength

HISTORY = 16  # tokens that the draft reads at once when it has fallen behind
CATCH_UP = "catch up"


@torch.inference_mode()
def draft_block(
    draft: StaticModel, state: DecodingState, draft_length: int, sampler: DeviceSampler
) -> tuple[Int[Tensor, "B G"], Float[Tensor, "B G1 V"]]:
    """Propose G tokens for each sequence, with the distributions that they were drawn from and a last one of zeros.

    The first step always reads two tokens, the previous and the current one. After a round in which every draft was
    kept, the draft has not yet read the last of them, which is the previous token now; after any other round it reads
    that token again to no effect. So one graph serves both.

    Chapter: book/ch02_speculative_decoding
    """
    block, position, tokens, draft_probs = state.recent[:, -2:], state.length - 2, [], []
    for _ in range(draft_length):
        draft_probs.append(sampler.probabilities(draft(block, position)[:, -1]))
        position = position + block.shape[1]
        block = sampler.draw(draft_probs[-1])[:, None]
        tokens.append(block)
    return torch.cat(tokens, dim=1), torch.stack([*draft_probs, torch.zeros_like(draft_probs[0])], dim=1)


@torch.inference_mode()
def batched_round(
    target: StaticModel,
    draft: StaticModel,
    state: DecodingState,
    draft_length: int,
    sampler: DeviceSampler,
    eos_token: int | None,
) -> None:
    """Draft, check and keep for every sequence at once: `speculative_round` without a decision on the host.

    Sequences keep different numbers of tokens and are never aligned again: each has its own position. Rolling back is a
    smaller length. Kept tokens are counted by a cumulative product, and the token after them comes from
    norm(max(0, p - q)) at the first rejection. After the last draft q is zero, so the same expression is p there, the
    distribution of the bonus token (Leviathan et al., 2023, arXiv:2211.17192, algorithm 1).

    Args:
        target, draft: right for all tokens but the last, and but the last two.
        state: the sequences; updated in place.
        draft_length: tokens to propose, 1 or more.
        sampler: the distribution of each token, through which both models' logits go, and the randomness.
        eos_token: ends a sequence, in mid-block as well.

    Chapter: book/ch02_speculative_decoding
    """
    drafted, q = draft_block(draft, state, draft_length, sampler)
    p = sampler.probabilities(
        target(torch.cat([state.recent[:, -1:], drafted], dim=1), state.length - 1)
    )  # (B, G + 1, V)
    kept = count_accepted(p, q[:, :-1], drafted, sampler.uniforms(*drafted.shape))
    here = kept[:, None, None]  # the first rejection of each sequence, or the position after its block
    following = sampler.draw(residual_probs(p.take_along_dim(here, 1)[:, 0], q.take_along_dim(here, 1)[:, 0]))
    tokens = torch.cat([drafted, drafted[:, :1]], dim=1).scatter(1, kept[:, None], following[:, None])
    state.advance(tokens, kept + 1, eos_token, drafted)


class SpeculativeDecoder(BatchDecoder):
    """Sequences of a batch with the distribution of the target alone, in fewer of its passes.

    On a GPU a round is one CUDA graph, captured for each draft length; the host chooses which to replay and reads each
    round's outcome while the next one runs.

    Args:
        target: the model whose distribution the sequences follow.
        draft: a faster, weaker one of the same batch size.
        sampler: the distribution of each token and the randomness.
        draft_lengths: those that rounds may have; a round of length 0 is one autoregressive step.
        eos_token: a sequence ends after this token, which is kept.
        graphs: one CUDA graph a round; where there is a GPU by default.

    Raises:
        ValueError: no draft lengths or negative ones, or as in `BatchDecoder`.

    Chapter: book/ch02_speculative_decoding
    """

    def __init__(
        self,
        target: StaticModel,
        draft: StaticModel,
        sampler: DeviceSampler,
        draft_lengths: Sequence[int],
        eos_token: int | None = None,
        graphs: bool | None = None,
    ):
        if not draft_lengths or not min(draft_lengths) >= 0:
            raise ValueError(f"draft_lengths {list(draft_lengths)} must be one or more numbers from 0 up")
        super().__init__([target, draft], sampler, eos_token, max(draft_lengths), HISTORY if 0 in draft_lengths else 2)
        self.draft_lengths, self.unread = sorted(set(draft_lengths)), 0
        rounds: dict[Hashable, Callable[[], object]] = {
            g: partial(batched_round, target, draft, self.state, g, sampler, eos_token) for g in self.draft_lengths if g
        }
        if 0 in draft_lengths:
            rounds[0] = partial(autoregressive_round, target, self.state, sampler, eos_token)
            rounds[CATCH_UP] = lambda: draft(self.state.recent, self.state.length - HISTORY)
        self.start(rounds, graphs)

    def prefill(self, prompts: list[Int[Tensor, "_"]], max_new_tokens: list[int]) -> None:
        super().prefill(prompts, max_new_tokens)
        self.unread = 0

    def launch(self, draft_length: int) -> None:
        """Start a round; where the draft has fallen behind, let it read what it missed first.

        Rounds of length 0 leave the draft alone. It reads their tokens a block at a time, and before it drafts again.
        A sequence shorter than a block has no tokens before its first: those wrap round to the end of the cache, to
        rows that are overwritten before they are seen.
        """
        if self.unread and (draft_length or self.unread == HISTORY - 2):
            self.loop.rounds[CATCH_UP]()
            self.unread = 0
        super().launch(draft_length)
        self.unread = 0 if draft_length else self.unread + 1

    def generate(
        self, prompts: list[Int[Tensor, "_"]], max_new_tokens: int | list[int], draft_length: int | AdaptiveLength
    ) -> BatchOutput:
        """Continue each prompt.

        Args:
            prompts: one for each row of the batch.
            max_new_tokens: the most to generate, for all sequences or for each.
            draft_length: one of `draft_lengths` for every round, or what chooses among them.

        Raises:
            ValueError: an empty prompt, too few or too many of them, a draft length that was not announced, or more
                tokens than the cache holds; a round can reach max(draft_lengths) past a sequence's end.
        """
        for length in [draft_length] if isinstance(draft_length, int) else draft_length.round_costs:
            if length not in self.draft_lengths:
                raise ValueError(f"draft_length {length} is none of {self.draft_lengths}")
        return self.run(prompts, max_new_tokens, draft_length)

    @torch.inference_mode()
    def round_costs(self, text_length: int, repeats: int = 20) -> dict[int, float]:
        """Seconds that a round of each draft length takes over sequences of this length: what `AdaptiveLength` needs.

        All lengths take turns; each cost is the median over their turns of a few rounds in a row.

        Raises:
            ValueError: sequences so short that rounds would read before their start, or so long that a draft would
                reach past the cache; or fewer than one repeat.
        """
        history, longest = self.state.recent.shape[1], self.max_seq_len - self.max_draft_length
        if not (history <= text_length <= longest and repeats >= 1):
            raise ValueError(
                f"text_length {text_length} must lie between {history} and {longest}, repeats {repeats} be 1 or more"
            )
        self.state.length.fill_(text_length)
        self.state.limit.fill_(text_length)
        seconds = {g: [] for g in self.draft_lengths}
        for _ in range(repeats + 1):
            for g, times in seconds.items():
                times.append(_seconds(self.loop.rounds[g], self.state.length.device))
        return {g: statistics.median(times[1:]) for g, times in seconds.items()}


def _seconds(run: Callable[[], object], device: torch.device, rounds: int = 5) -> float:
    """Mean time of a few rounds in a row."""
    wait = partial(torch.cuda.synchronize, device) if device.type == "cuda" else lambda: None
    wait()
    began = time.perf_counter()
    for _ in range(rounds):
        run()
    wait()
    return (time.perf_counter() - began) / rounds
