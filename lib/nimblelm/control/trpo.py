"""Trust region policy optimization: the steepest step within a bound on how far the policy moves."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

DAMPING = 0.1


def trust_region_step(
    policy: nn.Module,
    states: Float[Tensor, "N s"],
    actions: Int[Tensor, "N"],
    advantage: Float[Tensor, "N"],
    max_kl: float = 0.01,
    entropy_weight: float = 0.0,
) -> float:
    """Move a policy along its natural gradient, as far as max_kl allows and no further than it helps.

    theta += sqrt(2 delta / (x F x)) x, F x = g: g the gradient of E[pi/pi_old A] + lambda H(pi), F the Fisher matrix
    (Schulman et al., 2015, arXiv:1502.05477, section 6 and appendix C); then halved until KL is at most delta and the
    objective has risen.

    Args:
        policy: states -> logits; its weights are changed.
        states: what it saw.
        actions: what it did.
        advantage: A, how much better each was than usual.
        max_kl: delta, nats.
        entropy_weight: lambda, keeps the policy from being certain too early.

    Returns:
        The KL divergence from the old policy to the new one; 0 where no step helped.

    Raises:
        ValueError: max_kl is not above 0 and finite, entropy_weight is negative or not finite, states, actions and
            advantage are not of the same steps, one or more, or what is to rise is not finite.

    Chapter: book/ch08_vision_transformer
    """
    if not 0 < max_kl < math.inf:
        raise ValueError(f"max_kl {max_kl} must be above 0 and finite")
    if not 0 <= entropy_weight < math.inf:
        raise ValueError(f"entropy_weight {entropy_weight} must be 0 or more and finite")
    if not len(states) or actions.shape != (len(states),) or advantage.shape != (len(states),):
        shapes = [tuple(x.shape) for x in (states, actions, advantage)]
        raise ValueError(f"states, actions and advantage {shapes} must be of the same steps, 1 or more")
    weights = list(policy.parameters())
    old = policy(states).log_softmax(-1).detach()
    rows = torch.arange(len(states), device=states.device)

    def objective() -> tuple[Tensor, Tensor]:
        """What is to rise, and how far the policy is from the old one."""
        log_probs = policy(states).log_softmax(-1)
        ratio = (log_probs[rows, actions] - old[rows, actions]).exp()
        entropy = -(log_probs.exp() * log_probs).sum(-1).mean()
        divergence = (old.exp() * (old - log_probs)).sum(-1).mean()
        return (ratio * advantage).mean() + entropy_weight * entropy, divergence

    before, divergence = objective()
    if not before.isfinite():
        raise ValueError(f"the objective is {before.item()}: a state, an advantage or a weight is not finite")
    gradient = _flat(torch.autograd.grad(before, weights, retain_graph=True))
    slope = _flat(torch.autograd.grad(divergence, weights, create_graph=True))

    def fisher(vector: Tensor) -> Tensor:
        """The second derivative of KL at the old policy, times a vector."""
        return _flat(torch.autograd.grad(slope @ vector, weights, retain_graph=True)) + DAMPING * vector

    direction = conjugate_gradient(fisher, gradient)
    curvature = float(direction @ fisher(direction))
    if curvature <= 0:
        return 0.0
    start = nn.utils.parameters_to_vector(weights).detach()
    step = direction * math.sqrt(2 * max_kl / curvature)
    with torch.no_grad():
        for _ in range(10):
            nn.utils.vector_to_parameters(start + step, weights)
            after, divergence = objective()
            if after > before and divergence <= max_kl:
                return float(divergence)
            step = step / 2
        nn.utils.vector_to_parameters(start, weights)
    return 0.0


def conjugate_gradient(
    product: Callable[[Tensor], Tensor], b: Float[Tensor, "n"], steps: int = 10, tolerance: float = 1e-10
) -> Float[Tensor, "n"]:
    """x with A x = b, where only products with the positive definite A are known (Hestenes and Stiefel, 1952).

    Raises:
        ValueError: the tolerance, of a squared residual, is negative or not finite, or b is in half precision, in
            which squares of residuals vanish.
    """
    if not 0 <= tolerance < math.inf:
        raise ValueError(f"tolerance {tolerance} must be 0 or more and finite")
    if b.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"b is {b.dtype}; squares of residuals need float32 or float64")
    x, residual = torch.zeros_like(b), b.clone()
    direction, size = residual.clone(), residual @ residual
    for _ in range(steps):
        if size < tolerance:
            break
        image = product(direction)
        length = size / (direction @ image)
        x, residual = x + length * direction, residual - length * image
        last, size = size, residual @ residual
        direction = residual + size / last * direction
    return x


def _flat(tensors: tuple[Tensor, ...]) -> Tensor:
    return torch.cat([one.reshape(-1) for one in tensors])
