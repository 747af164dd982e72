"""Embeddings of pictures spliced into a text: what a decoder reads, and what it is trained on."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

IGNORED = -100  # a label that no loss is computed on


class Spliced(NamedTuple):
    """A batch of T slots: what stands in each, what is to be predicted there, and which are tokens at all."""

    embeddings: Float[Tensor, "B T d"]  # 0 where there is padding
    labels: Int[Tensor, "B T"]  # IGNORED where there is a picture, a prompt or padding
    visible: Bool[Tensor, "B T"]  # false where there is padding
    positions: Int[Tensor, "B T"]  # 0, 1, ... from the first token on; 0 where there is padding


def splice(
    tokens: Sequence[Int[Tensor, "_"]],
    labels: Sequence[Int[Tensor, "_"]] | None,
    images: Sequence[Float[Tensor, "_ _"]],
    embed: Callable[[Tensor], Tensor],
    image_id: int,
    padding_side: str = "right",
) -> Spliced:
    """Put each picture's embeddings where its placeholder stands, and line the texts up.

    A placeholder, one token, becomes as many slots as its picture has embeddings (Liu et al., 2023, arXiv:2304.08485,
    figure 1; the authors' `prepare_inputs_labels_for_multimodal`).

    Args:
        tokens: of each text, with a placeholder for each of its pictures.
        labels: of each token, IGNORED where it is not to be learned; None where nothing is.
        images: of all texts, in the order of their placeholders.
        embed: turns token ids into embeddings, such as `Llama.embed`.
        image_id: the placeholder.
        padding_side: "right", as one trains, or "left", so that all texts end in the last slot, as one decodes.

    Raises:
        ValueError: there are no texts, placeholders and pictures are not equally many, labels do not fit their tokens,
            widths differ, or the side is neither.

    Chapter: book/ch11_language_models_that_see
    """
    if padding_side not in ("left", "right"):
        raise ValueError(f"padding_side {padding_side!r} is neither 'left' nor 'right'")
    if not tokens:
        raise ValueError("there is no text to splice into")
    wanted = sum(int((row == image_id).sum()) for row in tokens)
    if wanted != len(images):
        raise ValueError(f"the texts have {wanted} placeholders for pictures, and {len(images)} pictures were given")
    if labels is not None and [row.shape for row in labels] != [row.shape for row in tokens]:
        raise ValueError(f"labels {[len(row) for row in labels]} do not fit tokens {[len(row) for row in tokens]}")
    waiting, rows = iter(images), []
    for number, row in enumerate(tokens):
        own = row.new_full(row.shape, IGNORED) if labels is None else labels[number]
        rows.append(_spliced(row, own, waiting, embed, image_id))
    longest = max(len(label) for _, label in rows)
    return _aligned(rows, longest, padding_side)


def _spliced(row: Tensor, labels: Tensor, images, embed, image_id: int) -> tuple[Tensor, Tensor]:
    """One text's embeddings and labels."""
    parts, kept, begin = [], [], 0
    for end in [*(row == image_id).nonzero().flatten().tolist(), len(row)]:
        parts.append(embed(row[None, begin:end])[0])
        kept.append(labels[begin:end])
        if end < len(row):
            image = next(images)
            if image.shape[1] != parts[0].shape[1]:
                raise ValueError(f"a picture's embeddings are {image.shape[1]} wide, the text's {parts[0].shape[1]}")
            parts.append(image.to(parts[0].dtype))
            kept.append(labels.new_full((len(image),), IGNORED))
        begin = end + 1
    return torch.cat(parts), torch.cat(kept)


def _aligned(rows: list[tuple[Tensor, Tensor]], longest: int, side: str) -> Spliced:
    first, label = rows[0]
    embeddings = first.new_zeros(len(rows), longest, first.shape[1])
    labels = label.new_full((len(rows), longest), IGNORED)
    visible = torch.zeros(len(rows), longest, dtype=torch.bool, device=first.device)
    for i, (embedded, own) in enumerate(rows):
        slots = slice(longest - len(own), longest) if side == "left" else slice(0, len(own))
        embeddings[i, slots], labels[i, slots], visible[i, slots] = embedded, own, True
    positions = (visible.long().cumsum(1) - 1).clamp(min=0) * visible
    return Spliced(embeddings, labels, visible, positions)


def answer_labels(tokens: Int[Tensor, "T"], answers: Sequence[tuple[int, int]]) -> Int[Tensor, "T"]:
    """Labels that leave the answers and ignore everything else.

    Args:
        tokens: of a conversation.
        answers: where each answer begins, and where it has ended.

    Raises:
        ValueError: an answer is empty, or does not lie within the tokens.

    Chapter: book/ch11_language_models_that_see
    """
    labels = torch.full_like(tokens, IGNORED)
    for begin, end in answers:
        if not 0 <= begin < end <= len(tokens):
            raise ValueError(f"an answer from {begin} to {end} does not lie within {len(tokens)} tokens")
        labels[begin:end] = tokens[begin:end]
    return labels


def inspect_labels(labels: Int[Tensor, "B T"], vocab_size: int) -> Int[Tensor, "B"]:
    """How many labels of each text a loss is computed on; an error where a text has none.

    Without this nothing fails: cross-entropy over no labels is nan, over a batch with other texts it is quietly a mean
    over those, and the run trains on less than one thinks.

    Args:
        labels: as `splice` gives them. The first slot's has nothing before it that could predict it, and does not
            count.
        vocab_size: number of tokens that can be predicted.

    Raises:
        ValueError: a text has no label, or a label is no token.

    Chapter: book/ch11_language_models_that_see
    """
    kept = labels[:, 1:] != IGNORED
    outside = (labels != IGNORED) & ((labels < 0) | (labels >= vocab_size))
    if outside.any():
        raise ValueError(f"label {int(labels[outside][0])} is not one of {vocab_size} tokens, nor {IGNORED}")
    counts = kept.sum(1)
    if len(empty := (counts == 0).nonzero().flatten()):
        raise ValueError(f"no label of text {int(empty[0])} survives: all {labels.shape[1]} slots are ignored")
    return counts


def next_token_labels(labels: Int[Tensor, "B T"]) -> Int[Tensor, "B T"]:
    """What the logits of each slot are to predict: the label of the slot behind it."""
    return torch.cat([labels[:, 1:], torch.full_like(labels[:, :1], IGNORED)], dim=1)
