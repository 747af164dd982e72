"""Tickets: rounds rewind, what is gone stays gone, counts are exact; the committed runs say what the chapter says."""

import json

import pytest
import torch

from nimblelm.compression.pruning.lottery import find_tickets, masked, next_masks, shuffled
from nimblelm.compression.pruning.overparameterized import fit_quadratic, quadratic_network, sufficient_width
from nimblelm.compression.pruning.sheared import SHEARED_FOLDER

RESULTS = SHEARED_FOLDER.parent / "small_networks" / "results.json"


def test_every_round_starts_where_the_first_did():
    start, seen = {"a": torch.tensor([[4.0, -3, 2, 1]]), "b": torch.tensor([[1.0, 5]])}, []

    def train(weights, masks):
        seen.append({name: weight.clone() for name, weight in weights.items()})
        return {name: weight * torch.tensor([1.0, 1, 1, -9])[: weight.shape[1]] for name, weight in weights.items()}

    masks = find_tickets(start, train, rounds=3, share=0.25)
    assert [round_["a"].tolist() for round_ in masks] == [
        [[True, True, True, True]],
        [[True, True, False, True]],  # by what training made of them: 4, 3, 2, 9
        [[True, False, False, True]],
        [[False, False, False, True]] if round(0.25 * 2) else [[True, False, False, True]],
    ]
    for weights, mask in zip(seen, masks, strict=False):
        assert torch.equal(weights["a"], start["a"] * mask["a"])
    assert all(round_["b"].any() for round_ in masks)


def test_what_is_gone_never_returns():
    masks = {"a": torch.tensor([True, False, True, True])}
    found = next_masks({"a": torch.tensor([0.0, 9.0, 0.0, 0.1])}, masks, 1 / 3)
    assert found["a"].tolist() == [True, False, False, True]
    assert next_masks({"a": torch.zeros(4)}, found, 0.9)["a"].sum() == 1


def test_a_shuffled_mask_keeps_the_count():
    masks = {"a": torch.arange(60).view(6, 10) < 21}
    other = shuffled(masks, torch.Generator().manual_seed(0))["a"]
    assert other.sum() == 21
    assert not torch.equal(other, masks["a"])
    assert torch.equal(masked({"a": torch.ones(6, 10)}, masks)["a"].bool(), masks["a"])


def test_the_bound_is_the_least_width_that_meets_it():
    for n in range(1, 200):
        k = sufficient_width(n)
        assert k * k >= 2 * n
        assert (k - 1) ** 2 < 2 * n


def test_the_quadratic_network_is_a_quadratic_form():
    generator = torch.Generator().manual_seed(0)
    x, W = torch.randn(3, 7, 5, generator=generator), torch.randn(3, 4, 5, generator=generator)
    torch.testing.assert_close(quadratic_network(x, W), torch.einsum("bni,bki,bkj,bnj->bn", x, W, W, x))


def test_a_wide_network_reaches_what_a_convex_solver_does():
    """With k = d the problem is convex in W^T W: projected gradient descent on that matrix is the oracle."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(1, 30, 4, generator=generator, dtype=torch.float64)
    y = torch.randn(1, 30, generator=generator, dtype=torch.float64).square()
    M = torch.zeros(4, 4, dtype=torch.float64)
    for _ in range(4000):
        residual = torch.einsum("ni,ij,nj->n", x[0], M, x[0]) - y[0]
        M = M - 0.02 * torch.einsum("n,ni,nj->ij", residual, x[0], x[0]) / 30
        values, vectors = torch.linalg.eigh(M)
        M = vectors * values.clamp(min=0) @ vectors.T
    best = (torch.einsum("ni,ij,nj->n", x[0], M, x[0]) - y[0]).square().mean()
    W = 0.5 * torch.randn(1, 4, 4, generator=generator, dtype=torch.float64)
    assert fit_quadratic(x, y, W, 2000, 0.03).item() == pytest.approx(best.item(), rel=1e-3)


def test_the_committed_ticket_wins_and_a_new_start_does_not():
    seeds = json.loads(RESULTS.read_text())["lottery"]["seeds"]
    assert len(seeds) == 5
    dense = sum(lines[0]["ticket"] for lines in seeds) / 5
    at_a_twentieth = [lines[7] for lines in seeds]
    assert all(0.04 < line["kept"] < 0.05 for line in at_a_twentieth)
    assert all(line["ticket"] > line["new weights"] for line in at_a_twentieth)
    assert all(line["ticket"] > line["random mask"] + 0.05 for line in at_a_twentieth)
    assert any(sum(lines[i]["ticket"] for lines in seeds) / 5 >= dense for i in range(3, 6))  # with a quarter and less
    for kind in ("new weights", "random mask"):
        assert all(sum(x[i]["ticket"] for x in seeds) > sum(x[i][kind] for x in seeds) for i in range(1, 11))


def test_the_committed_widths_never_break_the_bound():
    cells = json.loads(RESULTS.read_text())["quadratic"]["cells"]
    assert any(cell["found"] < 0.5 for cell in cells)
    assert all(cell["found"] == 1 for cell in cells if cell["sufficient"])
