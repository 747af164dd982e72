"""EnCodec: a causal encoder, a residual quantizer and a causal decoder, trained end to end."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from nimblelm.audio.codec.causal_conv import Stream
from nimblelm.audio.codec.residual_vq import Quantized, ResidualVQ, bit_rate_bps
from nimblelm.audio.codec.seanet import SEANetConfig, SEANetDecoder, SEANetEncoder
from nimblelm.audio.codec.seanet_names import folded, seanet_names
from nimblelm.nn.checkpoint import load_weights
from nimblelm.nn.weight_names import renamed

if TYPE_CHECKING:
    from transformers import EncodecModel


@dataclass(frozen=True)
class EnCodecConfig:
    """Shape of the codec; the defaults are the published 24 kHz model's (Defossez et al., 2022, arXiv:2210.13438)."""

    seanet: SEANetConfig = field(default_factory=SEANetConfig)
    num_codebooks: int = 32
    codebook_size: int = 1024
    sample_rate_hz: int = 24_000

    @property
    def frames_per_s(self) -> float:
        """75 by default: the rate of codes, not of samples."""
        return self.sample_rate_hz / self.seanet.hop_length


class EnCodec(nn.Module):
    """Waveform to codes and back, whole or chunk by chunk.

    x_hat = decoder(q(encoder(x)))    (Defossez et al., 2022, section 3; SoundStream before, Zeghidour et al., 2021)

    The twin is `transformers.EncodecModel`; `from_encodec` loads its weights.

    Args:
        config: the shape.

    Chapter: book/ch19_audio_codecs
    """

    config_class = EnCodecConfig

    def __init__(self, config: EnCodecConfig):
        super().__init__()
        self.config = config
        self.encoder = SEANetEncoder(config.seanet)
        self.quantizer = ResidualVQ(config.num_codebooks, config.codebook_size, config.seanet.d_latent)
        self.decoder = SEANetDecoder(config.seanet)

    def forward(
        self, waveform: Float[Tensor, "B C samples"], num_codebooks: int | None = None
    ) -> tuple[Float[Tensor, "B C samples"], Quantized]:
        """What training wants: the waveform again, and what the quantizer did."""
        quantized = self.quantizer(self.encoder(waveform), num_codebooks)
        return self.decoder(quantized.latents)[..., : waveform.shape[-1]], quantized

    @torch.inference_mode()
    def encode(
        self, waveform: Float[Tensor, "B C samples"], num_codebooks: int | None = None, stream: Stream | None = None
    ) -> Int[Tensor, "B K T"]:
        """Codes, a frame for each `hop_length` samples begun.

        Args:
            waveform: at the model's sample rate, within -1 and 1.
            num_codebooks: how many codebooks, hence the bit rate; all without.
            stream: of the chunks before; a chunk holds whole frames.

        Raises:
            ValueError: other channels than the model's, no samples, more codebooks than there are, or in a stream a
                chunk that is not whole frames.
        """
        channels = self.config.seanet.channels
        if waveform.shape[1] != channels or not waveform.shape[-1]:
            raise ValueError(f"a waveform of shape {tuple(waveform.shape)}: {channels} channel(s), 1 sample or more")
        return self.quantizer.encode(self.encoder(waveform, stream), num_codebooks)

    @torch.inference_mode()
    def decode(self, codes: Int[Tensor, "B K T"], stream: Stream | None = None) -> Float[Tensor, "B C samples"]:
        """The waveform of codes, as many books as there are rows.

        Raises:
            ValueError: more rows than codebooks, or a code out of range.
        """
        return self.decoder(self.quantizer.decode(codes), stream)

    def bit_rate_bps(self, num_codebooks: int) -> float:
        """Bits a second of so many codebooks' codes, sent as they are."""
        return bit_rate_bps(num_codebooks, self.config.codebook_size, self.config.frames_per_s)


def from_encodec(twin: "EncodecModel") -> EnCodec:
    """The same codec as a `transformers.EncodecModel`, in its dtype and evaluation mode.

    Raises:
        ValueError: it is not the causal form of 24 kHz: group norms, normalised chunks, or outputs trimmed on the left.
    """
    theirs: Any = twin.config
    if theirs.norm_type != "weight_norm" or not theirs.use_causal_conv or theirs.trim_right_ratio != 1.0:
        raise ValueError(
            f"norm_type {theirs.norm_type!r} must be 'weight_norm', use_causal_conv {theirs.use_causal_conv} True, "
            f"trim_right_ratio {theirs.trim_right_ratio} 1.0"
        )
    if theirs.normalize or theirs.chunk_length_s is not None:
        raise ValueError(f"normalize {theirs.normalize} must be False, chunk_length_s {theirs.chunk_length_s} None")
    seanet = seanet_config(theirs, num_lstm_layers=theirs.num_lstm_layers)
    config = EnCodecConfig(seanet, theirs.num_quantizers, theirs.codebook_size, theirs.sampling_rate)
    model = EnCodec(config).to(next(twin.parameters()).dtype)
    rules = seanet_names(model) | {
        "quantizer.layers.{}.codebook.embed": "quantizer.codebooks.{}.vectors",
        **{f"quantizer.layers.{{}}.codebook.{part}": "" for part in ("inited", "cluster_size", "embed_avg")},
    }
    load_weights(model, renamed(folded(twin.state_dict()), rules))
    return model.eval()


def seanet_config(theirs: Any, num_lstm_layers: int) -> SEANetConfig:
    """The shape of a SEANet from a configuration of transformers."""
    return SEANetConfig(
        channels=theirs.audio_channels,
        num_filters=theirs.num_filters,
        strides=tuple(theirs.upsampling_ratios),
        d_latent=theirs.hidden_size,
        num_residual=theirs.num_residual_layers,
        kernel_size=theirs.kernel_size,
        last_kernel_size=theirs.last_kernel_size,
        residual_kernel_size=theirs.residual_kernel_size,
        dilation_growth=theirs.dilation_growth_rate,
        compress=theirs.compress,
        num_lstm_layers=num_lstm_layers,
        conv_shortcut=theirs.use_conv_shortcut,
        pad_mode=theirs.pad_mode,
    )
