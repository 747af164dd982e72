"""Dynamic time warping: how alike two words are when one is said faster, and the oldest recogniser."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from nimblelm.audio.features.mel_spectrum import MelConfig, compressed, mel_spectrum
from nimblelm.audio.features.mfcc import mean_normalised, mfcc

MEL = MelConfig(40, 400, 160)


def dtw_distances(query: Float[Tensor, "T D"], templates: Sequence[Float[Tensor, "_ _"]]) -> Float[Tensor, "templates"]:
    """The cheapest alignment of a sequence with each of many, per frame of both.

    g(i, j) = d(i, j) + min(g(i-1, j), g(i, j-1), g(i-1, j-1) + d(i, j)), result g(T, S) / (T + S)
    (Sakoe and Chiba, 1978, IEEE Trans. ASSP 26, table I, symmetric, P = 0; d is the Euclidean distance)

    Computed for all templates at once, one antidiagonal after the other.

    Raises:
        ValueError: no templates, an empty sequence, or another width.

    Chapter: book/ch19_audio_codecs
    """
    if not templates or not len(query) or any(not len(t) or t.shape[1] != query.shape[1] for t in templates):
        raise ValueError(f"a query {tuple(query.shape)} needs templates that are not empty and as wide")
    lengths = torch.tensor([len(one) for one in templates])
    rows, columns = len(query), int(lengths.max())
    stacked = torch.stack([F.pad(one, (0, 0, 0, columns - len(one))) for one in templates])
    local = torch.cdist(query.expand(len(templates), -1, -1).contiguous(), stacked)  # (N, T, S)
    diagonals = local.new_full((len(templates), rows, rows + columns - 1), float("inf"))
    at = torch.arange(rows)[:, None] + torch.arange(columns)
    diagonals.scatter_(2, at.expand(len(templates), -1, -1), local)  # cell (i, j) in column i + j
    cost = [diagonals[..., 0].clone()]
    never = local.new_full((len(templates), 1), float("inf"))
    for k in range(1, rows + columns - 1):
        here = diagonals[..., k]
        up = torch.cat([never, cost[-1][:, :-1]], dim=1)  # (i - 1, j)
        both = torch.cat([never, cost[-2][:, :-1]], dim=1) + here if k > 1 else torch.full_like(here, float("inf"))
        cost.append(here + torch.minimum(torch.minimum(up, cost[-1]), both))
    ends = torch.stack(cost)[rows - 2 + lengths, torch.arange(len(templates)), rows - 1]
    return ends / (rows + lengths)


def word_features(waveform: Float[Tensor, "samples"]) -> Float[Tensor, "T 26"]:
    """Thirteen MFCCs of every 10 ms and their change over 50 ms, without the mean of the word.

    Raises:
        ValueError: less than 25 ms, or half precision.

    Chapter: book/ch19_audio_codecs
    """
    cepstra = mean_normalised(mfcc(compressed(mel_spectrum(waveform, MEL), "ln", 1e-4), 13))
    edges = F.pad(cepstra[None], (2, 2), mode="replicate")[0]
    return torch.cat([cepstra, edges[:, 4:] - edges[:, :-4]]).T


def recognised(waveform: Float[Tensor, "samples"], templates: Sequence[Float[Tensor, "_ 26"]]) -> int:
    """Which template a word is most like: the number of the nearest.

    Raises:
        ValueError: as `word_features` and `dtw_distances`.

    Chapter: book/ch19_audio_codecs
    """
    return int(dtw_distances(word_features(waveform), templates).argmin())
