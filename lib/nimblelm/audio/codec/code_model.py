"""A small language model over codes, and the codes entropy-coded with it."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from nimblelm.audio.codec.arithmetic_coding import arithmetic_decode, arithmetic_encode, cumulative_frequencies


@dataclass(frozen=True)
class CodeModelConfig:
    """Shape of the model: one recurrent layer over frames, an embedding and a head for each codebook."""

    num_codebooks: int = 4
    codebook_size: int = 1024
    d_model: int = 64


class CodeModel(nn.Module):
    """What the next frame's codes are, given the frames before it and the frame's lower codebooks.

    p(c_{t,k} | c_{<t}, c_{t,<k}) = softmax(W_k (h_t + sum over j < k of E_j c_{t,j})),  h_t = GRU(sum of E_j c_{t-1,j})

    EnCodec's own is a transformer of five layers that predicts all codebooks of a frame at once (Defossez et al., 2022,
    arXiv:2210.13438, section 3.3).

    Args:
        config: the shape.

    Chapter: book/ch19_audio_codecs
    """

    config_class = CodeModelConfig

    def __init__(self, config: CodeModelConfig):
        super().__init__()
        self.config = config
        books, size, width = config.num_codebooks, config.codebook_size, config.d_model
        self.embeddings = nn.ModuleList(nn.Embedding(size, width) for _ in range(books))
        self.recurrent = nn.GRU(width, width, batch_first=True)
        self.heads = nn.ModuleList(nn.Linear(width, size) for _ in range(books))

    def forward(self, codes: Int[Tensor, "B K T"]) -> Float[Tensor, "B K T V"]:
        """Log-probabilities of every code of every frame.

        Raises:
            ValueError: another number of codebooks, or a code that is out of range.
        """
        size, books = self.config.codebook_size, self.config.num_codebooks
        if codes.shape[1] != books or not bool(((codes >= 0) & (codes < size)).all()):
            raise ValueError(f"codes {tuple(codes.shape)}: {books} codebooks of {size} are needed")
        embedded = torch.stack([table(row) for table, row in zip(self.embeddings, codes.unbind(1), strict=True)])
        lower = embedded.cumsum(0)  # (K, B, T, d): sums over the books up to each
        hidden, _ = self.recurrent(F.pad(lower[-1, :, :-1], (0, 0, 1, 0)))
        given = torch.cat([hidden[None], hidden + lower[:-1]])
        logits = torch.stack([head(x) for head, x in zip(self.heads, given, strict=True)], dim=1)
        return logits.log_softmax(-1)

    @torch.inference_mode()
    def frames(self) -> Generator[Float[Tensor, "V"], int, None]:
        """A coroutine that is sent code after code, book by book and frame by frame, and gives the next distribution.

        Encoder and decoder run it alike, so that both have the same numbers.
        """
        state, code = None, None
        x = torch.zeros(1, self.config.d_model)
        while True:
            hidden, state = self.recurrent(x[:, None], state)
            x, given = torch.zeros_like(x), hidden[:, 0]
            for table, head in zip(self.embeddings, self.heads, strict=True):
                code = yield head(given)[0].softmax(-1)
                embedded = table(torch.tensor([code]))
                x, given = x + embedded, given + embedded


def entropy_encode(model: CodeModel, codes: Int[Tensor, "K T"]) -> list[int]:
    """Codes as bits, by arithmetic coding with the model's predictions.

    Raises:
        ValueError: other codebooks than the model's, no frames, or a code that is out of range.

    Chapter: book/ch19_audio_codecs
    """
    size = model.config.codebook_size
    if codes.ndim != 2 or codes.shape[0] != model.config.num_codebooks or not codes.shape[1]:
        raise ValueError(
            f"codes {tuple(codes.shape)}: {model.config.num_codebooks} rows and 1 frame or more are needed"
        )
    if not bool(((codes >= 0) & (codes < size)).all()):
        raise ValueError(f"codes must lie within 0 and {size - 1}")
    return arithmetic_encode(_expected(model, codes.T.flatten().tolist()))


def _expected(model: CodeModel, symbols: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
    predictions = model.frames()
    probs = next(predictions)
    for i, symbol in enumerate(symbols):
        yield symbol, cumulative_frequencies(probs)
        if i + 1 < len(symbols):
            probs = predictions.send(symbol)


def entropy_decode(model: CodeModel, bits: Sequence[int], num_frames: int) -> Int[Tensor, "K T"]:
    """The codes of bits.

    Raises:
        ValueError: fewer than 1 frame.

    Chapter: book/ch19_audio_codecs
    """
    books = model.config.num_codebooks
    if num_frames < 1:
        raise ValueError(f"{num_frames} frames: there must be 1 or more")
    predictions, decoder = model.frames(), arithmetic_decode(bits)
    next(decoder)
    probs, symbols = next(predictions), []
    for i in range(num_frames * books):
        symbols.append(decoder.send(cumulative_frequencies(probs)))
        if i + 1 < num_frames * books:
            probs = predictions.send(symbols[-1])
    return torch.tensor(symbols).view(num_frames, books).T
