"""The decoder: guess a tree, read it in one pass, keep a path, close the gaps that the others leave in the cache."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nimblelm.inference.decoding.cache import CachedModel, KVCache
from nimblelm.inference.decoding.request_checks import check_request, check_sees_all
from nimblelm.inference.medusa.candidates import check_tree, tree_tokens
from nimblelm.inference.medusa.heads import MedusaHeads
from nimblelm.inference.medusa.tree import CandidateTree
from nimblelm.inference.medusa.tree_cache import tree_states
from nimblelm.inference.medusa.verification import Exact, Typical
from nimblelm.inference.speculative.acceptance_stats import Round
from nimblelm.inference.speculative.decoder import SpeculativeOutput


def keep_rows(cache: KVCache, position: int, path: Int[Tensor, "N"]) -> None:
    """Move the rows of the kept nodes together, so that row t of the cache is token t of the sequence again.

    A tree's pass writes node i to row position + i. The j-th kept node stands j tokens after the root and was rotated
    for that position, so its row moves to position + j as it is. Later rows are left over, and ignored.

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
    sequence: Int[Tensor, "n"],
    hidden: Float[Tensor, "d"],
    rule: Exact | Typical,
    generator: torch.Generator | None = None,
) -> tuple[Round, Float[Tensor, "d"]]:
    """Guess a tree on the sequence's last token, read it in one pass of the target, keep a path of it.

    On entry the target's cache is right for all tokens but the last, the root, as in `speculative_round`.

    Args:
        target: the model with its cache.
        heads: its heads.
        tree: the shape of the guesses.
        sequence: prompt and output so far.
        hidden: the target's state at the token before the last, from which the last was chosen.
        rule: what is kept.
        generator: randomness, for a rule that draws.

    Returns:
        The round, and the state from which its last token was chosen.

    Chapter: book/ch03_medusa_heads
    """
    position = len(sequence) - 1
    depths, mask, paths = (part.to(sequence.device) for part in (tree.depths, tree.mask, tree.paths))
    tokens = tree_tokens(sequence[-1], heads(hidden), tree)
    states = tree_states(target, tokens, position, depths, mask)
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

    With an `Exact` rule the sequence has the distribution of plain decoding; greedily it is that of `generate`.

    Args:
        target, heads, tree, rule, generator: as in `medusa_round`.
        prompt: at least one token.
        max_new_tokens: the most to generate; the cache must hold prompt, new tokens and one tree.
        eos_token: generation ends after this token, in the middle of a path as well.

    Raises:
        ValueError: heads of another width or vocabulary than the target's, a tree that they cannot fill, a target
            whose tokens see a window, as `check_request`, or a cache without room for the last tree; all before
            anything is read.

    Chapter: book/ch03_medusa_heads
    """
    shape, needed = heads.config, (target.model.config.d_model, target.vocab_size)
    if (shape.d_model, shape.vocab_size) != needed:
        raise ValueError(
            f"the heads have width and vocabulary {(shape.d_model, shape.vocab_size)}, the target {needed}"
        )
    check_tree(tree, shape.num_heads, shape.vocab_size)
    check_sees_all(target.model)
    check_request([target], prompt, max_new_tokens, eos_token, rows_beyond=len(tree) + 1)
    limit = len(prompt) + max_new_tokens
    hidden = target.states(prompt, 0)[-1]
    sequence, rounds = torch.cat([prompt, rule.first(target.model.head(hidden), generator)[None]]), []
    while len(sequence) < limit and (eos_token is None or int(sequence[-1]) != eos_token):
        made, hidden = medusa_round(target, heads, tree, sequence, hidden, rule, generator)
        rounds.append(made)
        ends = [] if eos_token is None else (made.tokens == eos_token).nonzero()
        sequence = torch.cat([sequence, made.tokens[: ends[0] + 1] if len(ends) else made.tokens])[:limit]
    return SpeculativeOutput(sequence[len(prompt) :], rounds)
