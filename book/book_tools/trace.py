"""A speculative decode written down draw by draw, for figures and for the stepper."""

from collections.abc import Callable

import torch
from torch import Tensor

from nimblelm.inference.decoding.sampling import Sampling, probabilities, sample
from nimblelm.inference.speculative.acceptance import accept
from nimblelm.inference.speculative.acceptance_stats import AcceptanceStats, Round
from nimblelm.inference.speculative.rounds import speculative_round


class Recorder:
    """A model that remembers the logits it gave."""

    def __init__(self, model: Callable[[Tensor, int], Tensor]):
        self.model, self.logits = model, []

    def __call__(self, tokens: Tensor, position: int) -> Tensor:
        self.logits.append(self.model(tokens, position))
        return self.logits[-1]


def trace_rounds(
    target: Callable, draft: Callable, prompt: Tensor, num_rounds: int, draft_length: int, sampling: Sampling, seed: int
) -> tuple[list[Round], list[dict]]:
    """Run lib's rounds and write down, for every drafted token, q, p, u and the verdict.

    The draws are replayed from the generator's state before the round, and must give the round's own tokens and count.

    Returns:
        The rounds, and for each a record {"q", "p", "u": lists of draft_length numbers}.
    """
    generator = torch.Generator().manual_seed(seed)
    for model in (target, draft):
        model(prompt[:-1], 0)  # prefill
    tokens, rounds, records = prompt, [], []
    for _ in range(num_rounds):
        replay = torch.Generator().set_state(generator.get_state())
        seen_target, seen_draft = Recorder(target), Recorder(draft)
        rounds.append(speculative_round(seen_target, seen_draft, tokens, draft_length, sampling, generator))
        p = probabilities(seen_target.logits[0], sampling)
        q = torch.stack([probabilities(logits[-1], sampling) for logits in seen_draft.logits])
        drafted = torch.stack([sample(distribution, replay) for distribution in q])
        u = torch.rand(draft_length, generator=replay)
        if not torch.equal(drafted, rounds[-1].draft_tokens) or accept(p, q, drafted, u) != rounds[-1].num_accepted:
            raise RuntimeError("the replayed draws are not those of the round")
        at = torch.arange(draft_length)
        records.append({"q": q[at, drafted].tolist(), "p": p[at, drafted].tolist(), "u": u.tolist()})
        tokens = torch.cat([tokens, rounds[-1].tokens])
    return rounds, records


def stepper_data(rounds: list[Round], records: list[dict], prompt: str, decode: Callable[[list[int]], str]) -> dict:
    """The table that the stepper reads; `after[i]` is what lib's statistics say of the first i + 1 rounds."""
    stats = [AcceptanceStats.from_rounds(rounds[: i + 1]) for i in range(len(rounds))]
    return {
        "prompt": prompt,
        "rounds": [_round_entry(round_, record, decode) for round_, record in zip(rounds, records, strict=True)],
        "after": [{"tar": s.token_acceptance_rate, "tokens_per_pass": s.tokens_per_round} for s in stats],
    }


def _round_entry(round_: Round, record: dict, decode: Callable[[list[int]], str]) -> dict:
    kept, length = round_.num_accepted, len(round_.draft_tokens)
    verdicts = [True] * kept + [False] * (kept < length) + [None] * (length - kept - 1)
    draft = [
        {"text": decode([token]), "q": q, "p": p, "u": u, "accepted": verdict}
        for token, q, p, u, verdict in zip(
            round_.draft_tokens.tolist(), record["q"], record["p"], record["u"], verdicts, strict=True
        )
    ]
    kind = "bonus" if kept == length else "corrected"
    return {
        "draft": draft,
        "num_accepted": kept,
        "emitted": {"text": decode(round_.tokens[-1:].tolist()), "kind": kind},
    }
