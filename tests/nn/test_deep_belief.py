"""Boltzmann machines small enough to list every state."""

import itertools

import pytest
import torch

from nimblelm.nn.deep_belief import RBM, bernoulli, unrolled


def machine_of():
    torch.manual_seed(0)
    machine = RBM(4, 3).double()
    for weight in machine.parameters():
        torch.nn.init.normal_(weight)
    return machine


def states(count):
    return torch.tensor(list(itertools.product((0.0, 1.0), repeat=count)), dtype=torch.float64)


def joint(machine):
    """p(v, h) of every pair, by the energy."""
    v, h = states(4), states(3)
    energy = -(v @ machine.visible_bias)[:, None] - h @ machine.hidden_bias - v @ machine.weight.T @ h.T
    return v, h, (-energy).flatten().softmax(0).view(len(v), len(h))


def test_conditionals_and_free_energy_are_those_of_the_listed_distribution():
    machine = machine_of()
    v, h, p = joint(machine)
    torch.testing.assert_close(machine.hidden(v), (p @ h) / p.sum(1, keepdim=True))
    torch.testing.assert_close(machine.visible(h), (p.T @ v) / p.sum(0)[:, None])
    torch.testing.assert_close((-machine.free_energy(v)).softmax(0), p.sum(1))


def test_contrastive_divergence_of_many_steps_is_the_gradient_of_the_likelihood():
    machine = machine_of()
    v, _, p = joint(machine)
    data = v[[3, 9, 9, 14]]
    rows = [3, 9, 9, 14]
    likelihood = -p.sum(1)[rows].log().mean()
    want = torch.autograd.grad(likelihood, list(machine.parameters()))
    many = data.repeat(20_000, 1)
    loss = machine.contrastive_divergence(many, torch.Generator().manual_seed(0), steps=15)
    got = torch.autograd.grad(loss, list(machine.parameters()))
    for ours, theirs in zip(got, want, strict=True):
        torch.testing.assert_close(ours, theirs, atol=0.02, rtol=0.05)
    one_step = machine.contrastive_divergence(many, torch.Generator().manual_seed(0))
    assert not torch.allclose(torch.autograd.grad(one_step, machine.weight)[0], want[0], atol=0.02, rtol=0.05)


def test_learning_makes_the_data_likelier():
    machine = machine_of()
    data, generator = states(4)[[3, 3, 12]], torch.Generator().manual_seed(0)
    optimizer = torch.optim.SGD(machine.parameters(), lr=0.2)
    before = joint(machine)[2].sum(1)[[3, 12]].sum()
    for _ in range(300):
        optimizer.zero_grad()
        machine.contrastive_divergence(data.repeat(20, 1), generator).backward()
        optimizer.step()
    assert joint(machine)[2].sum(1)[[3, 12]].sum() > max(0.6, 2 * before)


def test_the_unrolled_network_computes_the_machines_hidden_layers():
    torch.manual_seed(0)
    machines = [RBM(4, 3), RBM(3, 5)]
    x = torch.rand(2, 4)
    network = unrolled(machines, 2)
    torch.testing.assert_close(network[:-1](x), machines[1].hidden(machines[0].hidden(x)))
    assert network(x).shape == (2, 2)


def test_draws_have_their_probabilities_and_wrong_numbers_are_refused():
    drawn = bernoulli(torch.full((20_000,), 0.3), torch.Generator().manual_seed(0))
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    assert abs(drawn.mean() - 0.3) < 0.01
    with pytest.raises(ValueError, match="0 steps"):
        machine_of().contrastive_divergence(states(4), torch.Generator(), steps=0)
    with pytest.raises(ValueError, match="1 machine"):
        unrolled([], 2)
