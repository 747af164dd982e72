"""How DistilBERT is made: a student cut out of its teacher, and the three losses that it learns by."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nimblelm.compression.distillation.masking import IGNORED
from nimblelm.compression.distillation.soft_targets import distillation_losses, labels_that_count
from nimblelm.inference.decoding.sampling import at_least_float32
from nimblelm.language.bert import Bert
from nimblelm.language.distilbert import DistilBert, DistilBertConfig

LAYERS = (0, 2, 4, 7, 9, 11)  # of BERT-base's twelve, in the authors' script
WEIGHTS = (5.0, 2.0, 1.0)  # of the three losses, in the authors' command
TEMPERATURE = 2.0


def student_of(teacher: Bert, layers: Sequence[int] = LAYERS) -> DistilBert:
    """A student with copies of some of the teacher's layers, its word and position embeddings, norms and head.

    Token types are left out (Sanh et al., 2019, arXiv:1910.01108, section 3). Text of one segment had type 0
    everywhere; that one vector goes into the positions, so that a student of all layers is the teacher. (The authors'
    script drops it, and training makes up for that.)

    Args:
        teacher: stays as it is.
        layers: of the teacher, in rising order.

    Raises:
        ValueError: no layer is named, or one is not there, twice there or out of order.

    Chapter: book/ch07_distillation
    """
    own = teacher.config
    if not layers or list(layers) != sorted(set(layers)) or not 0 <= layers[0] <= layers[-1] < own.num_layers:
        raise ValueError(f"layers {tuple(layers)} must rise and be of the teacher's {own.num_layers}")
    shape = own.vocab_size, own.d_model, len(layers), own.num_heads, own.d_ff, own.max_seq_len
    config = DistilBertConfig(*shape, norm_eps=own.norm_eps)
    student = DistilBert(config).to(teacher.embedding.weight.dtype)
    whole, chosen = teacher.state_dict(), {}
    for name in student.state_dict():
        source = name
        if name.startswith("blocks."):
            _, number, rest = name.split(".", 2)
            source = f"blocks.{layers[int(number)]}.{rest}"
        chosen[name] = whole[source].clone()
    chosen["positions.weight"] += whole["token_types.weight"][0]
    student.load_state_dict(chosen)
    return student


class TripleLoss(NamedTuple):
    """The three parts, each a mean, before they are weighted."""

    distillation: Float[Tensor, ""]  # T^2 KL of the softened distributions, over all tokens that are text
    masked: Float[Tensor, ""]  # cross-entropy of the labels, over the tokens that are asked for
    cosine: Float[Tensor, ""]  # 1 - cos of the last hidden states, over all tokens that are text

    def total(self, weights: Sequence[float] = WEIGHTS) -> Float[Tensor, ""]:
        """Their weighted sum, 5 : 2 : 1 as the authors have it.

        Raises:
            ValueError: there are not three weights, or one is below 0 or not finite.
        """
        if len(weights) != 3 or not all(0 <= weight < math.inf for weight in weights):
            raise ValueError(f"weights {tuple(weights)} must be three, 0 or more and finite")
        return sum((w * part for w, part in zip(weights, self, strict=True)), start=self.masked.new_zeros(()))


def triple_loss(
    student_logits: Float[Tensor, "B T V"],
    teacher_logits: Float[Tensor, "B T V"],
    student_states: Float[Tensor, "B T d"],
    teacher_states: Float[Tensor, "B T d"],
    labels: Int[Tensor, "B T"],
    is_token: Bool[Tensor, "B T"],
    temperature: float = TEMPERATURE,
) -> TripleLoss:
    """L_ce, L_mlm and L_cos (Sanh et al., 2019, arXiv:1910.01108, section 2): padding counts in none of them.

    Args:
        student_logits, teacher_logits: of the same masked text.
        student_states, teacher_states: of the last layers, as wide as each other.
        labels: the hidden tokens, -100 where nothing is asked.
        is_token: false where padding stands.
        temperature: T of the first part.

    Raises:
        ValueError: shapes do not fit, no position is text, a label stands on padding, or none stands anywhere.

    Chapter: book/ch07_distillation
    """
    if student_states.shape != teacher_states.shape:
        shapes = f"student_states {tuple(student_states.shape)}, teacher_states {tuple(teacher_states.shape)}"
        raise ValueError(f"{shapes}: shapes differ")
    for name, tensor in (("student_states", student_states[..., 0]), ("is_token", is_token)):
        if tensor.shape != student_logits.shape[:2]:
            raise ValueError(f"{name} {tuple(tensor.shape)} do not fit logits {tuple(student_logits.shape)}")
    asked = labels_that_count(labels, student_logits)
    if not bool(is_token.any()) or not bool(asked.any()):
        raise ValueError(f"{int(is_token.sum())} positions are text and {int(asked.sum())} have a label: 1 is needed")
    if bool((asked & ~is_token).any()):
        raise ValueError(f"{int((asked & ~is_token).sum())} labels stand on padding, which is to have {IGNORED}")
    soft = distillation_losses(student_logits[is_token], teacher_logits[is_token], temperature)
    log_q = at_least_float32(student_logits[asked]).log_softmax(-1)
    hard = -log_q.gather(-1, labels[asked].long()[:, None])
    ours, theirs = at_least_float32(student_states[is_token]), at_least_float32(teacher_states[is_token].detach())
    cosine = torch.cosine_similarity(ours, theirs.to(ours.dtype), dim=-1)
    return TripleLoss(soft.mean(), hard.mean(), 1 - cosine.mean())
