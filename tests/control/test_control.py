"""The cart's equations, the trust region against a Fisher matrix written out, imitation against its formulas."""

import math

import pytest
import torch
import torch.nn.functional as F
from scipy.integrate import solve_ivp
from torch import nn

from nimblelm.control.cart_pole import dynamics, expert, failed, play
from nimblelm.control.imitation import cloning_loss, discriminator_loss, gail_iteration, rewards_to_go, state_action
from nimblelm.control.trpo import DAMPING, conjugate_gradient, trust_region_step


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_cart_obeys_the_equations_of_motion():
    """Accelerations solve Lagrange's two equations, which are set up here as a linear system."""
    torch.manual_seed(0)
    states, actions = torch.randn(20, 4, dtype=torch.float64), torch.randint(2, (20,))
    after = dynamics(states, actions)
    for (x, dx, angle, turning), action, moved in zip(states.tolist(), actions.tolist(), after, strict=True):
        force, mass, pole, half, gravity = (10.0 if action else -10.0), 1.1, 0.1, 0.5, 9.8
        matrix = torch.tensor(
            [[mass, pole * half * math.cos(angle)], [math.cos(angle), 4 / 3 * half]], dtype=torch.float64
        )
        right = [force + pole * half * turning**2 * math.sin(angle), gravity * math.sin(angle)]
        linear, angular = torch.linalg.solve(matrix, torch.tensor(right, dtype=torch.float64)).tolist()
        want = [x + 0.02 * dx, dx + 0.02 * linear, angle + 0.02 * turning, turning + 0.02 * angular]
        torch.testing.assert_close(moved, torch.tensor(want, dtype=torch.float64))


def test_an_untouched_pole_falls_as_an_integrator_says():
    """Alternating pushes cancel; over 0.2 s Euler's steps stay near the exact course."""
    state, exact = torch.tensor([[0.0, 0.0, 0.05, 0.0]], dtype=torch.float64), [0.0, 0.0, 0.05, 0.0]
    for action in [0, 1] * 5:
        state = dynamics(state, torch.tensor([action]))

        def slope(_, y, action=action):
            now = torch.from_numpy(y)[None]
            return ((dynamics(now, torch.tensor([action])) - now)[0] / 0.02).tolist()

        exact = solve_ivp(slope, (0, 0.02), exact, rtol=1e-8).y[:, -1]
    torch.testing.assert_close(state[0], torch.from_numpy(exact), atol=0.03, rtol=0.1)


def test_episodes_end_where_the_cart_fails_and_the_expert_lasts():
    episodes = play(lambda s: torch.zeros(len(s), 2), 50, rng())
    for states, alive, length in zip(episodes.states, episodes.alive, episodes.lengths, strict=True):
        assert alive[: int(length)].all()
        assert not alive[int(length) :].any()
        assert not failed(states[: int(length)]).any()
        if length < len(alive):
            assert failed(states[length][None])
    assert 15 < episodes.lengths.float().mean() < 30
    assert play(expert, 50, rng()).lengths.float().mean() == 200
    with pytest.raises(ValueError, match="0 carts"):
        play(expert, 0, rng())
    with pytest.raises(ValueError, match="spread of nan"):
        play(expert, 1, rng(), spread=math.nan)


def test_conjugate_gradients_solve_a_linear_system():
    torch.manual_seed(0)
    root = torch.randn(6, 6, dtype=torch.float64)
    matrix, b = root @ root.T + torch.eye(6), torch.randn(6, dtype=torch.float64)
    torch.testing.assert_close(conjugate_gradient(lambda x: matrix @ x, b, 50), torch.linalg.solve(matrix, b))


def test_the_step_is_the_natural_gradient_as_long_as_the_bound_allows():
    torch.manual_seed(0)
    policy = nn.Linear(2, 2).double()
    states, actions = torch.randn(40, 2, dtype=torch.float64), torch.randint(2, (40,))
    advantage = torch.randn(40, dtype=torch.float64)
    weights = nn.utils.parameters_to_vector(policy.parameters()).detach().clone()
    fisher, gradient = torch.zeros(6, 6, dtype=torch.float64), torch.zeros(6, dtype=torch.float64)
    for state, action, worth in zip(states, actions, advantage, strict=True):
        for one in (0, 1):  # the mean outer product of score vectors, over what the policy might have done
            log_probs = policy(state).log_softmax(-1)
            score = torch.cat([g.flatten() for g in torch.autograd.grad(log_probs[one], policy.parameters())])
            fisher += log_probs[one].exp().detach() * torch.outer(score, score) / 40
            gradient += score * worth / 40 if one == action else 0
    direction = torch.linalg.solve(fisher + DAMPING * torch.eye(6), gradient)
    length = math.sqrt(2 * 1e-4 / float(direction @ (fisher + DAMPING * torch.eye(6)) @ direction))
    kl = trust_region_step(policy, states, actions, advantage, max_kl=1e-4)
    moved = nn.utils.parameters_to_vector(policy.parameters()).detach() - weights
    torch.testing.assert_close(moved, length * direction, rtol=1e-4, atol=1e-7)
    assert 0 < kl <= 1e-4


