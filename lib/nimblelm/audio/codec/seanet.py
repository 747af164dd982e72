"""SEANet: the causal encoder and decoder of SoundStream, EnCodec and Mimi."""

import math
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from nimblelm.audio.codec.causal_conv import PAD_MODES, CausalConv1d, CausalConvTranspose1d, Stream


@dataclass(frozen=True)
class SEANetConfig:
    """Shape of encoder and decoder; the defaults are EnCodec's at 24 kHz (Defossez et al., 2022, arXiv:2210.13438,
    section 3.1).

    Raises:
        ValueError: no strides, one below 1, or an unknown padding.
    """

    channels: int = 1  # of the sound
    num_filters: int = 32  # of the first layer; doubled by every stride
    strides: tuple[int, ...] = (8, 5, 4, 2)  # of the decoder, from the latents on; the encoder's are these, backwards
    d_latent: int = 128
    num_residual: int = 1  # residual units before each stride
    kernel_size: int = 7
    last_kernel_size: int = 7
    residual_kernel_size: int = 3
    dilation_growth: int = 2
    compress: int = 2  # how many times narrower a residual unit is inside
    num_lstm_layers: int = 2
    conv_shortcut: bool = True  # a residual unit adds conv(x), not x
    pad_mode: str = "reflect"

    def __post_init__(self):
        if not self.strides or min(self.strides) < 1 or self.pad_mode not in PAD_MODES:
            raise ValueError(f"strides {self.strides} must be 1 or more, pad_mode {self.pad_mode!r} of {PAD_MODES}")

    @property
    def hop_length(self) -> int:
        """Samples in a frame: 320 by default."""
        return math.prod(self.strides)

    @property
    def d_top(self) -> int:
        """Channels at the frame rate, 512 by default."""
        return self.num_filters * 2 ** len(self.strides)


class ResidualUnit(nn.Module):
    """shortcut(x) + conv1(ELU(conv3(ELU(x)))), narrower inside."""

    def __init__(self, width: int, dilation: int, config: SEANetConfig):
        super().__init__()
        hidden, mode = width // config.compress, config.pad_mode
        self.mix = CausalConv1d(width, hidden, config.residual_kernel_size, dilation=dilation, pad_mode=mode)
        self.out = CausalConv1d(hidden, width, 1, pad_mode=mode)
        self.shortcut = CausalConv1d(width, width, 1, pad_mode=mode) if config.conv_shortcut else None

    def forward(self, x: Float[Tensor, "B C T"], stream: Stream | None = None) -> Float[Tensor, "B C T"]:
        inner = nn.functional.elu(self.mix(nn.functional.elu(x), stream))
        return self.out(inner, stream) + (x if self.shortcut is None else self.shortcut(x, stream))


class StreamedLSTM(nn.Module):
    """x + LSTM(x) over time; hidden and cell states are what a stream keeps."""

    def __init__(self, width: int, num_layers: int):
        super().__init__()
        self.lstm = nn.LSTM(width, width, num_layers)

    def forward(self, x: Float[Tensor, "B C T"], stream: Stream | None = None) -> Float[Tensor, "B C T"]:
        steps = x.permute(2, 0, 1)
        y, state = self.lstm(steps, stream.get(self) if stream is not None else None)
        if stream is not None:
            stream[self] = state
        return (y + steps).permute(1, 2, 0)


class Chain(nn.ModuleList):
    """Layers one after the other; those with a memory are given the stream."""

    def forward(self, x: Float[Tensor, "B C T"], stream: Stream | None = None) -> Float[Tensor, "B C_out T_out"]:
        for layer in self:
            x = layer(x) if isinstance(layer, nn.ELU) else layer(x, stream)
        return x


class SEANetEncoder(Chain):
    """Waveform (B, channels, samples) to latents (B, d_latent, frames): a stride at a time, twice the channels each.

    conv7; for each stride S: residual units, ELU, conv of kernel 2 S and stride S; LSTM; ELU, conv7
    (Defossez et al., 2022, section 3.1)

    Chapter: book/ch19_audio_codecs
    """

    def __init__(self, config: SEANetConfig):
        width, mode = config.num_filters, config.pad_mode
        layers: list[nn.Module] = [CausalConv1d(config.channels, width, config.kernel_size, pad_mode=mode)]
        for stride in reversed(config.strides):
            layers += [ResidualUnit(width, config.dilation_growth**i, config) for i in range(config.num_residual)]
            layers += [nn.ELU(), CausalConv1d(width, 2 * width, 2 * stride, stride, pad_mode=mode)]
            width *= 2
        layers += [StreamedLSTM(width, config.num_lstm_layers)] if config.num_lstm_layers else []
        layers += [nn.ELU(), CausalConv1d(width, config.d_latent, config.last_kernel_size, pad_mode=mode)]
        super().__init__(layers)


class SEANetDecoder(Chain):
    """Latents to a waveform: the encoder in a mirror, with transposed convolutions.

    Chapter: book/ch19_audio_codecs
    """

    def __init__(self, config: SEANetConfig):
        width, mode = config.d_top, config.pad_mode
        layers: list[nn.Module] = [CausalConv1d(config.d_latent, width, config.kernel_size, pad_mode=mode)]
        layers += [StreamedLSTM(width, config.num_lstm_layers)] if config.num_lstm_layers else []
        for stride in config.strides:
            layers += [nn.ELU(), CausalConvTranspose1d(width, width // 2, 2 * stride, stride)]
            width //= 2
            layers += [ResidualUnit(width, config.dilation_growth**i, config) for i in range(config.num_residual)]
        layers += [nn.ELU(), CausalConv1d(width, config.channels, config.last_kernel_size, pad_mode=mode)]
        super().__init__(layers)
