"""The host's side of batched decoding: prefill the prompts, launch rounds, gather what they report."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat

import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from nimblelm.inference.batched.decoding_state import DecodingState, RowReport, report_row
from nimblelm.inference.batched.device_sampling import DeviceSampler
from nimblelm.inference.batched.round_loop import RoundLoop
from nimblelm.inference.batched.static_model import StaticModel
from nimblelm.inference.decoding.request_checks import Bounded, check_eos, check_request, check_vocabularies
from nimblelm.inference.speculative.acceptance_stats import Round
from nimblelm.inference.speculative.adaptive_length import AdaptiveLength


@dataclass
class BatchOutput:
    """The new tokens of each sequence, on the CPU, and what each round gave."""

    tokens: list[list[int]]
    draft_lengths: list[int] = field(default_factory=list)  # of each round
    reports: list[list[RowReport]] = field(default_factory=list)  # of each round, a row for each sequence

    def rounds(self, sequence: int) -> list[Round]:
        """The rounds in which a sequence grew, as `AcceptanceStats.from_rounds` counts them."""
        rows = (report[sequence] for report in self.reports)
        return [Round(_ids(row.tokens), row.num_accepted, _ids(row.draft_tokens)) for row in rows if row.grown]


def _ids(tokens: list[int]) -> Int[Tensor, "N"]:
    return torch.tensor(tokens, dtype=torch.int64)


class BatchDecoder:
    """Decodes B sequences at once, each at its own position, by rounds that a subclass defines.

    Args:
        models: the target, then others that must have read the sequence; they agree in batch size.
        sampler: the distribution of each token and the randomness.
        eos_token: a sequence ends after this token, which is kept.
        max_draft_length: tokens by which a round can reach past the end of a sequence.
        history: last tokens of each sequence that rounds read, 2 or more.

    Raises:
        ValueError: models of different batch sizes or vocabularies, with caches of fewer rows than `history`, a
            sampler whose randomness comes from another kind of device, or an eos_token outside of the vocabulary.
    """

    def __init__(
        self,
        models: Sequence[StaticModel],
        sampler: DeviceSampler,
        eos_token: int | None,
        max_draft_length: int = 0,
        history: int = 2,
    ):
        self.models, self.sampler, self.eos_token = models, sampler, eos_token
        self.batch_size, self.max_draft_length = models[0].batch_size, max_draft_length
        self.max_seq_len = min(model.max_seq_len for model in models)
        if any(model.batch_size != self.batch_size for model in models):
            raise ValueError(f"the models' batch sizes differ: {[model.batch_size for model in models]}")
        if self.max_seq_len < history:
            raise ValueError(f"a cache of {self.max_seq_len} rows is too small, at least {history} are needed")
        check_vocabularies(models)
        for model in models:
            if isinstance(model, Bounded):
                check_eos(eos_token, model.vocab_size)
            if sampler.generator.device.type != model.device.type:
                raise ValueError(f"the sampler draws on {sampler.generator.device}, a model lies on {model.device}")
        self.state = DecodingState.allocate(self.batch_size, history, max_draft_length, models[0].device)

    def start(self, rounds: Mapping[Hashable, Callable[[], object]], graphs: bool | None) -> None:
        """Build the loop over these rounds; CUDA graphs by default where there is a GPU."""
        graphs = self.state.report.is_cuda if graphs is None else graphs
        with torch.inference_mode():
            self.loop = RoundLoop(rounds, self.state.report, self.sampler.generator, graphs)

    def launch(self, draft_length: int) -> None:
        """Start a round."""
        self.loop.launch(draft_length)

    @torch.inference_mode()
    def prefill(self, prompts: list[Int[Tensor, "_"]], max_new_tokens: list[int]) -> None:
        """Read the prompts in one pass of each model, draw each sequence's first token and send it on its way.

        Prompts are padded at their ends: a token sees nothing after it, and the padding's rows are overwritten before
        any token sees them.
        """
        device = self.state.length.device
        tokens = pad_sequence(prompts, batch_first=True).to(device)
        lengths = torch.tensor([len(prompt) for prompt in prompts], device=device)
        logits, *_ = [model.prefill(tokens) for model in self.models]
        self.state.begin(tokens, lengths, torch.tensor(max_new_tokens, device=device))
        after_prompt = logits.take_along_dim(lengths[:, None, None] - 1, 1)[:, 0]
        first = self.sampler.draw(self.sampler.probabilities(after_prompt))
        self.state.advance(first[:, None], torch.ones_like(lengths), self.eos_token)
        self.loop.forget()
        self.loop.send()

    @torch.inference_mode()
    def decode(self, max_new_tokens: list[int], draft_length: int | AdaptiveLength) -> BatchOutput:
        """Run rounds until every sequence is finished, one round ahead of what has been read."""
        left, output, in_flight = list(max_new_tokens), BatchOutput([[] for _ in max_new_tokens]), None
        while True:
            # What is in flight brings every unfinished sequence one token or more.
            upcoming = _choose(draft_length) if max(left) > 1 else None
            if upcoming is not None:
                self.launch(upcoming)
            report = [report_row(numbers, in_flight or 0) for numbers in self.loop.read()]
            for sequence, row in enumerate(report):
                new = row.tokens[: row.grown]
                output.tokens[sequence] += new
                left[sequence] = 0 if self.eos_token in new else left[sequence] - row.grown
            if in_flight is not None:
                output.draft_lengths.append(in_flight)
                output.reports.append(report)
                if isinstance(draft_length, AdaptiveLength):
                    draft_length.update(in_flight, [row.num_accepted for row in report if row.grown])
            if max(left) == 0:
                return output
            in_flight = upcoming

    def run(
        self, prompts: list[Int[Tensor, "_"]], max_new_tokens: int | list[int], draft_length: int | AdaptiveLength
    ) -> BatchOutput:
        """Check the requests, prefill, decode."""
        limits = list(repeat(max_new_tokens, len(prompts))) if isinstance(max_new_tokens, int) else max_new_tokens
        if not len(prompts) == len(limits) == self.batch_size:
            raise ValueError(f"{len(prompts)} prompts and {len(limits)} limits for {self.batch_size} rows")
        for prompt, limit in zip(prompts, limits, strict=True):
            check_request(self.models, prompt, limit, self.eos_token, rows_beyond=self.max_draft_length + 1)
        self.prefill(prompts, limits)
        return self.decode(limits, draft_length)


def _choose(draft_length: int | AdaptiveLength) -> int:
    return draft_length.choose() if isinstance(draft_length, AdaptiveLength) else draft_length
