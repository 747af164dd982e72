"""The decoder: guess a tree, read it in one pass, keep a path, close the gaps that the others leave in the cache."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nimblelm.inference.acceptance_stats import Round
from nimblelm.inference.autoregressive import check_request
from nimblelm.inference.cache import CachedModel, KVCache
from nimblelm.inference.medusa.candidates import tree_tokens
from nimblelm.inference.medusa.heads import MedusaHeads
from nimblelm.inference.medusa.tree import CandidateTree
from nimblelm.inference.medusa.verification import Exact, Typical
from nimblelm.inference.speculative import SpeculativeOutput
from nimblelm.nn.positions import TreePositions


def keep_rows(cache: KVCache, position: int, path: Int[Tensor, "N"]) -> None:
    """Move the rows of the kept nodes together, so that row t of the cache is token t of the text again.

    A tree's pass writes node i to row position + i. The j-th kept node stands j tokens after the root and was rotated
    for that place, so its row moves to position + j as it is. Later rows are left over, and ignored.

    Args:
        cache: keys and values of all layers.
        position: the root's row.
        path: kept nodes, the root first.

    Chapter: book/ch03_medusa_heads
    """
    for rows in cache:
        rows[:, :, position : position + len(path)] = rows[:, :, position + path]


@torch.inference_mode()
def medusa_round(
    target: CachedModel,
    heads: MedusaHeads,
    tree: CandidateTree,
    text: Int[Tensor, "n"],
    hidden: Float[Tensor, "d"],
    rule: Exact | Typical,
    generator: torch.Generator | None = None,
) -> tuple[Round, Float[Tensor, "d"]]:
    """Guess a tree on the text's last token, read it in one pass of the target, keep a path of it.

    On entry the target's cache is right for all tokens but the last, the root, as in `speculative_round`.

    Args:
        target: the model with its cache.
        heads: its heads.
        tree: the shape of the guesses.
        text: prompt and output so far.
        hidden: the target's state at the token before the last, from which the last was chosen.
        rule: what is kept.
        generator: randomness, for a rule that draws.

    Returns:
        The round, and the state from which its last token was chosen.

    Chapter: book/ch03_medusa_heads
    """
    position = len(text) - 1
    depths, mask, paths = (part.to(text.device) for part in (tree.depths, tree.mask, tree.paths))
    tokens = tree_tokens(text[-1], heads(hidden), tree)
    states = target.states(tokens, TreePositions(position, depths, mask))
    verdict = rule(target.model.head(states), tokens, paths, generator)
    keep_rows(target.cache, position, verdict.path)
    kept = torch.cat([tokens[verdict.path[1:]], verdict.next_token[None]])
    return Round(kept, len(kept) - 1, tokens[1:]), states[verdict.path[-1]]


@torch.inference_mode()
def medusa_generate(
    target: CachedModel,
    heads: MedusaHeads,
    tree: CandidateTree,
    prompt: Int[Tensor, "P"],
    max_new_tokens: int,
    rule: Exact | Typical = Exact(),  # noqa: B008
    generator: torch.Generator | None = None,
    eos_token: int | None = None,
) -> SpeculativeOutput:
    """Continue a prompt with the target's own guesses, checked a tree at a time.

    With an `Exact` rule the text has the law of plain decoding; greedily it is the text of `autoregressive.generate`.

    Args:
        target, heads, tree, rule, generator: as in `medusa_round`.
        prompt: at least one token.
        max_new_tokens: the most to generate; the cache must hold prompt, new tokens and one tree.
        eos_token: generation ends after this token, in the middle of a path as well.

    Raises:
        ValueError: an empty prompt, fewer than one token asked for, or a cache without room for the last tree.

    Chapter: book/ch03_medusa_heads
    """
    check_request(prompt, max_new_tokens)
    limit, rows = len(prompt) + max_new_tokens, target.cache.keys.shape[2]
    if limit + len(tree) > rows:
        raise ValueError(f"{limit} tokens and a tree of {len(tree)} nodes need more than the cache's {rows} rows")
    hidden = target.states(prompt, 0)[-1]
    text, rounds = torch.cat([prompt, rule.first(target.model.head(hidden), generator)[None]]), []
    while len(text) < limit and (eos_token is None or int(text[-1]) != eos_token):
        made, hidden = medusa_round(target, heads, tree, text, hidden, rule, generator)
        rounds.append(made)
        ends = [] if eos_token is None else (made.tokens == eos_token).nonzero()
        text = torch.cat([text, made.tokens[: ends[0] + 1] if len(ends) else made.tokens])[:limit]
    return SpeculativeOutput(text[len(prompt) :], rounds)
