"""Residual quantization of points in the plane: what the interactive and the first drawing of chapter 19 show."""

import torch
from torch import Tensor

from nimblelm.audio.codec.residual_vq import ResidualVQ
from nimblelm.nn.codebook_update import k_means

BOOKS, SIZE, SHOWN = 5, 4, 40


def points(count: int = 600) -> Tensor:
    """(count, 2) in three clouds, the same every time."""
    generator = torch.Generator().manual_seed(19)
    centres = torch.tensor([[-1.4, 0.6], [0.9, 1.1], [0.5, -1.2]])
    spread = torch.tensor([[0.5, 0.3], [0.4, 0.45], [0.75, 0.35]])
    which = torch.randint(3, (count,), generator=generator)
    return centres[which] + spread[which] * torch.randn(count, 2, generator=generator)


def fitted(x: Tensor) -> ResidualVQ:
    """Five books of four vectors, each the k-means of what the ones before it leave over."""
    quantizer, residual = ResidualVQ(BOOKS, SIZE, 2), x
    for book in quantizer.books:
        book.vectors.copy_(k_means(residual, SIZE, 30, torch.Generator().manual_seed(0)))
        residual = residual - book.decode(book.encode(residual.T[None]))[0].T
    return quantizer


def rvq_plane() -> dict:
    """The table of the widget: points, the vectors of every book, the code of every point in every book, errors."""
    x = points()
    quantizer = fitted(x)
    quantized = quantizer(x.T[None])
    left = [x.square().sum(1).mean().sqrt().item()]
    for count in range(1, BOOKS + 1):
        error = x - quantizer.decode(quantized.codes[:, :count])[0].T
        left.append(error.square().sum(1).mean().sqrt().item())
    return {
        "points": [[round(value, 4) for value in row] for row in x[:SHOWN].tolist()],
        "books": [[[round(v, 4) for v in row] for row in book.vectors.tolist()] for book in quantizer.books],
        "codes": quantized.codes[0, :, :SHOWN].T.tolist(),
        "left": [round(value, 4) for value in left],
    }


def rvq_table(data: dict) -> str:
    """Without scripts: what is left after each book."""
    rows = "".join(
        f"<tr><td>{count}</td><td>{2 * count}</td><td>{SIZE**count}</td><td>{left:.3f}</td></tr>"
        for count, left in enumerate(data["left"])
    )
    head = "<tr><th>books</th><th>bits a point</th><th>places it can have</th><th>error left</th></tr>"
    return f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>"
