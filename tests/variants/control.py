"""How the functions of `nimblelm.control` are called with tensors."""

import torch
from torch import nn

from nimblelm.control import cart_pole, imitation, trpo
from tests.tensor_variants import Arguments, Case, Exempt
from tests.variants.kernels import random
from tests.variants.nn import module

NOT_YET: tuple[str, ...] = ()
FLOAT32 = (torch.float32,)
POLICY, DISCRIMINATOR = module(nn.Linear, 4, 2), module(nn.Linear, 6, 1)
STEPS = Exempt("runs a whole iteration: what it plays it makes itself")


def chosen() -> Arguments:
    return random(states=(5, 4)) | {"actions": torch.tensor([0, 1, 1, 0, 1])}


def stepped(states, actions, advantage):
    torch.manual_seed(0)
    policy = nn.Linear(4, 2).to(states.dtype)
    kl = trpo.trust_region_step(policy, states, actions, advantage)
    return policy.weight.detach(), torch.tensor(kl, dtype=states.dtype)


def solved(b):
    scale = torch.arange(1, 6, dtype=b.dtype)
    return trpo.conjugate_gradient(lambda x: scale * x, b, 8)


CASES: dict[str, Case | Exempt] = {
    "control.cart_pole.dynamics": Case(
        lambda states, actions: cart_pole.dynamics(states, actions),
        chosen,
        dtypes=FLOAT32,
        fixed=frozenset({"actions"}),
        tolerance=20,
    ),
    "control.cart_pole.failed": Case(
        lambda states: cart_pole.failed(states), lambda: random(states=(5, 4)), dtypes=FLOAT32
    ),
    "control.cart_pole.expert": Case(
        lambda states: cart_pole.expert(states), lambda: random(states=(5, 4)), dtypes=FLOAT32, tolerance=20
    ),
    "control.imitation.cloning_loss": Case(
        lambda states, actions: imitation.cloning_loss(POLICY(states.dtype), states, actions),
        chosen,
        dtypes=FLOAT32,
        loud=1.0,
        fixed=frozenset({"actions"}),
    ),
    "control.imitation.state_action": Case(
        lambda states, actions: imitation.state_action(states, actions), chosen, fixed=frozenset({"actions"})
    ),
    "control.imitation.discriminator_loss": Case(
        lambda a, b: imitation.discriminator_loss(DISCRIMINATOR(a.dtype), a, b),
        lambda: random(a=(5, 6), b=(4, 6)),
        dtypes=FLOAT32,
    ),
    "control.imitation.rewards_to_go": Case(
        lambda rewards, alive: imitation.rewards_to_go(rewards, alive, 0.9),
        lambda: random(rewards=(2, 4)) | {"alive": torch.tensor([[True] * 4, [True, True, False, False]])},
        fixed=frozenset({"alive"}),
    ),
    "control.imitation.gail_iteration": STEPS,
    "control.trpo.trust_region_step": Case(
        stepped,
        lambda: chosen() | random(advantage=(5,)),
        dtypes=FLOAT32,
        fixed=frozenset({"actions"}),
        tolerance=200,
    ),
    "control.trpo.conjugate_gradient": Case(solved, lambda: random(b=(5,)), dtypes=FLOAT32, tolerance=20),
}
