"""Deep belief networks: layers learned one by one, each as a restricted Boltzmann machine."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class RBM(nn.Module):
    """A restricted Boltzmann machine over binary units: two layers, no connections within one.

    p(v, h) ~ exp(-E), E = -b.v - c.h - h W v; so p(h_j = 1 | v) = sigmoid(c_j + W_j v), and v given h likewise
    (Hinton et al., 2006, A fast learning algorithm for deep belief nets).

    Args:
        num_visible: units that are shown data, between 0 and 1.
        num_hidden: units that explain it.

    Chapter: book/ch08_vision_transformer
    """

    def __init__(self, num_visible: int, num_hidden: int):
        super().__init__()
        self.weight = nn.Parameter(0.01 * torch.randn(num_hidden, num_visible))
        self.visible_bias = nn.Parameter(torch.zeros(num_visible))
        self.hidden_bias = nn.Parameter(torch.zeros(num_hidden))

    def hidden(self, visible: Float[Tensor, "B v"]) -> Float[Tensor, "B h"]:
        """p(h = 1 | v)."""
        return torch.sigmoid(F.linear(visible, self.weight, self.hidden_bias))

    def visible(self, hidden: Float[Tensor, "B h"]) -> Float[Tensor, "B v"]:
        """p(v = 1 | h)."""
        return torch.sigmoid(F.linear(hidden, self.weight.T, self.visible_bias))

    def free_energy(self, visible: Float[Tensor, "B v"]) -> Float[Tensor, "B"]:
        """F(v) = -b.v - sum_j softplus(c_j + W_j v), so that p(v) ~ exp(-F(v))."""
        return -visible @ self.visible_bias - F.softplus(F.linear(visible, self.weight, self.hidden_bias)).sum(-1)

    def contrastive_divergence(
        self, visible: Float[Tensor, "B v"], generator: torch.Generator, steps: int = 1
    ) -> Float[Tensor, ""]:
        """A loss whose gradient is that of CD-k: free energy at the data, less that after k steps of Gibbs sampling.

        Args:
            visible: data.
            generator: source of randomness, on the CPU.
            steps: k; the more, the nearer to the gradient of the likelihood.

        Raises:
            ValueError: steps is below 1.
        """
        if steps < 1:
            raise ValueError(f"{steps} steps of Gibbs sampling are below 1")
        with torch.no_grad():
            dreamt = visible
            for _ in range(steps):
                hidden = bernoulli(self.hidden(dreamt), generator)
                dreamt = bernoulli(self.visible(hidden), generator)
        return (self.free_energy(visible) - self.free_energy(dreamt)).mean()


def bernoulli(probs: Float[Tensor, "*shape"], generator: torch.Generator) -> Float[Tensor, "*shape"]:
    """Zeros and ones, drawn with these probabilities of a one."""
    return (torch.rand(probs.shape, generator=generator).to(probs) < probs).to(probs.dtype)


def unrolled(machines: Sequence[RBM], num_classes: int) -> nn.Sequential:
    """The feed-forward network that a stack of machines initialises: its last layer is new, all is fine-tuned.

    Raises:
        ValueError: there are no machines.

    Chapter: book/ch08_vision_transformer
    """
    if not machines:
        raise ValueError("a deep belief network has 1 machine or more, got none")
    layers: list[nn.Module] = []
    for machine in machines:
        layer = nn.Linear(machine.weight.shape[1], machine.weight.shape[0])
        with torch.no_grad():
            layer.weight.copy_(machine.weight)
            layer.bias.copy_(machine.hidden_bias)
        layers += [layer, nn.Sigmoid()]
    return nn.Sequential(*layers, nn.Linear(machines[-1].weight.shape[0], num_classes))
