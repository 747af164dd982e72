"""The mel spectrum of a sound that is still arriving."""

import torch
from jaxtyping import Float
from torch import Tensor

from nimblelm.audio.features.framing import frame
from nimblelm.audio.features.mel_spectrum import WHISPER, MelConfig, of_frames
from nimblelm.audio.features.waveform import check_waveform


class MelStream:
    """Takes samples as they come and gives every frame as soon as its last sample is there.

    All that comes out, in order, is `mel_spectrum` of the whole waveform. A frame waits for half its length behind its
    centre: n_fft / 2 samples are the latency. What it keeps is less than a frame and a hop.

    Args:
        config: of the spectrum.

    Raises:
        ValueError: frames that do not touch.

    Chapter: book/ch15_sound_to_log_mel
    """

    def __init__(self, config: MelConfig = WHISPER):
        if config.hop_length > config.n_fft:
            raise ValueError(f"hop_length {config.hop_length} leaves gaps between frames of {config.n_fft} samples")
        self.config, self.ended = config, False
        self.kept: Tensor | None = None  # samples from the first of the next frame on; None until the mirror is known
        self.first = torch.empty(0)  # what came before that
        self.tail = torch.empty(0)  # the last n_fft / 2 + 1 samples: the mirror at the end

    def push(self, samples: Float[Tensor, "more"]) -> Float[Tensor, "num_mels T"]:
        """Take samples, 0 or more; give the frames that they complete, 0 or more.

        Raises:
            ValueError: half precision, another dtype than before, or a stream that has ended.
        """
        before = self.tail.dtype if len(self.tail) else samples.dtype
        if self.ended or samples.dtype != before:
            of = "ended" if self.ended else f"of {before}"
            raise ValueError(f"the stream is {of}: no {tuple(samples.shape)} of {samples.dtype} can follow")
        if samples.numel():
            check_waveform(samples)
        half = self.config.n_fft // 2
        self.tail = torch.cat([self.tail.to(samples.dtype), samples])[-(half + 1) :]
        if self.kept is None:
            self.first = torch.cat([self.first.to(samples.dtype), samples])
            if len(self.first) <= half:
                return samples.new_empty(self.config.num_mels, 0)
            self.kept, samples = torch.cat([self.first[1 : half + 1].flip(0), self.first]), samples[:0]
        self.kept = torch.cat([self.kept, samples])
        return self._whole_frames()

    def finish(self) -> Float[Tensor, "num_mels T"]:
        """The sound has ended: the frames that reach over its end see it mirrored.

        Raises:
            ValueError: there were n_fft / 2 samples or fewer, or it has ended already.
        """
        if self.ended:
            raise ValueError("the stream is ended: its last frames, of n_fft samples, were given")
        if self.kept is None:
            check_waveform(self.first, self.config.n_fft // 2 + 1)
            raise AssertionError("a waveform long enough has been kept")
        self.kept, self.ended = torch.cat([self.kept, self.tail[:-1].flip(0)]), True
        return self._whole_frames()

    def _whole_frames(self) -> Tensor:
        assert self.kept is not None
        length, hop = self.config.n_fft, self.config.hop_length
        count = max(0, 1 + (len(self.kept) - length) // hop)
        if not count:
            return self.kept.new_empty(self.config.num_mels, 0)
        mel = of_frames(frame(self.kept, length, hop), self.config)
        self.kept = self.kept[count * hop :]
        return mel
