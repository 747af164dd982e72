"""What hidden checks compare with: models whose caches the judge can audit, and the exact distribution of a round."""

import itertools

import torch

from autograder.checks import Draws, Remote, expect_tensor, fail, generator

COUNTED = "calls and caches count only where they give the right text"
GREEDY = Remote("nimblelm.inference.decoding.sampling:Sampling", 0.0)
REPEATED = 50  # runs that are done again with the same generator


class Tables:
    """Logits that depend on every token so far: a stale or misplaced cache row changes all that follow it.

    What they say after one sequence tells nothing about another, so nobody can learn them in a few long calls and then
    decode without the model whose calls are counted.
    """

    def __init__(self, vocab_size: int, rng: Draws, like: "Tables | None" = None, distance: float = 1.0):
        self.vocab_size, self._key, self._like, self._distance = vocab_size, rng.key(), like, distance

    def after(self, context: list[int]) -> torch.Tensor:
        """(V,) logits of the token after a context of any length."""
        noise = 2 * torch.randn(self.vocab_size, generator=generator(self._key, context))
        if self._like is None:
            return noise.round()  # whole numbers: ties happen
        return self._like.after(context) + self._distance * noise  # of which nobody can tell the whole numbers again

    def greedy(self, context: list[int], count: int) -> list[int]:
        """Plain greedy decoding: the tokens that any correct decoder must give."""
        sequence = list(context)
        for _ in range(count):
            sequence.append(int(self.after(sequence).argmax()))
        return sequence[len(context) :]


class HeldModel:
    """A cached model in the judge. It keeps the tokens that were written, row by row, and every call.

    With `strict` a call that relies on a row which was never written fails the check; otherwise such a row counts as
    token 0, so that the mistake shows where it matters.
    """

    def __init__(self, tables: Tables, name: str, rows: list[int] | None = None, strict: bool = True):
        self.tables, self.name, self.strict = tables, name, strict
        self.rows, self.calls = list(rows or []), []

    def __call__(self, tokens, position):
        tokens = expect_tensor(tokens, f"the tokens given to the {self.name}", shape=(None,), dtype="int").tolist()
        position = int(position) if isinstance(position, int) or _is_scalar(position) else None
        if position is None or position < 0 or position + len(tokens) > 512:
            fail(f"the {self.name} was called at a position that is no number from 0 to 511", got=str(position)[:40])
        if not tokens:
            fail(f"the {self.name} was called without a token: where there is nothing to read, do not call it")
        if not all(0 <= token < self.tables.vocab_size for token in tokens):
            fail(f"the {self.name} was given tokens outside its vocabulary of {self.tables.vocab_size}", got=tokens[:8])
        if position > len(self.rows) and self.strict:
            fail(
                f"the {self.name} was called at position {position}, but row {len(self.rows)} of its cache was never "
                "written: which token did it not see?"
            )
        self.rows += [0] * (position - len(self.rows))
        self.rows[position:] = tokens
        self.calls.append((tokens, position))
        return torch.stack([self.tables.after(self.rows[: position + i + 1]) for i in range(len(tokens))])


def _is_scalar(value) -> bool:
    return isinstance(value, torch.Tensor) and value.ndim == 0 and not value.is_floating_point()


def simulated_round(
    target: Tables, draft: Tables, context: list[int], draft_length: int
) -> tuple[list[int], int, list[int]]:
    """(new tokens, how many were kept, drafted tokens) of one greedy round, straight from its definition."""
    drafted = draft.greedy(context, draft_length)
    right = target.greedy(context, draft_length + 1)
    kept = next(
        (i for i in range(draft_length) if drafted[i] != target.greedy(context + drafted[:i], 1)[0]), draft_length
    )
    return drafted[:kept] + target.greedy(context + drafted[:kept], 1) if kept < draft_length else right, kept, drafted


def opposed_tables(size: int, rng: Draws) -> tuple[torch.Tensor, torch.Tensor]:
    """Markov tables (V, V) of a target and a draft whose likes are opposite, under a random renaming of the tokens.

    They differ by the same amount whatever the renaming, so a number of draws has the same power every time.
    """
    likes = torch.arange(size, 0, -1).float() ** 1.5
    order = torch.randperm(size, generator=rng())
    tables = (torch.stack([row.roll(i) for i in range(size)]) for row in (likes, likes.flip(0)))
    p, q = ((table / table.sum(1, keepdim=True))[order][:, order] for table in tables)
    return p, q


def distribution_of_a_round(
    p: torch.Tensor, q: torch.Tensor, start: int, verified_q: torch.Tensor | None = None, one_uniform: bool = False
) -> torch.Tensor:
    """Exact distribution of (drafted pair, tokens kept, token after) for two drafted tokens, Markov tables p, q (V, V).

    Args:
        verified_q: the distribution by which drafts are verified, if by mistake not the q they are drawn from.
        one_uniform: the mistake of verifying both tokens with the same uniform number.

    Returns:
        (V * V * 3 * V,) probabilities, in the order of `round_index`.
    """
    p, q = p.double(), q.double()
    verified = q if verified_q is None else verified_q.double()
    size = len(p)
    distribution = torch.zeros(size, size, 3, size, dtype=torch.float64)
    for x, y in itertools.product(range(size), repeat=2):
        drawn, reach = q[start, x] * q[x, y], torch.tensor(1.0, dtype=torch.float64)
        for kept, (row, token) in enumerate(((start, x), (x, y))):
            keep = (p[row, token] / verified[row, token].clamp(min=1e-300)).clamp(max=1)
            residual = (p[row] - verified[row]).clamp(min=0)
            stays = torch.minimum(reach, keep) if one_uniform else reach * keep
            distribution[x, y, kept] += drawn * (reach - stays) * residual / residual.sum().clamp(min=1e-300)
            reach = stays
        distribution[x, y, 2] += drawn * reach * p[y]
    return distribution.flatten()


def round_index(drafted: torch.Tensor, kept: torch.Tensor, following: torch.Tensor, size: int) -> torch.Tensor:
    """The cell of `distribution_of_a_round` that each draw fell into."""
    return ((drafted[:, 0] * size + drafted[:, 1]) * 3 + kept) * size + following


def distributions(rng, *shape, sharpness=1.5):
    return (sharpness * torch.randn(*shape, generator=rng())).softmax(-1)


def drafted(lengths, longest):
    """(..., G) truth values: what is not padding."""
    return torch.arange(longest) < lengths[..., None]


def held_pair(rng, context, distance=0.25, strict=True, vocab_size=6):
    """A target and a draft that often agree; both caches hold all of the context but its last token."""
    target = Tables(vocab_size, rng)
    draft = Tables(vocab_size, rng, like=target, distance=distance)
    return HeldModel(target, "target", context[:-1], strict), HeldModel(draft, "draft", context[:-1], strict)


def random_context(rng, length, vocab_size=6):
    return torch.randint(0, vocab_size, (length,), generator=rng()).tolist()


def expect_repeatable(again, first, what):
    """The same generator state gives the same again: nothing random comes from anywhere else."""
    if not isinstance(again, torch.Tensor) or not torch.equal(again.to(first), first[: len(again)]):
        fail(f"the same generator gave other {what}: hand `generator` to everything that is random")
