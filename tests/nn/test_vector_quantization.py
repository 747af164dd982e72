"""Nearest codes against brute force; a gradient that passes; codebooks that learn by counting."""

import numpy as np
import pytest
import torch
from scipy.cluster.vq import kmeans2

from nimblelm.nn.codebook_update import CodebookUpdate, k_means
from nimblelm.nn.vector_quantization import Codebook, nearest_codes, squared_distances, straight_through


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_nearest_codes_are_those_of_brute_force():
    x, vectors = random(4, 5, 7), random(30, 7, seed=1)
    distances = (x[..., None, :] - vectors).norm(dim=-1)
    assert torch.equal(nearest_codes(x, vectors), distances.argmin(-1))
    shifted = squared_distances(x, vectors) + x.square().sum(-1, keepdim=True)
    torch.testing.assert_close(shifted, distances.square())


def test_of_equals_the_lowest_number_is_taken():
    assert nearest_codes(torch.zeros(1, 2), torch.tensor([[3.0, 0], [1, 0], [0, 1], [1, 0]])).item() == 1


def test_straight_through_is_the_quantized_value_with_the_gradient_of_the_input():
    x, quantized, weight = random(3, 4).requires_grad_(), random(3, 4, seed=1).requires_grad_(), random(3, 4, seed=2)
    y = straight_through(x, quantized)
    torch.testing.assert_close(y, quantized)
    (y * weight).sum().backward()
    torch.testing.assert_close(x.grad, weight)
    assert quantized.grad is None


def test_k_means_does_as_scipys_from_the_same_start():
    x = torch.cat([random(40, 3, seed=i) * 0.2 + 3 * random(1, 3, seed=10 + i) for i in range(4)])
    generator = torch.Generator().manual_seed(5)
    start = x[torch.randperm(len(x), generator=torch.Generator().manual_seed(5))[:4]]
    want, _ = kmeans2(x.numpy(), start.numpy(), iter=10, minit="matrix")
    np.testing.assert_allclose(k_means(x, 4, 10, generator).numpy(), want, atol=1e-12)


def update_of(vectors: torch.Tensor, **options) -> CodebookUpdate:
    codebook = Codebook(*vectors.shape)
    codebook.vectors = vectors.clone()
    return CodebookUpdate(codebook, generator=torch.Generator().manual_seed(3), **options)


def test_moving_averages_are_those_of_the_paper():
    update = update_of(random(5, 3), decay=0.9, dead_below=0.0)
    counts, sums = torch.ones(5, dtype=torch.float64), random(5, 3)
    for i in range(6):
        x = random(40, 3, seed=20 + i)
        codes = nearest_codes(x, update.codebook.vectors)
        update.step(x, codes)
        for k in range(5):
            counts[k] = 0.9 * counts[k] + 0.1 * (codes == k).sum()
            sums[k] = 0.9 * sums[k] + 0.1 * x[codes == k].sum(0)
    torch.testing.assert_close(update.codebook.vectors, sums / counts[:, None], atol=1e-4, rtol=1e-4)


def test_a_dead_code_comes_to_life_on_a_point_of_the_batch_and_stays_there():
    vectors = torch.cat([random(3, 2), torch.full((1, 2), 1e3, dtype=torch.float64)])
    update = update_of(vectors, decay=0.9, dead_below=0.5)
    update.start(vectors)
    update.codebook.vectors.copy_(vectors)
    x = random(60, 2, seed=9)
    revived = sum(update.step(x, nearest_codes(x, update.codebook.vectors)) for _ in range(30))
    assert revived >= 1
    used = nearest_codes(x, update.codebook.vectors).bincount(minlength=4)
    assert bool((used > 0).all())


def test_without_revival_it_stays_dead():
    vectors = torch.cat([random(3, 2), torch.full((1, 2), 1e3, dtype=torch.float64)])
    update, x = update_of(vectors, decay=0.9, dead_below=0.0), random(60, 2, seed=9)
    for _ in range(30):
        assert update.step(x, nearest_codes(x, update.codebook.vectors)) == 0
    assert nearest_codes(x, update.codebook.vectors).bincount(minlength=4)[3] == 0


def test_a_resumed_update_goes_on_as_if_it_had_not_stopped():
    first, x = update_of(random(5, 3)), random(40, 3, seed=7)
    first.step(x, nearest_codes(x, first.codebook.vectors))
    second = update_of(first.codebook.vectors)
    second.load_state_dict(first.state_dict())
    second.generator.set_state(first.generator.get_state())
    for update in (first, second):
        update.step(x, nearest_codes(x, update.codebook.vectors))
    assert torch.equal(first.codebook.vectors, second.codebook.vectors)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"last dimensions"):
        nearest_codes(torch.zeros(3, 2), torch.zeros(4, 3))
    with pytest.raises(ValueError, match=r"must be the same"):
        straight_through(torch.zeros(2), torch.zeros(1, 2))
    with pytest.raises(ValueError, match=r"3 points for 4 centres"):
        k_means(torch.zeros(3, 2), 4)
    with pytest.raises(ValueError, match=r"as many of one"):
        update_of(random(5, 3)).step(random(4, 3), torch.zeros(3, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"decay 1"):
        update_of(random(5, 3), decay=1.0)
    with pytest.raises(ValueError, match=r"within 0 and 4"):
        Codebook(5, 2).decode(torch.tensor([[5]]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_far_from_zero_the_nearest_is_still_found(dtype):
    """Squares of 1e5 differ by less than float32 holds; a shift of everything changes no distance."""
    vectors = torch.arange(6.0, dtype=dtype)[:, None] + 1e5
    assert nearest_codes(vectors.flip(0), vectors).tolist() == [5, 4, 3, 2, 1, 0]


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_nothing_is_nearest_to_what_is_not_finite(value):
    with pytest.raises(ValueError, match="not finite"):
        nearest_codes(torch.tensor([[0.0, value]]), torch.zeros(3, 2))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_straight_through_gives_the_quantized_value_to_the_last_digit(dtype):
    x, quantized = torch.tensor([3e4, 1.0], dtype=dtype, requires_grad=True), torch.tensor([0.3, -2e-3], dtype=dtype)
    got = straight_through(x, quantized)
    assert torch.equal(got, quantized)
    got.sum().backward()
    assert torch.equal(x.grad, torch.ones_like(x))
