"""Viterbi against every sequence of states, and words found in a sequence that was made of them."""

import itertools

import pytest
import torch

from nimblelm.audio.recognition.hmm import Gaussians, HMMRecogniser, fitted, log_density, viterbi
from nimblelm.language.ngram import NGram


def test_viterbi_is_the_best_of_all_sequences():
    generator = torch.Generator().manual_seed(0)
    start, step, seen = (torch.randn(shape, generator=generator) for shape in ((3,), (3, 3), (5, 3)))

    def score(path):
        steps = sum(step[a, b] for a, b in itertools.pairwise(path))
        return float(start[path[0]] + steps + sum(seen[t, s] for t, s in enumerate(path)))

    path, best = viterbi(start, step, seen)
    want = max(itertools.product(range(3), repeat=5), key=score)
    assert tuple(path) == want
    assert best == pytest.approx(score(want), abs=1e-5)


def test_density_is_that_of_torch():
    generator = torch.Generator().manual_seed(1)
    x, mean = torch.randn(4, 3, generator=generator), torch.randn(2, 3, generator=generator)
    variance = torch.rand(2, 3, generator=generator) + 0.2
    want = torch.distributions.Normal(mean, variance.sqrt()).log_prob(x[:, None]).sum(-1)
    torch.testing.assert_close(log_density(x, Gaussians(mean, variance)), want)


def word(levels: list[float], generator: torch.Generator) -> torch.Tensor:
    rows = [torch.full((int(torch.randint(3, 7, (), generator=generator)), 2), level) for level in levels]
    return torch.cat(rows) + 0.2 * torch.randn(sum(map(len, rows)), 2, generator=generator)


def test_words_are_found_in_connected_speech_and_a_bigram_decides_between_equals():
    generator = torch.Generator().manual_seed(2)
    shapes = {1: [2.0, -2.0], 2: [-2.0, 2.0], 3: [1.0, 4.0], 4: [1.0, 4.0]}  # 3 and 4 sound alike
    models = [fitted([word(shapes[w], generator) for _ in range(6)], 2) for w in shapes]
    words = Gaussians(*(torch.stack(parts) for parts in zip(*models, strict=True)))
    silence = Gaussians(torch.zeros(1, 2), torch.full((1, 2), 0.1))
    bigram = NGram([[1, 2, 1, 3], [2, 1, 3], [2, 2, 4], [1, 2, 4]], 2, 5)
    recogniser = HMMRecogniser(words, silence, bigram)
    pause = 0.2 * torch.randn(6, 2, generator=generator)
    for said in ([2, 1, 3], [1, 2, 4], [2, 2, 1]):
        parts = [pause, *itertools.chain(*((word(shapes[w], generator), pause) for w in said))]
        assert recogniser(torch.cat(parts)) == said


def test_bad_input_is_named():
    ones = torch.ones(2)
    with pytest.raises(ValueError, match="do not fit"):
        viterbi(ones, torch.ones(3, 3), torch.ones(4, 2))
    with pytest.raises(ValueError, match="without nan"):
        viterbi(ones * torch.nan, torch.ones(2, 2), torch.ones(4, 2))
    with pytest.raises(ValueError, match="above 0"):
        log_density(torch.ones(4, 2), Gaussians(torch.ones(1, 2), torch.zeros(1, 2)))
    with pytest.raises(ValueError, match="1 takes need 3 frames"):
        fitted([torch.ones(2, 2)], 3)
