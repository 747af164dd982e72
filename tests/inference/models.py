"""Small models with known distributions for the decoding tests."""

from itertools import product

import torch
from scipy.stats import chisquare

from nimblelm.inference.batched.device_sampling import DeviceSampler
from nimblelm.inference.batched.static_model import StaticModel
from nimblelm.inference.decoding.sampling import Sampling
from nimblelm.language.llama import Llama, LlamaConfig


class AuditedModel:
    """A cached model that keeps the tokens written at each position, as a cache would, and counts its passes."""

    def __init__(self, model):
        self.model, self.rows, self.passes = model, [], 0

    def __call__(self, tokens: torch.Tensor, position: int) -> torch.Tensor:
        assert position <= len(self.rows), f"position {position} leaves rows {len(self.rows)}..{position - 1} unwritten"
        self.rows[position:] = tokens.tolist()
        self.passes += 1
        return self.model(tokens, position)


def random_table(vocab_size: int, seed: int, sharpness: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (sharpness * torch.randn(vocab_size, vocab_size, generator=generator)).softmax(-1)


class StaticMarkov(StaticModel):
    """A table of distributions behind the interface of a static model: B sequences, no cache."""

    def __init__(self, table: torch.Tensor, batch_size: int):
        self.batch_size, self.max_seq_len, self.device = batch_size, 10_000, table.device
        self.logits = table.log()

    def prefill(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.logits[tokens]

    def __call__(self, tokens: torch.Tensor, first: torch.Tensor) -> torch.Tensor:
        return self.logits[tokens]


class RowSampler(DeviceSampler):
    """Draws each row's randomness from a generator of its own, so that a row meets the same numbers in any batch."""

    def __init__(self, sampling: Sampling, seeds: list[int]):
        self.sampling = sampling
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        super().__init__(sampling, self.generators[0])

    def exponentials(self, batch: int, count: int) -> torch.Tensor:
        return torch.stack([torch.empty(count).exponential_(generator=g) for g in self.generators])

    def uniforms(self, batch: int, count: int) -> torch.Tensor:
        return torch.stack([torch.rand(count, generator=g) for g in self.generators])


def varied_pair(noise: float = 0.005, max_seq_len: int = 160) -> tuple[Llama, Llama]:
    """Random models whose greedy sequences hold many different tokens; about half of a block of four is kept."""
    target, draft = (
        Llama(LlamaConfig(50, 32, 2, 4, 2, 48, max_seq_len=max_seq_len, tie_embeddings=False)).eval() for _ in range(2)
    )
    weights, noises = torch.Generator().manual_seed(0), torch.Generator().manual_seed(9)
    for mine, its in zip(
        target.requires_grad_(False).parameters(), draft.requires_grad_(False).parameters(), strict=True
    ):
        mine.copy_(0.3 * torch.randn(mine.shape, generator=weights) if mine.ndim == 2 else torch.ones(mine.shape))
        its.copy_(mine + (0.3 * 5 * noise * torch.randn(mine.shape, generator=noises) if mine.ndim == 2 else 0))
    return target, draft


def assert_joint_distribution(sequences: list[list[int]], table: torch.Tensor, first: int) -> None:
    """Sequences of three tokens follow the table's Markov chain after token `first`; impossible ones never occur."""
    size, table = len(table), table.double()
    distribution = torch.stack(
        [table[first, a] * table[a, b] * table[b, c] for a, b, c in product(range(size), repeat=3)]
    )
    seen = torch.tensor(sequences) @ torch.tensor([size**2, size, 1])
    counts = seen.bincount(minlength=size**3).double()
    possible = distribution > 0
    assert counts[~possible].sum() == 0
    expected = len(sequences) * distribution[possible] / distribution[possible].sum()
    assert chisquare(counts[possible], expected).pvalue > 1e-6
