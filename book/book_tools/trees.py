"""Rounds of a Medusa decoder written down node by node, for the interactive and for its static table."""

import html
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from book_tools.tokens import token_html
from nimblelm.inference.decoding.cache import CachedModel
from nimblelm.inference.medusa.decoder import medusa_round
from nimblelm.inference.medusa.heads import MedusaHeads
from nimblelm.inference.medusa.search import node_probability
from nimblelm.inference.medusa.tree import CandidateTree
from nimblelm.inference.medusa.verification import Exact, Verdict


@dataclass(frozen=True)
class RecordingExact(Exact):
    """The exact rule; it remembers the tokens, the target's choices and the verdict of each tree."""

    seen: list[tuple[Tensor, Tensor, Verdict]] = field(default_factory=list)

    def __call__(self, logits, tokens, paths, generator) -> Verdict:
        verdict = super().__call__(logits, tokens, paths, generator)
        self.seen.append((tokens, logits.argmax(-1), verdict))
        return verdict


def trace_trees(
    target: CachedModel,
    heads: MedusaHeads,
    tree: CandidateTree,
    prompt: Tensor,
    num_rounds: int,
    accuracies: list[list[float]],
    decode: Callable[[list[int]], str],
) -> dict:
    """The table that the interactive reads: the tree's shape once, then tokens and verdict of each greedy round."""
    rule, rounds = RecordingExact(), []
    with torch.inference_mode():
        hidden = target.states(prompt, 0)[-1]
        text = torch.cat([prompt, rule.first(target.model.head(hidden), None)[None]])
        for _ in range(num_rounds):
            position, parents = len(text) - 1, tree.parents
            made, hidden = medusa_round(target, heads, tree, text, hidden, rule)
            tokens, chosen, verdict = rule.seen[-1]
            right = [True, *(bool(tokens[n] == chosen[parents[n]]) for n in range(1, len(tree)))]
            rounds.append(
                {
                    "position": position,
                    "before": decode(text[-24:-1].tolist()),
                    "tokens": [decode([token]) for token in tokens.tolist()],
                    "chosen": [decode([token]) for token in chosen.tolist()],
                    "right": right,
                    "path": verdict.path.tolist(),
                }
            )
            text = torch.cat([text, made.tokens])
    names = [(), *tree.choices]
    return {
        "names": [list(name) for name in names],
        "parents": list(tree.parents),
        "depths": tree.depths.tolist(),
        "mask": tree.mask.int().tolist(),
        "probability": [node_probability(accuracies, name) for name in names],
        "rounds": rounds,
    }


def trees_table(data: dict) -> str:
    """One row a round: what a reader without JavaScript sees in the interactive's place."""
    rows = []
    for number, one in enumerate(data["rounds"], 1):
        kept = "".join(token_html(one["tokens"][node], "accepted") for node in one["path"][1:])
        following = token_html(one["chosen"][one["path"][-1]], "corrected")
        root = html.escape(one["tokens"][0])
        rows.append(
            f"<tr><td>{number}</td><td class='token-cell'>{root}</td><td class='token-cell'>{kept}{following}</td>"
            f"<td>{len(one['path']) - 1} of {len(data['names']) - 1}</td></tr>"
        )
    header = "<tr><th>Round</th><th>Root</th><th>Kept guesses, and the target's token</th><th>Kept</th></tr>"
    return f"<table><thead>{header}</thead><tbody>{''.join(rows)}</tbody></table>"
