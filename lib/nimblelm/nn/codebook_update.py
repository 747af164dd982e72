"""How a codebook learns without gradients: moving averages of what falls on each vector, and new life for the dead."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nimblelm.nn.vector_quantization import Codebook, nearest_codes


def k_means(
    x: Float[Tensor, "N D"], codebook_size: int, num_iterations: int = 10, generator: torch.Generator | None = None
) -> Float[Tensor, "codebook_size D"]:
    """Lloyd's algorithm: centres that begin at random data points and move to the mean of what is nearest to them.

    c_k <- mean of {x : k(x) = k}     (Lloyd, 1982, IEEE Trans. Information Theory 28, section II; EnCodec begins its
    codebooks so, with the first batch)

    A centre that nothing is nearest to stays where it is.

    Raises:
        ValueError: fewer data points than centres.

    Chapter: book/ch19_audio_codecs
    """
    if not 1 <= codebook_size <= len(x):
        raise ValueError(f"{len(x)} points for {codebook_size} centres: at least one point each")
    centres = x[torch.randperm(len(x), generator=generator)[:codebook_size].to(x.device)].clone()
    for _ in range(num_iterations):
        counts, sums = _gathered(x, nearest_codes(x, centres), codebook_size)
        centres = torch.where(counts[:, None] > 0, sums / counts.clamp(min=1)[:, None], centres)
    return centres


class CodebookUpdate:
    """Moves a codebook's vectors to the running mean of what is quantized to them; revives those that nothing is.

    N_k <- g N_k + (1 - g) n_k,  m_k <- g m_k + (1 - g) sum of the x with code k,  c_k <- m_k / N_k
    (van den Oord et al., 2017, arXiv:1711.00937, eq. 6 to 8, with Laplace smoothing of N_k)
    A code with N_k below the threshold is dead: it is put on a random x of the batch, with N_k at the threshold
    (Defossez et al., 2022, arXiv:2210.13438, section 3.2: g = .99, threshold 2).

    It is to a codebook what an optimizer is to weights: `start` once, then `step` for each batch.

    Args:
        codebook: whose vectors are moved in place.
        decay: g.
        dead_below: the threshold, in vectors a batch.
        generator: draws what revived codes become.

    Raises:
        ValueError: a decay outside of 0 .. 1, or a negative threshold.

    Chapter: book/ch19_audio_codecs
    """

    def __init__(
        self,
        codebook: Codebook,
        decay: float = 0.99,
        dead_below: float = 2.0,
        generator: torch.Generator | None = None,
    ):
        if not 0 <= decay < 1 or not 0 <= dead_below < float("inf"):
            raise ValueError(f"decay {decay} must be 0 or more and below 1, dead_below {dead_below} 0 or more, finite")
        self.codebook, self.decay, self.dead_below, self.generator = codebook, decay, dead_below, generator
        self.counts = codebook.vectors.new_ones(len(codebook.vectors))  # N: each vector begins as a mean of one
        self.sums = codebook.vectors.clone()  # m

    def start(self, x: Float[Tensor, "N D"], num_iterations: int = 10) -> None:
        """Put the vectors where k-means finds the centres of a first batch.

        Raises:
            ValueError: fewer x than vectors.
        """
        size = len(self.codebook.vectors)
        self.codebook.vectors.copy_(k_means(x.detach(), size, num_iterations, self.generator))
        counts, _ = _gathered(x.detach(), nearest_codes(x, self.codebook.vectors), size)
        self.counts = counts.clamp(min=self.dead_below)
        self.sums = self.codebook.vectors * self.counts[:, None]

    @torch.no_grad()
    def step(self, x: Float[Tensor, "N D"], codes: Int[Tensor, "_"]) -> int:
        """Learn from one batch and its codes; how many codes were revived.

        Raises:
            ValueError: no x, or another number of codes.
        """
        if not len(x) or len(x) != len(codes):
            raise ValueError(f"{len(x)} vectors with {len(codes)} codes: as many of one as of the other, 1 or more")
        vectors = self.codebook.vectors
        counts, sums = _gathered(x, codes, len(vectors))
        self.counts = torch.lerp(counts, self.counts, self.decay)
        self.sums = torch.lerp(sums, self.sums, self.decay)
        dead = self.counts < self.dead_below
        if num_dead := int(dead.sum()):
            drawn = torch.randint(len(x), (num_dead,), generator=self.generator)
            self.counts[dead] = self.dead_below
            self.sums[dead] = x[drawn] * self.dead_below
        vectors.copy_(self.sums / self._smoothed()[:, None])
        return num_dead

    def _smoothed(self, epsilon: float = 1e-5) -> Tensor:
        """The counts, each a little towards their mean, so that none is 0."""
        total = self.counts.sum()
        return (self.counts + epsilon) / (total + len(self.counts) * epsilon) * total

    def state_dict(self) -> dict[str, Tensor]:
        """What a resumed training needs beside the codebook itself."""
        return {"counts": self.counts, "sums": self.sums}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take up what `state_dict` gave."""
        self.counts, self.sums = state["counts"].clone(), state["sums"].clone()


def _gathered(x: Tensor, codes: Tensor, codebook_size: int) -> tuple[Tensor, Tensor]:
    """How many x have each code, and their sum."""
    counts = torch.bincount(codes, minlength=codebook_size).to(x.dtype)
    return counts, torch.zeros(codebook_size, x.shape[-1], dtype=x.dtype, device=x.device).index_add_(0, codes, x)
