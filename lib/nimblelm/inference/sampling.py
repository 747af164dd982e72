"""From logits to a token: temperature, top-k, top-p, and greedy decoding as the limit of temperature zero."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Sampling:
    """How a next-token law is made from logits.

    Temperature first, then top-k, then top-p (Holtzman et al., 2020, arXiv:1904.09751, section 3.1), as transformers
    does.

    Raises:
        ValueError: a value outside its range.

    Chapter: book/ch02_speculative_decoding
    """

    temperature: float = 1.0  # divides the logits; 0 is greedy decoding
    top_k: int | None = None  # keep the k most probable tokens
    top_p: float | None = None  # keep the fewest most probable tokens that together hold mass p

    def __post_init__(self):
        if self.temperature < 0:
            raise ValueError(f"temperature {self.temperature} is below 0")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k {self.top_k} is below 1")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p {self.top_p} is outside (0, 1]")


GREEDY = Sampling(temperature=0.0)


def probabilities(logits: Float[Tensor, "*batch V"], sampling: Sampling) -> Float[Tensor, "*batch V"]:
    """The law that the next token is drawn from.

    Greedy decoding puts all mass on the first of the largest logits, so that every rule for laws covers it as well.

    Chapter: book/ch02_speculative_decoding
    """
    if sampling.temperature == 0:
        return torch.zeros_like(logits).scatter_(-1, logits.argmax(-1, keepdim=True), 1.0)
    probs = (logits / sampling.temperature).softmax(-1)
    if sampling.top_k is not None and sampling.top_k < probs.shape[-1]:
        top = probs.topk(sampling.top_k)
        probs = torch.zeros_like(probs).scatter_(-1, top.indices, top.values)
        probs = probs / probs.sum(-1, keepdim=True)
    if sampling.top_p is not None and sampling.top_p < 1:
        ordered, order = probs.sort(dim=-1, descending=True, stable=True)
        mass_before = ordered.cumsum(-1) - ordered
        probs = torch.zeros_like(probs).scatter_(-1, order, ordered * (mass_before < sampling.top_p))
        probs = probs / probs.sum(-1, keepdim=True)
    return probs


def sample(probs: Float[Tensor, "*batch V"], generator: torch.Generator | None = None) -> Int[Tensor, "*batch"]:
    """Draw one token from each law by inversion: the first x with p_0 + ... + p_x > u (Devroye, 1986, chapter III.2).

    One uniform number a token and sums in float64, where `torch.multinomial` draws a number for every token of the
    vocabulary: on a CPU that takes longer than a layer of a small model.

    Args:
        probs: laws over the vocabulary; each is taken relative to its sum.
        generator: the source of randomness; torch's global one where there is none.

    Raises:
        ValueError: a negative or undefined probability, or a law without mass.

    Chapter: book/ch02_speculative_decoding
    """
    cumulative = probs.cumsum(-1, dtype=torch.float64)
    mass = cumulative[..., -1:]
    if not (probs.amin() >= 0 and mass.amin() > 0):  # false for nan as well
        raise ValueError(
            f"not a law: least probability {probs.amin().item():.3g}, least sum {mass.amin().item():.3g}; "
            "none may be negative or nan, and each law needs mass"
        )
    u = mass * torch.rand(mass.shape, generator=generator, device=probs.device, dtype=torch.float64)
    return torch.searchsorted(cumulative, u, right=True)[..., 0]


def draw(
    logits: Float[Tensor, "*batch V"], sampling: Sampling, generator: torch.Generator | None = None
) -> tuple[Int[Tensor, "*batch"], Float[Tensor, "*batch V"]]:
    """A token for each row of logits, and the law that it was drawn from; greedy decoding draws no random number.

    Chapter: book/ch02_speculative_decoding
    """
    law = probabilities(logits, sampling)
    return (law.argmax(-1) if sampling.temperature == 0 else sample(law, generator)), law


def race(probs: Float[Tensor, "*batch V"], exponentials: Float[Tensor, "*batch V"]) -> Int[Tensor, "*batch"]:
    """Draw one token from each law with given randomness, without a look at the outcome from the host.

    argmin_x E_x / p_x is x with probability p_x: of independent exponential waiting times with rates p_x, the shortest.
    A token of probability 0 waits for ever. `torch.multinomial` does the same and asks the host whether p is a law.

    Args:
        probs: laws over the vocabulary.
        exponentials: E, independent draws of mean 1.

    Chapter: book/ch02_speculative_decoding
    """
    return (probs / exponentials).argmax(-1)
