"""The loss balancer: a weight says what share of the gradient a loss has, whatever its own scale."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


class Balancer:
    """Backpropagates several losses of one output, each with a gradient of the norm that its weight asks for.

    g_i = d l_i / d x_hat;  n_i = running mean of |g_i|;  x_hat receives sum over i of R w_i / (sum w) g_i / n_i
    (Defossez et al., 2022, arXiv:2210.13438, eq. 4)

    |g_i| is taken per sound and averaged over the batch. Losses that do not pass through the output, such as the
    commitment loss, stay outside.

    Args:
        weights: w_i by name, such as {"time": .1, "mel": 1, "adversarial": 3, "features": 3}, EnCodec's at 24 kHz.
        total_norm: R.
        decay: of the running mean, which is corrected for its start.

    Raises:
        ValueError: no weights, one that is negative or not finite, none above 0, or a decay outside of 0 .. 1.

    Chapter: book/ch19_audio_codecs
    """

    def __init__(self, weights: Mapping[str, float], total_norm: float = 1.0, decay: float = 0.999):
        finite = all(0 <= weight < math.inf for weight in weights.values())
        if not finite or not sum(weights.values()) > 0:
            raise ValueError(f"weights {dict(weights)} must be finite, 0 or more, and one of them above 0")
        if not 0 <= decay < 1 or not 0 < total_norm < math.inf:
            raise ValueError(f"decay {decay} must be 0 or more and below 1, total_norm {total_norm} above 0, finite")
        self.weights, self.total_norm, self.decay = dict(weights), total_norm, decay
        self.sums: dict[str, float] = {}  # of decayed norms
        self.counts: dict[str, float] = {}  # of decayed ones

    def backward(self, losses: Mapping[str, Float[Tensor, ""]], output: Float[Tensor, "B *rest"]) -> dict[str, float]:
        """Call once instead of `loss.backward()`; gradients arrive where `output` was computed from.

        Args:
            losses: by name; each depends on `output`.
            output: x_hat, of the decoder.

        Returns:
            The norm of each loss's own gradient, before it is balanced.

        Raises:
            ValueError: a loss without a weight, no losses, or a gradient that is not finite: nothing has changed then.
        """
        if not losses or not losses.keys() <= self.weights.keys():
            raise ValueError(f"losses {sorted(losses)} must be some of {sorted(self.weights)}")
        given = {name: torch.autograd.grad(loss, output, retain_graph=True)[0] for name, loss in losses.items()}
        norms = {name: gradient.flatten(1).double().norm(dim=1).mean().item() for name, gradient in given.items()}
        if bad := [name for name, norm in norms.items() if not math.isfinite(norm)]:
            raise ValueError(f"the gradient of {bad} is not finite: it would stay in the running means")
        balanced, total_weight = torch.zeros_like(output), sum(self.weights[name] for name in losses)
        for name, gradient in given.items():
            self.sums[name] = self.decay * self.sums.get(name, 0.0) + norms[name]
            self.counts[name] = self.decay * self.counts.get(name, 0.0) + 1
            mean = self.sums[name] / self.counts[name]
            share = self.weights[name] / total_weight if total_weight else 0.0
            balanced += gradient * (self.total_norm * share / (mean + 1e-12))
        output.backward(balanced)
        return norms

    def state_dict(self) -> dict[str, dict[str, float]]:
        """The running means, for a training that is resumed."""
        return {"sums": dict(self.sums), "counts": dict(self.counts)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what `state_dict` gave."""
        self.sums, self.counts = dict(state["sums"]), dict(state["counts"])
