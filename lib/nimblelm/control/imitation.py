"""Learning from demonstrations: cloning what the expert did, and generative adversarial imitation."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from nimblelm.control.cart_pole import Episodes, play
from nimblelm.control.trpo import trust_region_step


def cloning_loss(policy: nn.Module, states: Float[Tensor, "N s"], actions: Int[Tensor, "N"]) -> Float[Tensor, ""]:
    """Behaviour cloning: actions are labels, -mean log pi(a | s)          (Pomerleau, 1989).

    Chapter: book/ch08_vision_transformer
    """
    return F.cross_entropy(policy(states), actions)


def state_action(states: Float[Tensor, "*batch s"], actions: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch c"]:
    """What a discriminator reads: the state, and the action as one of two."""
    return torch.cat([states, F.one_hot(actions, 2).to(states.dtype)], dim=-1)


def discriminator_loss(
    discriminator: nn.Module, policys: Float[Tensor, "N c"], experts: Float[Tensor, "M c"]
) -> Float[Tensor, ""]:
    """Minus what algorithm 1 ascends: E_policy[log D(s, a)] + E_expert[log(1 - D(s, a))]     (Ho and Ermon, 2016,
    arXiv:1606.03476, eq. 17). D is the probability that the policy did it.

    Chapter: book/ch08_vision_transformer
    """
    return F.softplus(-discriminator(policys)).mean() + F.softplus(discriminator(experts)).mean()


def rewards_to_go(rewards: Float[Tensor, "B T"], alive: Bool[Tensor, "B T"], discount: float) -> Float[Tensor, "B T"]:
    """Q(s_t, a_t) = sum_k discount^k r_{t+k} over the steps that were lived, whatever stands behind them.

    Raises:
        ValueError: the discount is outside of 0 .. 1.
    """
    _check_discount(discount)
    total, found = torch.zeros_like(rewards[:, 0]), []
    for reward, lives in zip(rewards.flip(1).unbind(1), alive.flip(1).unbind(1), strict=True):
        total = torch.where(lives, reward + discount * total, 0.0)
        found.append(total)
    return torch.stack(found[::-1], dim=1)


def gail_iteration(
    policy: nn.Module,
    discriminator: nn.Module,
    optimizer: torch.optim.Optimizer,
    experts: Float[Tensor, "M c"],
    carts: int,
    generator: torch.Generator,
    discount: float = 0.97,
    entropy_weight: float = 1e-3,
    spread: float = 0.1,
) -> Episodes:
    """One pass of algorithm 1: play, move the discriminator, then the policy by a TRPO step.

    The policy's cost is log D(s, a) (Ho and Ermon, 2016, arXiv:1606.03476, algorithm 1): it is low where the
    discriminator takes the policy for the expert.

    Args:
        policy: states -> logits of the actions; its weights are changed.
        discriminator: state and action -> logit of D; the optimizer changes it.
        optimizer: of the discriminator.
        experts: what the expert did, as `state_action` lays it out.
        carts: episodes to play.
        generator: source of randomness, on the CPU.
        discount: of costs that come later.
        entropy_weight: lambda of eq. 18.
        spread: of the first states, as in `play`.

    Raises:
        ValueError: the discount is outside of 0 .. 1, or entropy_weight or spread is negative or not finite.

    Chapter: book/ch08_vision_transformer
    """
    _check_discount(discount)
    if not 0 <= entropy_weight < math.inf:
        raise ValueError(f"entropy_weight {entropy_weight} must be 0 or more and finite")
    episodes = play(policy, carts, generator, spread=spread)
    seen, alive = state_action(episodes.states, episodes.actions), episodes.alive
    for _ in range(3):
        chosen = torch.randint(len(experts), (int(alive.sum()),), generator=generator)
        loss = discriminator_loss(discriminator, seen[alive], experts[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        rewards = F.softplus(-discriminator(seen)[..., 0])  # -log D, above 0: to live on is worth something
        advantage = rewards_to_go(rewards, alive, discount)
        step = torch.arange(advantage.shape[1]).expand_as(advantage)[alive]
        advantage = advantage[alive]
        mean = torch.zeros(int(step.max()) + 1).index_add_(0, step, advantage) / step.bincount()
        advantage = advantage - mean[step]  # less what is usual at that time
        advantage = advantage / advantage.std().clamp(min=1e-6)
    trust_region_step(policy, episodes.states[alive], episodes.actions[alive], advantage, entropy_weight=entropy_weight)
    return episodes


def _check_discount(discount: float) -> None:
    if not 0 <= discount <= 1:
        raise ValueError(f"discount {discount} is outside of 0 .. 1")
