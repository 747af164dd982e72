"""Dynamic time warping against the recurrence written out; a word is recognised when it is said faster."""

import pytest
import torch

from nimblelm.audio.dtw import dtw_distances, recognised, word_features


def written_out(x: torch.Tensor, y: torch.Tensor) -> float:
    local, best = torch.cdist(x, y).tolist(), {}
    for i in range(len(x)):
        for j in range(len(y)):
            ways = [best[i - 1, j]] if i else []
            ways += [best[i, j - 1]] if j else []
            ways += [best[i - 1, j - 1] + local[i][j]] if i and j else []
            best[i, j] = local[i][j] + min(ways, default=0.0)
    return best[len(x) - 1, len(y) - 1] / (len(x) + len(y))


def random(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_all_distances_are_those_of_the_recurrence():
    query, templates = random(9, 3, seed=0), [random(n, 3, seed=n) for n in (1, 4, 9, 17)]
    got = dtw_distances(query, templates).tolist()
    assert got == pytest.approx([written_out(query, one) for one in templates])
    assert dtw_distances(query[:1], templates).tolist() == pytest.approx([written_out(query[:1], t) for t in templates])


def test_saying_it_slower_costs_nothing():
    x = random(6, 2, seed=3)
    assert dtw_distances(x.repeat_interleave(3, dim=0), [x]).item() == pytest.approx(0, abs=1e-6)


def test_a_chirp_is_recognised_at_another_speed_and_in_noise():
    def chirp(begin: float, end: float, samples: int) -> torch.Tensor:
        return 0.3 * torch.sin(torch.linspace(begin, end, samples).cumsum(0))

    said = [(0.1, 0.8), (0.8, 0.1), (0.3, 0.3)]
    templates = [word_features(chirp(*one, 8_000)) for one in said]
    noise = 0.003 * torch.randn(6_000, generator=torch.Generator().manual_seed(0))
    assert [recognised(chirp(*one, 6_000) + noise, templates) for one in said] == [0, 1, 2]


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"as wide"):
        dtw_distances(torch.zeros(3, 2), [torch.zeros(4, 3)])
    with pytest.raises(ValueError, match=r"not empty"):
        dtw_distances(torch.zeros(3, 2), [])
