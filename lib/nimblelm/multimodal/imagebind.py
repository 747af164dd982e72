"""What ImageBind hears: three clips of two seconds as log-mel spectra."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from nimblelm.audio.features.kaldi import kaldi_fbank
from nimblelm.audio.features.waveform import SAMPLE_RATE_HZ

CLIP_S, NUM_CLIPS = 2, 3
NUM_MELS, NUM_FRAMES = 128, 204
MEAN, STD = -4.268, 9.138  # of the log filter bank: AudioSet's mean, and twice its deviation, a habit of AST
PATCH, STRIDE = 16, 10  # of the transformer that reads them: patches overlap by 6


def imagebind_audio(
    waveform: Float[Tensor, "samples"], num_clips: int = NUM_CLIPS, sample_rate_hz: int = SAMPLE_RATE_HZ
) -> Float[Tensor, "clips 128 204"]:
    """Clips of two seconds, evenly spaced from the first to the last that fits, as Kaldi's filter bank.

    (x - MEAN) / STD of 128 bands and 204 frames: 198 of the clip, then 0 before it is normalised   (Girdhar et al.,
    2023, arXiv:2305.05665, section 4, and the authors' imagebind/data.py). The embeddings of the clips are averaged.

    Args:
        waveform: within -1 and 1; where it is shorter than a clip, every clip is all of it.
        num_clips: 3 in the authors' code.
        sample_rate_hz: of the waveform; must be 16 kHz.

    Raises:
        ValueError: no clips are asked for, less than a frame (25 ms), another rate, or half precision.

    Chapter: book/ch09_contrastive_learning
    """
    if num_clips < 1:
        raise ValueError(f"num_clips {num_clips} must be 1 or more")
    length = CLIP_S * SAMPLE_RATE_HZ
    last = max(len(waveform) - length, 0)  # where the last clip begins
    starts = [last * i // max(num_clips - 1, 1) for i in range(num_clips)]
    clips = torch.stack([waveform[start : start + length] for start in starts])
    bank = kaldi_fbank(clips, NUM_MELS, "hann", sample_rate_hz)[..., :NUM_FRAMES]
    return (F.pad(bank, (0, NUM_FRAMES - bank.shape[-1])) - MEAN) / STD
