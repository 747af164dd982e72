"""A codec that is intelligible after minutes of training: log-mel to codes to magnitudes, phases by Griffin-Lim."""

from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from nimblelm.audio.codec.residual_vq import Quantized, ResidualVQ, bit_rate_bps
from nimblelm.audio.features.griffin_lim import griffin_lim
from nimblelm.audio.features.mel_spectrum import MelConfig, compressed, mel_spectrum
from nimblelm.audio.features.stft import stft
from nimblelm.audio.features.waveform import SAMPLE_RATE_HZ, check_waveform
from nimblelm.audio.features.windows import window

FLOOR = 0.03  # of magnitudes, 80 dB below a full-scale tone: what is quieter is silence
STRIDE = 2  # frames of the spectrum in a frame of codes
GRIFFIN_LIM_ROUNDS = 40


@dataclass(frozen=True)
class SpectrogramCodecConfig:
    """Shape of the two networks and of the quantizer; 50 frames of codes a second."""

    num_mels: int = 80
    n_fft: int = 640  # 40 ms
    hop_length: int = 160  # 10 ms
    d_encoder: int = 160
    d_decoder: int = 208
    d_code: int = 64
    num_codebooks: int = 8
    codebook_size: int = 1024

    @property
    def frames_per_s(self) -> float:
        return SAMPLE_RATE_HZ / (self.hop_length * STRIDE)

    @property
    def mel(self) -> MelConfig:
        return MelConfig(self.num_mels, self.n_fft, self.hop_length)

    @property
    def num_bins(self) -> int:
        return self.n_fft // 2 + 1


class ResidualConv(nn.Module):
    """x + conv1(GELU(conv3(GELU(x)))): a frame with its neighbours."""

    def __init__(self, width: int):
        super().__init__()
        self.mix = nn.Conv1d(width, width, 3, padding=1)
        self.out = nn.Conv1d(width, width, 1)

    def forward(self, x: Float[Tensor, "B width T"]) -> Float[Tensor, "B width T"]:
        return x + self.out(F.gelu(self.mix(F.gelu(x))))


class SpectrogramCodec(nn.Module):
    """Log-mel spectra through a residual quantizer to log magnitudes; a waveform only at the very end.

    It does not have to say where in its period a vowel is, which takes most of a waveform codec's effort and bits, and
    which the ear hardly hears. What it pays: Griffin-Lim's guess at the phase, and that it can only do what its spectra
    can, speech in its own voices' range.

    Stages: `features` (waveform to log-mel), `encoder`, `quantizer`, `decoder` (to log magnitudes), `vocode`.

    Args:
        config: the shape.

    Chapter: book/ch19_audio_codecs
    """

    config_class = SpectrogramCodecConfig

    def __init__(self, config: SpectrogramCodecConfig):
        super().__init__()
        self.config = config
        wide, narrow = config.d_encoder, config.d_code
        self.encoder = nn.Sequential(
            nn.Conv1d(config.num_mels, wide, 5, padding=2),
            ResidualConv(wide),
            ResidualConv(wide),
            nn.Conv1d(wide, wide, 2 * STRIDE, STRIDE, padding=STRIDE // 2),
            ResidualConv(wide),
            nn.Conv1d(wide, narrow, 1),
        )
        self.quantizer = ResidualVQ(config.num_codebooks, config.codebook_size, narrow)
        wide = config.d_decoder
        self.decoder = nn.Sequential(
            nn.Conv1d(narrow, wide, 5, padding=2),
            ResidualConv(wide),
            ResidualConv(wide),
            nn.ConvTranspose1d(wide, wide, 2 * STRIDE, STRIDE, padding=STRIDE // 2),
            ResidualConv(wide),
            ResidualConv(wide),
            nn.Conv1d(wide, config.num_bins, 1),
        )

    def forward(
        self, features: Float[Tensor, "B num_mels T"], num_codebooks: int | None = None
    ) -> tuple[Float[Tensor, "B bins T"], Quantized]:
        """Log magnitudes as training wants them, and what the quantizer did; T even."""
        quantized = self.quantizer(self.encoder(features), num_codebooks)
        return self.decoder(quantized.latents), quantized

    def features(self, waveform: Float[Tensor, "B samples"]) -> Float[Tensor, "B num_mels T"]:
        """What the encoder reads: ln of mel energies, about -2 .. 2, an even number of frames.

        Raises:
            ValueError: the waveform is shorter than 40 ms, or not in float32 or float64.
        """
        check_waveform(waveform, self.config.n_fft)
        log = compressed(mel_spectrum(waveform, self.config.mel), "ln", FLOOR**2)
        return (log[..., : log.shape[-1] // STRIDE * STRIDE] + 2) / 4

    def log_magnitudes(self, waveform: Float[Tensor, "B samples"]) -> Float[Tensor, "B bins T"]:
        """What the decoder is to say: ln |X|, as many frames as `features`."""
        magnitude = stft(waveform, _window(self.config.n_fft, waveform.dtype), self.config.hop_length).abs()
        return magnitude[..., : magnitude.shape[-1] // STRIDE * STRIDE].clamp(min=FLOOR).log()

    @torch.inference_mode()
    def encode(self, waveform: Float[Tensor, "B samples"], num_codebooks: int | None = None) -> Int[Tensor, "B K T"]:
        """Codes of a waveform at 16 kHz, 50 frames a second.

        Raises:
            ValueError: as `features`, or more codebooks than there are.
        """
        return self.quantizer.encode(self.encoder(self.features(waveform)), num_codebooks)

    @torch.inference_mode()
    def decode(
        self, codes: Int[Tensor, "B K T"], generator: torch.Generator | None = None
    ) -> Float[Tensor, "B samples"]:
        """The waveform of codes, 320 samples a frame; the generator draws the phases from which Griffin-Lim begins."""
        return self.vocode(self.decoder(self.quantizer.decode(codes)), generator)

    def vocode(
        self, log_magnitudes: Float[Tensor, "B bins T"], generator: torch.Generator | None = None
    ) -> Float[Tensor, "B samples"]:
        """A waveform of log magnitudes."""
        magnitude = log_magnitudes.exp()
        shape, hop = _window(self.config.n_fft, magnitude.dtype), self.config.hop_length
        magnitude = torch.where(magnitude <= FLOOR * 1.05, 0.0, magnitude)
        around = torch.cat([magnitude, magnitude[..., -1:]], dim=-1)  # a frame stands at each end of every hop
        length = magnitude.shape[-1] * hop
        return griffin_lim(around, shape, hop, length, GRIFFIN_LIM_ROUNDS, generator=generator)

    def bit_rate_bps(self, num_codebooks: int) -> float:
        """Bits a second of so many codebooks' codes, sent as they are."""
        return bit_rate_bps(num_codebooks, self.config.codebook_size, self.config.frames_per_s)


@cache
def _window(n_fft: int, dtype: torch.dtype) -> Tensor:
    return window("hann", n_fft, dtype=dtype)
