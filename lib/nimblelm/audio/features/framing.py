"""A waveform as overlapping frames, and frames as a waveform again."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from nimblelm.audio.features.waveform import check_waveform


def frame(
    waveform: Float[Tensor, "*batch samples"], frame_length: int, hop_length: int
) -> Float[Tensor, "*batch T frame_length"]:
    """Frames of `frame_length` samples that begin every `hop_length` samples; a view, nothing is copied.

    frame t holds x[tH], ..., x[tH + N - 1], for t = 0 .. floor((samples - N) / H)      (Jurafsky and Martin, Speech and
    Language Processing, 3rd ed., section 16.2)

    Args:
        waveform: x.
        frame_length: N, in samples.
        hop_length: H, in samples, the frame stride.

    Raises:
        ValueError: the waveform is shorter than a frame, or a length is below 1.

    Chapter: book/ch15_sound_to_log_mel
    """
    _check_lengths(frame_length, hop_length)
    check_waveform(waveform, frame_length)
    return waveform.unfold(-1, frame_length, hop_length)


def centred(waveform: Float[Tensor, "*batch samples"], frame_length: int) -> Float[Tensor, "*batch padded"]:
    """The waveform with half a frame of its mirror image at both ends, so that frame t is centred on sample tH.

    Raises:
        ValueError: the waveform has no more samples than half a frame: there is nothing to mirror.

    Chapter: book/ch15_sound_to_log_mel
    """
    half = frame_length // 2
    check_waveform(waveform, half + 1)
    flat = waveform.reshape(-1, waveform.shape[-1])
    return F.pad(flat, (half, half), mode="reflect").reshape(*waveform.shape[:-1], -1)


def overlap_add(frames: Float[Tensor, "*batch T frame_length"], hop_length: int) -> Float[Tensor, "*batch samples"]:
    """The sum of frames, each laid down `hop_length` samples after the one before: the transpose of `frame`.

    Raises:
        ValueError: there is no frame, or the hop is below 1.

    Chapter: book/ch15_sound_to_log_mel
    """
    if frames.numel() == 0:
        raise ValueError(f"frames of shape {tuple(frames.shape)}: there is none to add")
    num_frames, frame_length = frames.shape[-2:]
    _check_lengths(frame_length, hop_length)
    samples = (num_frames - 1) * hop_length + frame_length
    columns = frames.reshape(-1, num_frames, frame_length).mT  # (B, N, T)
    summed = F.fold(columns, (1, samples), (1, frame_length), stride=(1, hop_length))
    return summed.reshape(*frames.shape[:-2], samples)


def _check_lengths(frame_length: int, hop_length: int) -> None:
    if frame_length < 1 or hop_length < 1:
        raise ValueError(f"frames of {frame_length} samples every {hop_length}: both must be 1 or more")
