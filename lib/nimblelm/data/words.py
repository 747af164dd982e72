"""A tokenizer whose tokens are the words of a list: for models that are small because their vocabulary is."""

import re
from collections.abc import Iterable, Sequence

PAD, BEGIN, END, IMAGE, RETRIEVE = "<pad>", "<bos>", "<eos>", "<image>", "[RET]"
SPECIAL = (PAD, BEGIN, END, IMAGE, RETRIEVE)
_TOKEN = re.compile(r"<\w+>|\[RET\]|[a-z]+(?:'[a-z]+)?|\d|[?,:;]")


def split_words(text: str) -> list[str]:
    """Words of small letters, single digits and the marks ? , : ; one by one; what is none of these is left out."""
    return _TOKEN.findall(text)


class WordTokenizer:
    """Texts to token ids and back.

    Args:
        words: the vocabulary; SPECIAL first.

    Raises:
        ValueError: a word stands twice, or the special ones are not at the front.
    """

    def __init__(self, words: Sequence[str]):
        if tuple(words[: len(SPECIAL)]) != SPECIAL or len(set(words)) != len(words):
            raise ValueError(f"the vocabulary must begin with {', '.join(SPECIAL)} and hold no word twice")
        self.words = tuple(words)
        self.ids = {word: i for i, word in enumerate(words)}

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, text: str) -> list[int]:
        """Ids of the text's words.

        Raises:
            ValueError: a word is not in the vocabulary.
        """
        found = split_words(text)
        if unknown := [word for word in found if word not in self.ids]:
            raise ValueError(f"{unknown[0]!r} is not among the {len(self)} words that are known")
        return [self.ids[word] for word in found]

    def decode(self, ids: Iterable[int]) -> str:
        """The words of ids, with spaces between them."""
        return " ".join(self.words[i] for i in ids)
