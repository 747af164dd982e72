"""The committed BERT of twelve thin layers, trained on definitions of a dictionary, and its distilled student."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from nimblelm import data
from nimblelm.language.bert import Bert
from nimblelm.language.distilbert import DistilBert
from nimblelm.nn.checkpoint import load

if TYPE_CHECKING:
    from tokenizers import BertWordPieceTokenizer

DICTIONARY_FOLDER = Path(data.__file__).parent / "checkpoints" / "dictionary_bert"
PAD, UNK, CLS, SEP, MASK = range(5)
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
LENGTH = 32  # positions


class DictionaryPair(NamedTuple):
    """A teacher and its student over the same vocabulary.

    Chapter: book/ch07_distillation
    """

    teacher: Bert
    student: DistilBert


def load_dictionary_pair() -> DictionaryPair:
    """Both models in float32 and evaluation mode.

    Chapter: book/ch07_distillation
    """
    teacher = load(Bert, DICTIONARY_FOLDER / "teacher.safetensors")
    return DictionaryPair(teacher, load(DistilBert, DICTIONARY_FOLDER / "student.safetensors"))


def load_dictionary_tokenizer() -> "BertWordPieceTokenizer":
    """The WordPiece tokenizer of both, in lower case.

    Chapter: book/ch07_distillation
    """
    from tokenizers import BertWordPieceTokenizer

    return BertWordPieceTokenizer(str(DICTIONARY_FOLDER / "vocab.txt"), lowercase=True)


def padded(rows: list[list[int]]) -> Tensor:
    """(B, T) token ids, the shorter rows filled up with [PAD]; T is the longest row's length, LENGTH at most.

    Chapter: book/ch07_distillation
    """
    rows = [row[:LENGTH] for row in rows]
    longest = max(len(row) for row in rows)
    return torch.tensor([row + [PAD] * (longest - len(row)) for row in rows])
