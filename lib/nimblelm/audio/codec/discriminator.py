"""Judges that learn to tell decoded sound from real sound by its complex spectrogram, at several resolutions."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from nimblelm.audio.features.waveform import check_waveform


@dataclass(frozen=True)
class DiscriminatorConfig:
    """Resolutions and width; the defaults are EnCodec's at 24 kHz (Defossez et al., 2022, arXiv:2210.13438, section
    3.4).

    Raises:
        ValueError: no transforms, or one below 16 samples.
    """

    n_ffts: tuple[int, ...] = (2048, 1024, 512, 256, 128)  # windows; a frame every quarter of one
    num_filters: int = 32
    dilations: tuple[int, ...] = (1, 2, 4)  # in time; each layer halves the frequencies

    def __post_init__(self):
        if not self.n_ffts or min(self.n_ffts) < 16:
            raise ValueError(f"n_ffts {self.n_ffts}: one or more, each of 16 samples or more")


class Judged(NamedTuple):
    """What one discriminator says of a sound."""

    logits: Float[Tensor, "B 1 T F"]  # positive: this patch sounds real
    features: list[Tensor]  # of its hidden layers


class STFTDiscriminator(nn.Module):
    """2-D convolutions over real and imaginary part of a spectrogram; a verdict for each patch of it.

    Chapter: book/ch19_audio_codecs
    """

    window: Tensor

    def __init__(self, n_fft: int, config: DiscriminatorConfig):
        super().__init__()
        self.n_fft, width = n_fft, config.num_filters
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        layers = [nn.Conv2d(2, width, (3, 9), padding=(1, 4))]
        layers += [
            nn.Conv2d(width, width, (3, 9), stride=(1, 2), dilation=(d, 1), padding=(d, 4)) for d in config.dilations
        ]
        layers.append(nn.Conv2d(width, width, 3, padding=1))
        self.layers = nn.ModuleList(nn.utils.parametrizations.weight_norm(layer) for layer in layers)
        self.head = nn.utils.parametrizations.weight_norm(nn.Conv2d(width, 1, 3, padding=1))

    def forward(self, waveform: Float[Tensor, "B samples"]) -> Judged:
        """Logits and the features of every hidden layer.

        Raises:
            ValueError: the waveform is shorter than the window, or not in float32 or float64.
        """
        check_waveform(waveform, self.n_fft)
        hop = self.n_fft // 4
        spectrum = torch.stft(
            waveform, self.n_fft, hop, window=self.window, center=False, normalized=True, return_complex=True
        )
        x = torch.view_as_real(spectrum).permute(0, 3, 2, 1)  # (B, 2, T, F)
        features = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
            features.append(x)
        return Judged(self.head(x), features)


class MultiScaleSTFTDiscriminator(nn.Module):
    """One `STFTDiscriminator` for each window: long ones hear pitch, short ones hear clicks.

    (Defossez et al., 2022, section 3.4, figure 2)

    Args:
        config: resolutions and width.

    Chapter: book/ch19_audio_codecs
    """

    config_class = DiscriminatorConfig

    def __init__(self, config: DiscriminatorConfig):
        super().__init__()
        self.config = config
        self.scales = nn.ModuleList(STFTDiscriminator(n_fft, config) for n_fft in config.n_ffts)

    def forward(self, waveform: Float[Tensor, "B samples"]) -> list[Judged]:
        """What each of them says."""
        return [scale(waveform) for scale in self.scales]