def test_a_step_that_would_go_too_far_is_shortened_and_one_without_gain_not_taken():
    torch.manual_seed(0)
    policy = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2))
    states, actions = torch.randn(40, 2), torch.randint(2, (40,))
    assert 0 < trust_region_step(policy, states, actions, torch.randn(40), max_kl=0.5) <= 0.5
    before = nn.utils.parameters_to_vector(policy.parameters()).clone()
    assert trust_region_step(policy, states, actions, torch.zeros(40)) == 0.0
    assert torch.equal(nn.utils.parameters_to_vector(policy.parameters()), before)
    with pytest.raises(ValueError, match=r"max_kl 0\.0"):
        trust_region_step(policy, states, actions, torch.zeros(40), max_kl=0.0)


def test_losses_are_their_formulas():
    torch.manual_seed(0)
    policy, discriminator = nn.Linear(4, 2), nn.Linear(6, 1)
    states, actions = torch.randn(9, 4), torch.randint(2, (9,))
    chosen = policy(states).softmax(-1)[torch.arange(9), actions]
    torch.testing.assert_close(cloning_loss(policy, states, actions), -chosen.log().mean())
    pairs = state_action(states, actions)
    assert torch.equal(pairs[:, 4:], F.one_hot(actions, 2).float())
    d = discriminator(pairs).sigmoid()
    want = -(d[:5].log().mean() + (1 - d[5:]).log().mean())
    torch.testing.assert_close(discriminator_loss(discriminator, pairs[:5], pairs[5:]), want)


def test_rewards_to_go_are_discounted_sums_of_what_was_lived():
    rewards = torch.tensor([[1.0, 2.0, 4.0], [1.0, 1.0, 9.0]])
    alive = torch.tensor([[True, True, True], [True, True, False]])
    want = torch.tensor([[1 + 1 + 1, 2 + 2, 4], [1.5, 1, 0]])
    assert torch.equal(rewards_to_go(rewards, alive, 0.5), want)
    with pytest.raises(ValueError, match=r"discount 1\.5"):
        rewards_to_go(rewards, alive, 1.5)


def test_gail_learns_to_balance_from_ten_pairs():
    shown = play(expert, 1, rng(5), spread=0.05)
    pairs = state_action(shown.states[0, ::20], shown.actions[0, ::20])
    torch.manual_seed(0)
    policy, discriminator = (
        nn.Sequential(nn.Linear(inputs, 16), nn.Tanh(), nn.Linear(16, outputs)) for inputs, outputs in ((4, 2), (6, 1))
    )
    optimizer = torch.optim.Adam(discriminator.parameters(), 1e-2)
    generator = rng()
    lengths = [
        gail_iteration(policy, discriminator, optimizer, pairs, 20, generator).lengths.float().mean() for _ in range(12)
    ]
    assert lengths[-1] > 3 * lengths[0]


def test_actions_of_any_whole_dtype_push_alike():
    states, actions = torch.zeros(2, 4), torch.tensor([0, 1])
    for dtype in (torch.uint8, torch.int8, torch.int32):
        assert torch.equal(dynamics(states, actions.to(dtype)), dynamics(states, actions))


def test_nan_is_no_place_and_no_decision():
    assert failed(torch.full((1, 4), math.nan)).all()
    with pytest.raises(ValueError, match="step 0 are no distribution"):
        play(lambda state: state[:, :2] * math.nan, 2, rng())
    rewards, alive = torch.tensor([[1.0, 1.0, math.nan]]), torch.tensor([[True, True, False]])
    assert rewards_to_go(rewards, alive, 0.5).tolist() == [[1.5, 1.0, 0.0]]


def step_of(*given: torch.Tensor) -> float:
    return trust_region_step(nn.Linear(4, 2), *given)


def test_a_step_needs_finite_numbers_of_the_same_steps(interpreted):
    states, actions, advantage = torch.randn(5, 4, generator=rng()), torch.tensor([0, 1, 1, 0, 1]), torch.ones(5)
    for wrong in ((states, actions, advantage[:, None]), (states[:0], actions[:0], advantage[:0])):
        with pytest.raises(ValueError, match="of the same steps"):
            interpreted(step_of, *wrong)  # where the shapes of arguments are not checked
    with pytest.raises(ValueError, match="objective is nan"):
        trust_region_step(nn.Linear(4, 2), states, actions, advantage * math.nan)
    with pytest.raises(ValueError, match="float16"):
        conjugate_gradient(lambda x: x, torch.ones(3).half())
