"""Residual vector quantization: each codebook quantizes what the ones before it have left over."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from nimblelm.nn.vector_quantization import Codebook, straight_through


class Quantized(NamedTuple):
    """What a residual quantizer makes of latents."""

    latents: Float[Tensor, "B D T"]  # the sum of the chosen vectors, with a straight-through gradient
    codes: Int[Tensor, "B K T"]
    residuals: Float[Tensor, "K B D T"]  # what each codebook was given
    commitment_loss: Float[Tensor, ""]


class ResidualVQ(nn.Module):
    """K codebooks in a row; the first n of them are a codec of their own, at n / K of the bit rate.

    r_1 = x;  q_k = nearest vector of book k to r_k;  r_{k+1} = r_k - q_k;  x is decoded as q_1 + ... + q_n
    (Zeghidour et al., 2021, arXiv:2107.03312, algorithm 1)

    Args:
        num_codebooks: K.
        codebook_size: vectors of each.
        d_code: D.

    Raises:
        ValueError: fewer than 1 codebook.

    Chapter: book/ch19_audio_codecs
    """

    def __init__(self, num_codebooks: int, codebook_size: int, d_code: int):
        super().__init__()
        if num_codebooks < 1:
            raise ValueError(f"{num_codebooks} codebooks: there must be 1 or more")
        self.codebooks = nn.ModuleList(Codebook(codebook_size, d_code) for _ in range(num_codebooks))

    def forward(self, x: Float[Tensor, "B D T"], num_codebooks: int | None = None) -> Quantized:
        """Quantize with the first codebooks, as training does.

        The commitment loss, mean over the books of |r_k - sg(q_k)|^2 per number, pulls latents to where vectors are
        (van den Oord et al., 2017, eq. 3).

        Args:
            x: latents.
            num_codebooks: how many codebooks; all without. Drawn anew for each batch, this is quantizer dropout, which
                lets one model serve every bit rate.

        Raises:
            ValueError: more codebooks than there are, or none.
        """
        residual, codes, residuals, losses, total = x, [], [], [], torch.zeros_like(x)
        for book in self._first(num_codebooks):
            residuals.append(residual)
            codes.append(book.encode(residual.detach()))
            quantized = book.decode(codes[-1])
            losses.append((residual - quantized).square().mean())
            residual, total = residual - quantized, total + quantized
        return Quantized(
            straight_through(x, total), torch.stack(codes, dim=1), torch.stack(residuals), torch.stack(losses).mean()
        )

    def encode(self, x: Float[Tensor, "B D T"], num_codebooks: int | None = None) -> Int[Tensor, "B K T"]:
        """The codes of the first codebooks.

        Raises:
            ValueError: more codebooks than there are, or none.
        """
        codes = []
        for book in self._first(num_codebooks):
            codes.append(book.encode(x))
            x = x - book.decode(codes[-1])
        return torch.stack(codes, dim=1)

    def decode(self, codes: Int[Tensor, "B K T"]) -> Float[Tensor, "B D T"]:
        """The sum of the vectors that the codes name; as many books as there are rows of codes.

        Raises:
            ValueError: more rows than codebooks, or a code that is out of range.
        """
        books = self._first(codes.shape[1])
        return torch.stack([book.decode(row) for book, row in zip(books, codes.unbind(1), strict=True)]).sum(0)

    @property
    def books(self) -> list[Codebook]:
        """The codebooks, coarse to fine."""
        return list(self.codebooks)  # pyright: ignore[reportReturnType]

    def _first(self, num_codebooks: int | None) -> list[Codebook]:
        count = len(self.codebooks) if num_codebooks is None else num_codebooks
        if not 1 <= count <= len(self.codebooks):
            raise ValueError(f"{count} codebooks of {len(self.codebooks)}: at least 1, at most all")
        return self.books[:count]


def bit_rate_bps(num_codebooks: int, codebook_size: int, frames_per_s: float) -> float:
    """Bits a second of codes that are sent as they are: frames a second x codebooks x log2 of their size.

    (Defossez et al., 2022, arXiv:2210.13438, section 3.2: 75 x 10 bits = .75 kbit/s a codebook)

    Raises:
        ValueError: fewer than 1 codebook or vector, or a frame rate that is not positive and finite.

    Chapter: book/ch19_audio_codecs
    """
    if num_codebooks < 1 or codebook_size < 1 or not 0 < frames_per_s < math.inf:
        raise ValueError(
            f"{num_codebooks} codebooks of {codebook_size} vectors, {frames_per_s} frames a second: 1 or more, positive"
        )
    return num_codebooks * math.log2(codebook_size) * frames_per_s


def num_codebooks_for(bit_rate: float, codebook_size: int, frames_per_s: float) -> int:
    """How many whole codebooks a bit rate pays for.

    Args:
        bit_rate: bits a second.
        codebook_size: vectors of each codebook.
        frames_per_s: the frame rate, which is not the sample rate.

    Raises:
        ValueError: the bit rate does not pay for one codebook, or as `bit_rate_bps`.

    Chapter: book/ch19_audio_codecs
    """
    one = bit_rate_bps(1, codebook_size, frames_per_s)
    if not one <= bit_rate < math.inf:
        raise ValueError(f"{bit_rate} bit/s do not pay for one codebook of {one:g} bit/s")
    return math.floor(bit_rate / one + 1e-9)
