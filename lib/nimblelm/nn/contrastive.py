"""Losses that pull matching embeddings together and push the others of a batch apart."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def clip_loss(images: Float[Tensor, "B d"], texts: Float[Tensor, "N d"], scale: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """Symmetric cross-entropy of which caption belongs to which picture.

    S = scale X Y^T, loss = (CE(S, i) + CE(S^T, i)) / 2      (Radford et al., 2021, arXiv:2103.00020, figure 3), X the
    pictures' embeddings, Y the captions', i the number of the row. The mean over rows and that over columns.

    Args:
        images: of length 1; row i belongs to row i of `texts`.
        texts: of length 1.
        scale: the temperature's inverse, exp(t).

    Raises:
        ValueError: there are no pairs, or the two do not have the same shape.

    Chapter: book/ch09_contrastive_learning
    """
    _check_pairs(images, texts)
    wide = torch.promote_types(images.dtype, torch.float32)
    logits = scale * images.to(wide) @ texts.to(wide).T
    own = torch.arange(len(images), device=images.device)
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


def chunked_clip_loss(
    images: Float[Tensor, "B d"], texts: Float[Tensor, "N d"], scale: Float[Tensor, ""], chunk_size: int = 256
) -> Float[Tensor, ""]:
    """`clip_loss` without its B x B matrix: never more than `chunk_size` of its rows are in memory, backward included.

    Forward keeps the log-sum-exp of each row and, running, of each column; backward computes the logits again, chunk by
    chunk, and softmax weights from them: dL/dS = (P_rows + P_columns) / 2B - I / B     (the idea of Dao et al., 2022,
    arXiv:2205.14135, sections 3.1 and B.2, and of Cheng et al., 2024, arXiv:2410.17243, for this loss).

    Args:
        images: of length 1; row i belongs to row i of `texts`.
        texts: of length 1.
        scale: the temperature's inverse.
        chunk_size: rows of logits at a time.

    Raises:
        ValueError: as `clip_loss`, or chunk_size is below 1.

    Chapter: book/ch09_contrastive_learning
    """
    _check_pairs(images, texts)
    if chunk_size < 1:
        raise ValueError(f"a chunk of {chunk_size} rows is below 1")
    wide = torch.promote_types(images.dtype, torch.float32)
    loss: Any = _ChunkedCLIPLoss.apply(images.to(wide), texts.to(wide), scale.to(wide), chunk_size)
    return loss


class _ChunkedCLIPLoss(torch.autograd.Function):
    """Value and gradients of `chunked_clip_loss`."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, texts: Tensor, scale: Tensor, chunk_size: int) -> Tensor:
        # Log-sum-exps less the own logit, all of it that the loss asks for: the two alone are far larger than it. The
        # rows' is the one in the product; the columns' is near it, and known from the start.
        near, rows, own = scale * (images * texts).sum(1), [], []
        columns = torch.full_like(near, -torch.inf)
        for part in images.split(chunk_size):
            logits = scale * part @ texts.T  # (C, B)
            own.append(logits.diagonal(sum(map(len, own))).clone())
            rows.append((logits - own[-1][:, None]).logsumexp(1))
            columns = torch.logaddexp(columns, (logits - near).logsumexp(0))
        of_rows, in_product = torch.cat(rows), torch.cat(own)
        of_columns = columns - (in_product - near)
        ctx.save_for_backward(images, texts, scale, of_rows + in_product, of_columns + in_product)
        ctx.chunk_size = chunk_size
        return (of_rows + of_columns).mean() / 2

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        images, texts, scale, row_lse, column_lse = ctx.saved_tensors
        of_images, of_texts, of_scale = -texts.clone(), -images.clone(), -(images * texts).sum()
        for start in range(0, len(images), ctx.chunk_size):
            own = slice(start, start + ctx.chunk_size)
            cosines = images[own] @ texts.T
            logits = scale * cosines
            weights = ((logits - row_lse[own, None]).exp_() + logits.sub_(column_lse).exp_()) / 2  # (C, B)
            of_scale = of_scale + (weights * cosines).sum()
            of_images[own] += weights @ texts
            of_texts += weights.T @ images[own]
        factor = grads[0] / len(images)
        return factor * scale * of_images, factor * scale * of_texts, factor * of_scale, None


def siglip_loss(
    images: Float[Tensor, "B d"], texts: Float[Tensor, "N d"], scale: Float[Tensor, ""], bias: Float[Tensor, ""]
) -> Float[Tensor, ""]:
    """Every pair of a picture and a caption is a question of its own: do they belong together?

    loss = -1/B sum_ij log sigmoid(z_ij (scale x_i . y_j + bias)), z_ij = 1 where i = j, else -1   (Zhai et al., 2023,
    arXiv:2303.15343, section 3.2).

    Args:
        images: of length 1; row i belongs to row i of `texts`.
        texts: of length 1.
        scale: the temperature's inverse, 10 at the start of the paper's training.
        bias: -10 at the start, since nearly all pairs do not belong together.

    Raises:
        ValueError: as `clip_loss`.

    Chapter: book/ch09_contrastive_learning
    """
    _check_pairs(images, texts)
    wide = torch.promote_types(images.dtype, torch.float32)
    logits = scale * images.to(wide) @ texts.to(wide).T + bias
    signs = 2 * torch.eye(len(images), dtype=wide, device=images.device) - 1
    return -F.logsigmoid(signs * logits).sum() / len(images)


def _check_pairs(images: Tensor, texts: Tensor) -> None:
    if images.shape != texts.shape or not len(images):
        raise ValueError(f"{tuple(images.shape)} and {tuple(texts.shape)} are not embeddings of 1 pair or more")
