"""Sampling that never asks the host, so that a CUDA graph can hold it and replay it with fresh randomness."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nimblelm.inference.decoding.sampling import Sampling, check_distributions, probabilities, race


class DeviceSampler:
    """Distributions from logits and tokens from distributions, on the device.

    Args:
        sampling: the distribution of each token.
        generator: the source of randomness, on the models' device. A graph that it is registered with goes on from its
            state at each replay, so replayed and eager rounds draw the same numbers.

    Chapter: book/ch02_speculative_decoding
    """

    def __init__(self, sampling: Sampling, generator: torch.Generator):
        self.sampling, self.generator = sampling, generator

    def probabilities(self, logits: Float[Tensor, "*batch V"]) -> Float[Tensor, "*batch V"]:
        """Next-token probabilities in float32, whatever the logits' dtype."""
        return probabilities(logits.float(), self.sampling)

    def draw(self, probs: Float[Tensor, "B V"]) -> Int[Tensor, "B"]:
        """One token from each distribution.

        On a CPU a row that is no distribution is an error. On a GPU asking would make the host wait, and a graph cannot
        ask at all: there such a row gives some token, so logits that may hold nan are to be looked at before.

        Raises:
            ValueError: on a CPU, a probability is negative or nan, or a row has no mass.
        """
        if not probs.is_cuda:
            check_distributions(probs, probs.sum(-1, keepdim=True))
        if self.sampling.temperature == 0:
            return probs.argmax(-1)  # all mass lies on one token
        return race(probs, self.exponentials(*probs.shape))

    def exponentials(self, batch: int, count: int) -> Float[Tensor, "B N"]:
        """Independent waiting times of mean 1."""
        return torch.empty(batch, count, device=self.generator.device).exponential_(generator=self.generator)

    def uniforms(self, batch: int, count: int) -> Float[Tensor, "B N"]:
        """Independent numbers in [0, 1)."""
        return torch.rand(batch, count, device=self.generator.device, generator=self.generator)
