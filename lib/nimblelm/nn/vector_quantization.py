"""Vector quantization: a vector is replaced by the nearest of a list, and only its number is kept."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


def squared_distances(
    x: Float[Tensor, "*batch D"], vectors: Float[Tensor, "codebook_size _"]
) -> Float[Tensor, "*batch codebook_size"]:
    """Squared Euclidean distance from every x to every vector of a codebook, less |x|^2, which ranks nothing.

    |x - c|^2 - |x|^2 = |c|^2 - 2 x . c: one matrix product, and no (batch, codebook_size, D) in memory. In float32 at
    least: squares overflow half precision.

    Raises:
        ValueError: x and the codebook have different widths or dtypes, or there are no vectors.

    Chapter: book/ch19_audio_codecs
    """
    if vectors.ndim != 2 or not len(vectors) or x.shape[-1:] != vectors.shape[1:] or x.dtype != vectors.dtype:
        raise ValueError(
            f"x {tuple(x.shape)} {x.dtype}, codebook {tuple(vectors.shape)} {vectors.dtype}: last dimensions and "
            "dtypes must agree"
        )
    if x.dtype.itemsize < 4:
        x, vectors = x.float(), vectors.float()
    return vectors.square().sum(-1) - 2 * x @ vectors.T


def nearest_codes(x: Float[Tensor, "*batch D"], vectors: Float[Tensor, "codebook_size _"]) -> Int[Tensor, "*batch"]:
    """The number of the codebook vector that lies nearest to each x, the lowest where several do.

    k(x) = argmin over k of |x - c_k|     (van den Oord, Vinyals and Kavukcuoglu, 2017, arXiv:1711.00937, eq. 1)

    Both are looked at from the middle of the codebook: far from 0, differences of squares would vanish in their size.

    Raises:
        ValueError: as `squared_distances`, or x is not finite.

    Chapter: book/ch19_audio_codecs
    """
    if not bool(x.isfinite().all()):
        raise ValueError("x is not finite: no vector is nearest to it")
    wide = torch.promote_types(vectors.dtype, torch.float32)
    middle = vectors.to(wide).mean(0)
    if x.dtype != vectors.dtype or x.shape[-1:] != middle.shape:
        return squared_distances(x, vectors).argmin(-1)  # which says what does not fit
    return squared_distances(x.to(wide) - middle, vectors.to(wide) - middle).argmin(-1)


def straight_through(x: Float[Tensor, "*shape"], quantized: Float[Tensor, "..."]) -> Float[Tensor, "*shape"]:
    """The quantized value on the way forward, the identity of x on the way back.

    x + sg(q - x), sg stops the gradient     (Bengio, Leonard and Courville, 2013, arXiv:1308.3432; van den Oord et al.,
    2017, section 3.2)

    An argmin has no gradient: without this nothing before the quantizer learns. Written as sg(q) + (x - sg(x)) its
    value is q to the last digit, also where x is large.

    Raises:
        ValueError: the shapes differ.

    Chapter: book/ch19_audio_codecs
    """
    if x.shape != quantized.shape:
        raise ValueError(f"x of shape {tuple(x.shape)}, quantized of {tuple(quantized.shape)}: they must be the same")
    return quantized.detach() + (x - x.detach())


class Codebook(nn.Module):
    """Vectors with numbers. They are a buffer: no gradient moves them (`nimblelm.nn.codebook_update` does).

    Args:
        codebook_size: how many.
        d_code: D, their width.

    Chapter: book/ch19_audio_codecs
    """

    vectors: Tensor

    def __init__(self, codebook_size: int, d_code: int):
        super().__init__()
        self.register_buffer("vectors", torch.randn(codebook_size, d_code))

    def encode(self, x: Float[Tensor, "B D T"]) -> Int[Tensor, "B T"]:
        """The code of each frame."""
        return nearest_codes(x.mT, self.vectors)

    def decode(self, codes: Int[Tensor, "B T"]) -> Float[Tensor, "B D T"]:
        """The vector of each code.

        Raises:
            ValueError: a code is negative or not below the size.
        """
        if not bool(((codes >= 0) & (codes < len(self.vectors))).all()):
            raise ValueError(f"codes must lie within 0 and {len(self.vectors) - 1}")
        return self.vectors[codes].mT
