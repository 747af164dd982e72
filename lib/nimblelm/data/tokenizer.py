"""A byte-level BPE tokenizer trained on the corpus (Sennrich et al., 2016, arXiv:1508.07909)."""

from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

END_OF_TEXT = "<|endoftext|>"
END_OF_TEXT_ID = 0


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Learn byte-level BPE merges; every string encodes, and decodes to itself, but for `END_OF_TEXT` in it.

    That becomes the one token, which decoding leaves out: keep it from texts of others.

    Args:
        texts: the training texts.
        vocab_size: tokens in all: 256 bytes, the end-of-text token with id 0, and the merges.

    Raises:
        ValueError: vocab_size leaves no room for the bytes.
    """
    if vocab_size < 257:
        raise ValueError(f"vocab_size {vocab_size} is below 257, the bytes and the end of text")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer
