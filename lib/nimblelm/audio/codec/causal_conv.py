"""Convolutions that look only back, so that sound can be encoded and decoded while it arrives."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

PAD_MODES = ("constant", "reflect", "replicate")

Stream = dict[nn.Module, tuple[Tensor, ...]]  # what each layer keeps from one chunk to the next; begins empty


class CausalConv1d(nn.Module):
    """A convolution padded on the left only: output t knows nothing after input t S + S - 1.

    y[t] = sum over j of w[j] x[t S + S - 1 - (K - 1 - j) D]     (van den Oord et al., 2016, arXiv:1609.03499, section
    2.1; with the padding of Zeghidour et al., 2021, arXiv:2107.03312, section III.C)

    The padding is (K - 1) D + 1 - S. Offline, the end is filled up with zeros to whole strides (in `reflect`, with the
    mirror image).

    Args:
        in_channels: of the input.
        out_channels: of the output.
        kernel_size: K.
        stride: S.
        dilation: D.
        groups: of channels that do not mix.
        bias: whether one is added.
        pad_mode: what stands before the first sample: "constant" is zeros, "reflect" EnCodec's, "replicate".

    Raises:
        ValueError: an unknown padding, or a stride longer than the kernel.

    Chapter: book/ch19_audio_codecs
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        dilation: int = 1,
        *,
        groups: int = 1,
        bias: bool = True,
        pad_mode: str = "constant",
    ):
        super().__init__()
        self.conv = nn.Conv1d(in_channels, out_channels, kernel_size, stride, 0, dilation, groups, bias)
        self.stride, self.pad_mode = stride, pad_mode
        self.padding = (kernel_size - 1) * dilation + 1 - stride
        if pad_mode not in PAD_MODES or self.padding < 0:
            raise ValueError(
                f"pad_mode {pad_mode!r} must be one of {', '.join(PAD_MODES)}; kernel {kernel_size}, stride {stride}"
            )

    def forward(self, x: Float[Tensor, "B C T"], stream: Stream | None = None) -> Float[Tensor, "B C_out T_out"]:
        """A whole sound, or with a stream its next chunk.

        Args:
            x: the sound; a chunk must hold whole strides.
            stream: what this layer kept of the chunks before, and where it puts what it keeps of this one.

        Raises:
            ValueError: a chunk that is empty or not whole strides, or a first one shorter than what is mirrored.
        """
        length = x.shape[-1]
        if stream is None:
            return self.conv(padded(x, self.padding, -length % self.stride, self.pad_mode))
        if length % self.stride:
            raise ValueError(f"a chunk of {length} samples is not a multiple of the stride {self.stride}")
        if self not in stream and self.pad_mode == "reflect" and length <= self.padding:
            raise ValueError(f"the first chunk, {length} samples, must hold the {self.padding} that are mirrored")
        if not length:
            raise ValueError(f"a chunk of shape {tuple(x.shape)} has no samples")
        x = torch.cat([*stream[self], x], dim=-1) if self in stream else padded(x, self.padding, 0, self.pad_mode)
        y = self.conv(x)  # first: where it fails, the stream is as it was
        stream[self] = (x[..., x.shape[-1] - self.padding :],)
        return y


class CausalConvTranspose1d(nn.Module):
    """The way back up: every input adds K outputs that begin S after those of the one before; the last K - S are cut.

    y[t S + j] += w[j] x[t];  what is cut would be changed by inputs still to come (a stream keeps it and adds them)

    Args:
        in_channels: of the input.
        out_channels: of the output.
        kernel_size: K.
        stride: S, how many outputs for each input.
        groups: of channels that do not mix.
        bias: whether one is added.

    Raises:
        ValueError: a stride longer than the kernel.

    Chapter: book/ch19_audio_codecs
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int,
        *,
        groups: int = 1,
        bias: bool = True,
    ):
        super().__init__()
        if stride > kernel_size:
            raise ValueError(f"a stride of {stride} leaves gaps between kernels of {kernel_size}")
        self.conv = nn.ConvTranspose1d(in_channels, out_channels, kernel_size, stride, groups=groups, bias=bias)
        self.overlap = kernel_size - stride

    def forward(self, x: Float[Tensor, "B C T"], stream: Stream | None = None) -> Float[Tensor, "B C_out T_out"]:
        """T S outputs, of a whole or of the next chunk of a stream; raises ValueError for one that is empty."""
        if not x.shape[-1]:
            raise ValueError(f"a chunk of shape {tuple(x.shape)} has no frames")
        y = self.conv(x)
        end = y.shape[-1] - self.overlap
        if stream is not None:
            if self in stream:
                y = torch.cat([y[..., : self.overlap] + stream[self][0], y[..., self.overlap :]], dim=-1)
            tail = y[..., end:]
            stream[self] = (tail if self.conv.bias is None else tail - self.conv.bias[:, None],)
        return y[..., :end]


def padded(x: Float[Tensor, "B C T"], left: int, right: int, mode: str) -> Float[Tensor, "B C padded"]:
    """The signal with something before and after; a signal too short to be mirrored gets zeros first, as EnCodec does.

    Raises:
        ValueError: an empty signal.
    """
    if not x.shape[-1]:
        raise ValueError(f"a signal of shape {tuple(x.shape)} has no samples")
    if mode == "constant":
        return F.pad(x, (left, right))
    missing = max(left, right) + 1 - x.shape[-1] if mode == "reflect" else 0
    y = F.pad(F.pad(x, (0, max(0, missing))), (left, right), mode)
    return y[..., : left + x.shape[-1] + right]
