"""Which path of the tree is kept: exactly what the target would have written, or what it finds typical."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nimblelm.inference.decoding.sampling import GREEDY, Sampling, at_least_float32, draw, probabilities, sample
from nimblelm.inference.medusa.tree import NO_NODE

EPSILON, DELTA = 0.09, 0.3  # delta = sqrt(epsilon), as the authors' decoder has them


class Verdict(NamedTuple):
    """The outcome of one tree.

    Chapter: book/ch03_medusa_heads
    """

    path: Int[Tensor, "N"]  # kept nodes from the root on; the root is always among them
    next_token: Int[Tensor, ""]  # what follows them: the root of the next tree


def kept_lengths(accepted: Bool[Tensor, "T"], paths: Int[Tensor, "P D1"]) -> Int[Tensor, "P"]:
    """How many guesses of each path stay: those before the first that is not accepted.

    Args:
        accepted: a verdict on each node alone; the root's is not read.
        paths: `root_paths`; where a path has ended there is nothing to accept.

    Chapter: book/ch03_medusa_heads
    """
    guesses = paths[:, 1:]
    return (accepted[guesses] & (guesses != NO_NODE)).cumprod(1).sum(1)


def matching_path(tokens: Int[Tensor, "T"], choices: Int[Tensor, "T"], paths: Int[Tensor, "P D1"]) -> Int[Tensor, "N"]:
    """The nodes along which the tree guessed the target's own choices.

    A guess is right if it is the token that the target chose after its parent. Siblings hold different tokens, so one
    of them at most is right and the path is unique.

    Args:
        tokens: of the nodes.
        choices: the token that the target chose after each node: the most probable, or a draw.
        paths: `root_paths`.

    Chapter: book/ch03_medusa_heads
    """
    parents, guesses = paths[:, :-1], paths[:, 1:]
    right = torch.zeros_like(tokens, dtype=torch.bool)
    there = guesses != NO_NODE
    right[guesses[there]] = tokens[guesses[there]] == choices[parents[there]]
    lengths = kept_lengths(right, paths)
    best = int(lengths.argmax())
    return paths[best, : int(lengths[best]) + 1]


def typical_threshold(
    probs: Float[Tensor, "*batch V"], epsilon: float = EPSILON, delta: float = DELTA
) -> Float[Tensor, "*batch"]:
    """The probability above which a token counts as typical of a distribution.

    min(epsilon, delta exp(-H(p))), with H the entropy in nats     (Cai et al., 2024, arXiv:2401.10774, section 2.3.1)

    Where the target is certain, a guess must have probability epsilon. Where it is not, no token is probable, and the
    threshold falls with exp(H), the number of tokens that the distribution is spread over.

    Args:
        probs: p.
        epsilon: the highest threshold, between 0 and 1.
        delta: its factor where the distribution is flat.

    Raises:
        ValueError: epsilon outside (0, 1), or delta not above 0.

    Chapter: book/ch03_medusa_heads
    """
    _check(epsilon, delta)
    entropy = torch.special.entr(at_least_float32(probs)).sum(-1)  # 0 log 0 is 0
    return (delta * (-entropy).exp()).clamp(max=epsilon)


def typical_path(
    tokens: Int[Tensor, "T"],
    probs: Float[Tensor, "T V"],
    paths: Int[Tensor, "P D1"],
    epsilon: float = EPSILON,
    delta: float = DELTA,
) -> Int[Tensor, "N"]:
    """The longest run of typical guesses from the root; of equally long ones the most probable.

    Args:
        tokens: of the nodes.
        probs: the target's distribution after each node.
        paths: `root_paths`.
        epsilon, delta: as in `typical_threshold`.

    Chapter: book/ch03_medusa_heads
    """
    probs, parents, guesses = at_least_float32(probs), paths[:, :-1], paths[:, 1:]
    there = guesses != NO_NODE
    given = torch.ones_like(probs[:, 0])  # p(guess | parent) of each node
    given[guesses[there]] = probs[parents[there], tokens[guesses[there]]]
    thresholds = torch.zeros_like(given)
    thresholds[guesses[there]] = typical_threshold(probs, epsilon, delta)[parents[there]]
    lengths = kept_lengths(given > thresholds, paths)
    inside = torch.arange(guesses.shape[1], device=tokens.device) < lengths[:, None]
    likelihood = torch.where(inside, given[guesses].log(), 0.0).sum(1)
    best = int(torch.where(lengths == lengths.max(), likelihood, -torch.inf).argmax())
    return paths[best, : int(lengths[best]) + 1]


@dataclass(frozen=True)
class Exact:
    """Keep what the target writes itself: greedily, or drawn from its distribution.

    After each node the target chooses its token without a look at the guesses, and a guess stays if it is that token.
    So every token is the target's own choice after the tokens before it, and the sequence has its distribution, as with
    plain decoding. For a drafter that puts all its mass on one token this is the accept-or-resample rule of speculative
    decoding: the guess x stays with probability p(x), and otherwise the choice has the distribution of p without x.

    Chapter: book/ch03_medusa_heads
    """

    sampling: Sampling = GREEDY

    def first(self, logits: Float[Tensor, "V"], generator: torch.Generator | None) -> Int[Tensor, ""]:
        """The token after the prompt."""
        return sample(probabilities(logits, self.sampling), generator)

    def __call__(
        self,
        logits: Float[Tensor, "T V"],
        tokens: Int[Tensor, "T"],
        paths: Int[Tensor, "P D1"],
        generator: torch.Generator | None,
    ) -> Verdict:
        """Judge a tree from the target's logits after each of its nodes."""
        choices = sample(probabilities(logits, self.sampling), generator)
        path = matching_path(tokens, choices, paths)
        return Verdict(path, choices[path[-1]])


@dataclass(frozen=True)
class Typical:
    """Keep what the target finds typical: more tokens per pass, and another distribution than the target's.

    The token after the kept ones is the target's most probable. At temperature 0 this is greedy decoding
    (Cai et al., 2024, arXiv:2401.10774, section 2.3.1).

    Raises:
        ValueError: a value outside its range.

    Chapter: book/ch03_medusa_heads
    """

    temperature: float = 1.0  # of the distribution that verifies
    epsilon: float = EPSILON
    delta: float = DELTA

    def __post_init__(self):
        Sampling(self.temperature)
        _check(self.epsilon, self.delta)

    def first(self, logits: Float[Tensor, "V"], generator: torch.Generator | None) -> Int[Tensor, ""]:
        """The most probable token after the prompt."""
        return draw(logits, GREEDY)[0]

    def __call__(
        self,
        logits: Float[Tensor, "T V"],
        tokens: Int[Tensor, "T"],
        paths: Int[Tensor, "P D1"],
        generator: torch.Generator | None,
    ) -> Verdict:
        """Judge a tree from the target's logits after each of its nodes; nothing is drawn."""
        choices, _ = draw(logits, GREEDY)
        probs = probabilities(logits, Sampling(self.temperature))
        path = typical_path(tokens, probs, paths, self.epsilon, self.delta)
        return Verdict(path, choices[path[-1]])


def _check(epsilon: float, delta: float) -> None:
    if not (0 < epsilon < 1 and 0 < delta < math.inf):
        raise ValueError(f"epsilon {epsilon} must lie in (0, 1), delta {delta} above 0")
