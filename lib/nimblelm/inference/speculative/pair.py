"""The committed pair of models: a target trained on Python's standard library and a draft distilled from it."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nimblelm import data
from nimblelm.language.llama import Llama
from nimblelm.nn.checkpoint import load

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PAIR_FOLDER = Path(data.__file__).parent / "checkpoints" / "speculative_pair"


class Pair(NamedTuple):
    """A slow, better model and a fast, weaker one over the same vocabulary.

    Chapter: book/ch02_speculative_decoding
    """

    target: Llama
    draft: Llama


def load_pair() -> Pair:
    """Both models in float32 and evaluation mode.

    Chapter: book/ch02_speculative_decoding
    """
    return Pair(*(load(Llama, PAIR_FOLDER / f"{name}.safetensors") for name in Pair._fields))


def load_pair_tokenizer() -> "Tokenizer":
    """The tokenizer that both models were trained with.

    Chapter: book/ch02_speculative_decoding
    """
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(PAIR_FOLDER / "tokenizer.json"))
