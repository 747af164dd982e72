"""A cart with a pole on it, to be kept upright by pushing left or right: many carts at once."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int, Integer
from torch import Tensor

GRAVITY, CART_KG, POLE_KG, HALF_LENGTH_M, FORCE_N, STEP_S = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02
POSITION_LIMIT_M, ANGLE_LIMIT = 2.4, 12 * math.pi / 180
MAX_STEPS = 200

Policy = Callable[[Float[Tensor, "B 4"]], Float[Tensor, "B 2"]]  # states -> logits of pushing left and right


class Episodes(NamedTuple):
    """What happened, step by step; `alive` is false after a cart has failed."""

    states: Float[Tensor, "B T 4"]  # position, velocity, angle of the pole, angular velocity
    actions: Int[Tensor, "B T"]  # 0 left, 1 right
    alive: Bool[Tensor, "B T"]

    @property
    def lengths(self) -> Int[Tensor, "B"]:
        """Steps until each cart failed: what is to be large."""
        return self.alive.sum(1)


def dynamics(state: Float[Tensor, "B 4"], action: Integer[Tensor, "B"]) -> Float[Tensor, "B 4"]:
    """One step of 20 ms (Barto, Sutton and Anderson, 1983, appendix), by Euler's method and without friction.

    Chapter: book/ch08_vision_transformer
    """
    x, dx, angle, turning = state.unbind(-1)
    force = FORCE_N * (2 * action.to(state.dtype) - 1)
    mass = CART_KG + POLE_KG
    pushed = (force + POLE_KG * HALF_LENGTH_M * turning.square() * angle.sin()) / mass
    angular = (GRAVITY * angle.sin() - angle.cos() * pushed) / (
        HALF_LENGTH_M * (4 / 3 - POLE_KG * angle.cos().square() / mass)
    )
    linear = pushed - POLE_KG * HALF_LENGTH_M * angular * angle.cos() / mass
    return torch.stack(
        [x + STEP_S * dx, dx + STEP_S * linear, angle + STEP_S * turning, turning + STEP_S * angular], -1
    )


def failed(state: Float[Tensor, "B 4"]) -> Bool[Tensor, "B"]:
    """Whether the cart left the track or the pole fell; nan is no place on the track."""
    return ~((state[:, 0].abs() <= POSITION_LIMIT_M) & (state[:, 2].abs() <= ANGLE_LIMIT))


def expert(state: Float[Tensor, "B 4"]) -> Float[Tensor, "B 2"]:
    """A policy that keeps the pole up and the cart near the middle: push to where a weighted sum of the state is."""
    push = state @ state.new_tensor([0.1, 0.25, 1.0, 0.25])
    return torch.stack([-100 * push, 100 * push], dim=-1)


def play(
    policy: Policy, count: int, generator: torch.Generator, max_steps: int = MAX_STEPS, spread: float = 0.1
) -> Episodes:
    """Let a policy drive `count` carts, actions drawn from its logits, until all failed or the time is up.

    Args:
        policy: logits of left and right.
        count: of carts.
        generator: source of randomness, on the CPU.
        max_steps: at most.
        spread: each number of the first state is drawn between minus and plus this; 0.1 is near the middle, the pole
            nearly upright.

    Raises:
        ValueError: count or max_steps is below 1, spread is negative or not finite, or the policy's logits for a cart
            are no distribution.

    Chapter: book/ch08_vision_transformer
    """
    if min(count, max_steps) < 1:
        raise ValueError(f"{count} carts and {max_steps} steps must be 1 or more")
    if not 0 <= spread < math.inf:
        raise ValueError(f"a spread of {spread} must be 0 or more and finite")
    state = spread * (2 * torch.rand(count, 4, generator=generator) - 1)
    alive = torch.ones(count, dtype=torch.bool)
    steps = []
    with torch.no_grad():
        for _ in range(max_steps):
            probs = policy(state).softmax(-1)
            if not probs[alive].isfinite().all():
                raise ValueError(f"logits of the policy in step {len(steps)} are no distribution")
            action = (torch.rand(count, generator=generator) < probs[:, 1]).long()
            steps.append((state, action, alive))
            state = torch.where(alive[:, None], dynamics(state, action), state)
            alive = alive & ~failed(state)
            if not alive.any():
                break
    states, actions, living = (torch.stack(parts, dim=1) for parts in zip(*steps, strict=True))
    return Episodes(states, actions, living)
