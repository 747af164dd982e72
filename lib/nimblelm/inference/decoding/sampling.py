"""From logits to a token: temperature, top-k, top-p, and greedy decoding as the limit of temperature zero."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Sampling:
    """How a next-token distribution is made from logits.

    Temperature first, then top-k, then top-p (Holtzman et al., 2020, arXiv:1904.09751, section 3.1), as transformers
    does.

    Raises:
        ValueError: a value outside its range.

    Chapter: book/ch02_speculative_decoding
    """

    temperature: float = 1.0  # divides the logits; 0 is greedy decoding
    top_k: int | None = None  # keep the k most probable tokens, of equal ones the first
    top_p: float | None = None  # keep the fewest most probable tokens that together hold mass p

    def __post_init__(self):
        if not 0 <= self.temperature < math.inf:
            raise ValueError(f"temperature {self.temperature} is below 0 or no finite number")
        if self.top_k is not None and not self.top_k >= 1:
            raise ValueError(f"top_k {self.top_k} is below 1")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p {self.top_p} is outside (0, 1]")


GREEDY = Sampling(temperature=0.0)


def at_least_float32(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Half precision widened: its 11 or 8 bits hold a token's logit, but no sum, quotient or small difference of them.

    Chapter: book/ch02_speculative_decoding
    """
    return x.to(torch.promote_types(x.dtype, torch.float32))


def probabilities(logits: Float[Tensor, "*batch V"], sampling: Sampling) -> Float[Tensor, "*batch V"]:
    """The distribution that the next token is drawn from, in float32 or wider.

    Greedy decoding puts all mass on the first of the largest logits, so that every rule for distributions covers it as
    well. Logits without a finite maximum define no distribution: their row holds nan, which `sample` and `draw` refuse.

    Chapter: book/ch02_speculative_decoding
    """
    logits = at_least_float32(logits)
    if sampling.temperature == 0:
        return _greedy(logits)[-1]
    if sampling.top_k is None and sampling.top_p is None:
        return _softmax(logits, sampling.temperature)
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    probs = _softmax(ordered, sampling.temperature)
    if sampling.top_k is not None:
        probs[..., sampling.top_k :] = 0
    if sampling.top_p is not None and sampling.top_p < 1:
        probs *= _before_mass(probs, sampling.top_p)
    return torch.zeros_like(probs).scatter_(-1, order, probs / probs.sum(-1, keepdim=True))


def _greedy(logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The first of the largest logits, its mass (1, or nan where that logit is not finite), and the distribution."""
    highest, token = logits.max(-1, keepdim=True)
    mass = (highest - highest).exp()
    return token, mass, torch.zeros_like(logits).scatter_(-1, token, mass)


def _softmax(logits: Tensor, temperature: float) -> Tensor:
    """The maximum goes before a division that enlarges, and after one that shrinks: neither can make it infinite."""
    smallest = torch.finfo(logits.dtype).tiny  # what is below turns into 0 when it meets these logits
    if temperature > 1:
        logits, temperature = logits / temperature, 1.0
    return ((logits - logits.amax(-1, keepdim=True)) / max(temperature, smallest)).softmax(-1)


def _before_mass(probs: Tensor, top_p: float) -> Tensor:
    """Which of the descending probabilities come before those ahead of them hold the share top_p of the mass.

    A share that misses top_p by a rounding error has reached it: of ten equal tokens 0.6 keeps six.
    """
    mass = probs.cumsum(-1, dtype=torch.float64)
    ahead = F.pad(mass[..., :-1], (1, 0))
    rounding = 8 * torch.finfo(probs.dtype).eps
    return ahead < top_p * (1 - rounding) * mass[..., -1:]


def sample(probs: Float[Tensor, "*batch V"], generator: torch.Generator | None = None) -> Int[Tensor, "*batch"]:
    """Draw one token from each distribution by inversion: the first x with p_0 + ... + p_x > u.

    (Devroye, 1986, chapter III.2.) One uniform number a token and sums in float64, where `torch.multinomial` draws a
    number for every token of the vocabulary: on a CPU that takes longer than a layer of a small model.

    Args:
        probs: distributions over the vocabulary; each is taken relative to its sum.
        generator: the source of randomness; torch's global one where there is none.

    Raises:
        ValueError: a negative or undefined probability, or a distribution without mass or with infinite mass.

    Chapter: book/ch02_speculative_decoding
    """
    cumulative = probs.cumsum(-1, dtype=torch.float64).contiguous()
    mass = cumulative[..., -1:]
    check_distributions(probs, mass)
    u = mass * torch.rand(mass.shape, generator=generator, device=probs.device, dtype=torch.float64)
    return torch.searchsorted(cumulative, u, right=True)[..., 0]


def check_distributions(probs: Float[Tensor, "*batch V"], mass: Float[Tensor, "*batch 1"]) -> None:
    """Raise ValueError where a row is no probability distribution up to its scale; waits for the device.

    Chapter: book/ch02_speculative_decoding
    """
    lowest, (least, most) = probs.amin(), mass.aminmax()
    if not (lowest >= 0 and least > 0 and most < math.inf):  # false for nan as well
        raise ValueError(
            f"not a probability distribution: least probability {lowest.item():.3g}, sums from {least.item():.3g} to "
            f"{most.item():.3g}; none may be negative or nan, and each distribution needs a finite mass"
        )


def draw(
    logits: Float[Tensor, "*batch V"], sampling: Sampling, generator: torch.Generator | None = None
) -> tuple[Int[Tensor, "*batch"], Float[Tensor, "*batch V"]]:
    """A token for each row of logits, and the distribution that it was drawn from; greedy needs no random number.

    Raises:
        ValueError: a row of logits holds nan or has no finite maximum.

    Chapter: book/ch02_speculative_decoding
    """
    if sampling.temperature == 0:
        token, mass, probs = _greedy(at_least_float32(logits))
        if not mass.amin().item() == 1:
            raise ValueError(
                "the largest logit of a row is nan or infinite, so the row is not a probability distribution"
            )
        return token[..., 0], probs
    probs = probabilities(logits, sampling)
    return sample(probs, generator), probs


def race(probs: Float[Tensor, "*batch V"], exponentials: Float[Tensor, "*batch V"]) -> Int[Tensor, "*batch"]:
    """Draw one token from each distribution with given randomness, without a look at the outcome from the host.

    argmin_x E_x / p_x is x with probability p_x: of independent exponential waiting times with rates p_x, the shortest.
    A token of probability 0 waits for ever. `torch.multinomial` does the same and asks the host whether p is a
    distribution; here a row that is none gives some token all the same.

    Args:
        probs: distributions over the vocabulary.
        exponentials: E, independent draws of mean 1.

    Chapter: book/ch02_speculative_decoding
    """
    waits = at_least_float32(exponentials).clamp(min=torch.finfo(torch.float32).tiny)  # a draw may round to 0
    return (at_least_float32(probs) / waits).argmax(-1)
