"""Words to ids and back."""

import pytest

from nimblelm.data.words import SPECIAL, WordTokenizer, split_words


def test_words_come_back_and_unknown_ones_are_named():
    tokenizer = WordTokenizer([*SPECIAL, "cat", "?", "1"])
    ids = tokenizer.encode("<bos> cat 1 ? [RET] <eos>")
    assert tokenizer.decode(ids) == "<bos> cat 1 ? [RET] <eos>"
    assert split_words("a cat's 12, well-known") == ["a", "cat's", "1", "2", ",", "well", "known"]
    with pytest.raises(ValueError, match="'dog' is not among the 8 words"):
        tokenizer.encode("cat dog")
    for words in (["cat"], [*SPECIAL, "cat", "cat"]):
        with pytest.raises(ValueError, match="no word twice"):
            WordTokenizer(words)
