"""How the functions of `nimblelm.audio.codec` and `nimblelm.audio.dtw` are called with tensors."""

import torch
from torch import Tensor, nn

from nimblelm.audio import dtw
from nimblelm.audio.codec import losses, metrics, seanet_names
from nimblelm.audio.codec.arithmetic_coding import cumulative_frequencies
from nimblelm.audio.codec.balancer import Balancer
from nimblelm.audio.codec.bottleneck_transformer import BottleneckBlock, BottleneckConfig, BottleneckTransformer
from nimblelm.audio.codec.causal_conv import CausalConv1d, CausalConvTranspose1d, padded
from nimblelm.audio.codec.code_model import CodeModel, CodeModelConfig, entropy_encode
from nimblelm.audio.codec.discriminator import DiscriminatorConfig, Judged, MultiScaleSTFTDiscriminator
from nimblelm.audio.codec.encodec import EnCodec, EnCodecConfig
from nimblelm.audio.codec.mimi import Mimi, MimiConfig, ProjectedVQ, SplitVQ, divided
from nimblelm.audio.codec.residual_vq import ResidualVQ
from nimblelm.audio.codec.seanet import Chain, ResidualUnit, SEANetConfig, StreamedLSTM
from nimblelm.audio.codec.spectrogram_codec import ResidualConv, SpectrogramCodec, SpectrogramCodecConfig
from nimblelm.nn.positions import rotary_table
from tests.tensor_variants import Arguments, Case, Exempt
from tests.variants.nn import module

FLOAT32 = (torch.float32,)
SEANET = SEANetConfig(num_filters=2, strides=(4, 2), d_latent=4, num_lstm_layers=1, pad_mode="constant")
WIDTHS = BottleneckConfig(8, 1, 2, 2, 4, 12, window=3)
MIMI_SHAPE = MimiConfig(
    SEANetConfig(num_filters=2, strides=(4, 2), d_latent=8, num_lstm_layers=0), WIDTHS, 4, 3, 1, 8, 8
)
CODEC = SpectrogramCodecConfig(8, 64, 16, 8, 8, 4, 2, 8)


def random(scale: float = 1.0, **shapes: tuple[int, ...]) -> Arguments:
    generator = torch.Generator().manual_seed(3)
    return {name: scale * torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def codes(*shape: int, size: int = 8) -> Arguments:
    return {"codes": torch.randint(size, shape, generator=torch.Generator().manual_seed(4))}


def chunks(kind, x: Tensor) -> list[Tensor]:
    """The whole, and two chunks of a stream."""
    layer, stream = kind(x.dtype), {}
    return [layer(x), layer(x[..., :8], stream), layer(x[..., 8:], stream)]


def streamed(kind, *shape: int, tolerance: float = 8) -> Case:
    return Case(lambda x: chunks(kind, x), lambda: random(x=shape), tolerance=tolerance)


def judged(logits: Tensor, features: Tensor) -> list[Judged]:
    return [Judged(logits, [features])]


def backpropagated(x: Tensor) -> list[Tensor]:
    weight = torch.ones(3, dtype=x.dtype, requires_grad=True)
    output = x * weight
    told = Balancer({"a": 1.0, "b": 2.0}).backward({"a": output.square().sum(), "b": output.abs().sum()}, output)
    assert weight.grad is not None
    return [weight.grad, torch.tensor(list(told.values()))]


CONV = module(lambda: CausalConv1d(4, 6, 4, 2))
TRANSPOSED = module(lambda: CausalConvTranspose1d(4, 2, 4, 2))
UNIT, LSTM = module(ResidualUnit, 4, 1, SEANET), module(StreamedLSTM, 4, 1)
CHAIN = module(lambda: Chain([nn.ELU(), CausalConv1d(4, 4, 3)]))
BLOCK, TRANSFORMER = module(BottleneckBlock, WIDTHS), module(BottleneckTransformer, WIDTHS)
ENCODEC, MIMI = module(EnCodec, EnCodecConfig(SEANET, 2, 8, 16_000)), module(Mimi, MIMI_SHAPE)
VQ, PROJECTED, SPLIT = module(ResidualVQ, 3, 8, 4), module(ProjectedVQ, 8, 4, 2, 8), module(SplitVQ, MIMI_SHAPE)
JUDGES, SPECTROGRAM = (
    module(MultiScaleSTFTDiscriminator, DiscriminatorConfig((64,), 2)),
    module(SpectrogramCodec, CODEC),
)
RESIDUAL, CODES = module(ResidualConv, 4), module(CodeModel, CodeModelConfig(2, 8, 4))


def causal_block(x: Tensor) -> Tensor:
    from nimblelm.nn.attend import causal

    return BLOCK(x.dtype)(x, causal, rotary_table(x.shape[1], 4))


def verdict(of, waveform: Tensor) -> list[Tensor]:
    found = of(waveform)
    return [one.logits for one in (found if isinstance(found, list) else [found])]


def of_wave(function, shape: tuple[int, ...] = (2, 640), tolerance: float = 40) -> Case:
    return Case(
        lambda waveform: function(waveform), lambda: random(0.3, waveform=shape), None, FLOAT32, tolerance=tolerance
    )


def compared(metric, *shape: int, tolerance: float = 50) -> Case:
    return Case(metric, lambda: random(0.3, x=shape, decoded=shape), dtypes=FLOAT32, tolerance=tolerance)


def hinge(loss) -> Case:
    return Case(
        lambda logits, features, other: loss(judged(logits, features), judged(-logits, other)),
        lambda: random(logits=(2, 1, 3, 3), features=(2, 5), other=(2, 5)),
        tolerance=8,
    )


CASES: dict[str, Case | Exempt] = {
    "audio.codec.arithmetic_coding.cumulative_frequencies": Case(
        lambda probs: torch.tensor(cumulative_frequencies(probs)),
        lambda: {"probs": random(probs=(9,))["probs"].softmax(-1)},
        fixed=frozenset({"probs"}),
    ),
    "audio.codec.balancer.Balancer.backward": Case(backpropagated, lambda: random(x=(4, 3)), tolerance=8),
    "audio.codec.bottleneck_transformer.BottleneckBlock.forward": Case(
        causal_block, lambda: random(x=(2, 5, 8)), dtypes=FLOAT32, tolerance=8
    ),
    "audio.codec.bottleneck_transformer.BottleneckTransformer.forward": Case(
        lambda x: chunks(TRANSFORMER, x), lambda: random(x=(2, 8, 12)), dtypes=FLOAT32, tolerance=8
    ),
    "audio.codec.causal_conv.CausalConv1d.forward": streamed(CONV, 2, 4, 14),
    "audio.codec.causal_conv.CausalConvTranspose1d.forward": streamed(TRANSPOSED, 2, 4, 14),
    "audio.codec.causal_conv.padded": Case(
        lambda x: [padded(x, 2, 1, mode) for mode in ("constant", "reflect", "replicate")], lambda: random(x=(2, 3, 5))
    ),
    "audio.codec.code_model.CodeModel.forward": Case(lambda codes: CODES(torch.float32)(codes), lambda: codes(2, 2, 6)),
    "audio.codec.code_model.entropy_encode": Case(
        lambda codes: torch.tensor(entropy_encode(CODES(torch.float32), codes)), lambda: codes(2, 6)
    ),
    "audio.codec.discriminator.STFTDiscriminator.forward": of_wave(
        lambda x: verdict(JUDGES(x.dtype).scales[0], x), (2, 200)
    ),
    "audio.codec.discriminator.MultiScaleSTFTDiscriminator.forward": of_wave(
        lambda x: verdict(JUDGES(x.dtype), x), (2, 200)
    ),
    "audio.codec.encodec.EnCodec.forward": Case(
        lambda x: ENCODEC(x.dtype)(x)[0].shape[-1:] == (40,), lambda: random(x=(2, 1, 40)), dtypes=FLOAT32
    ),
    "audio.codec.encodec.EnCodec.encode": Case(  # rounding decides between codes that are as near
        lambda x: ENCODEC(x.dtype).encode(x), lambda: random(x=(2, 1, 40)), dtypes=FLOAT32, own_dtype=frozenset({"x"})
    ),
    "audio.codec.encodec.EnCodec.decode": Case(
        lambda codes: ENCODEC(torch.float32).decode(codes), lambda: codes(2, 2, 5)
    ),
    "audio.codec.losses.time_loss": compared(losses.time_loss, 2, 60, tolerance=4),
    "audio.codec.losses.mel_loss": compared(lambda x, decoded: losses.mel_loss(x, decoded, (64, 128), 8), 2, 600),
    "audio.codec.losses.adversarial_loss": Case(
        lambda logits, features: losses.adversarial_loss(judged(logits, features)),
        lambda: random(logits=(2, 1, 3, 3), features=(2, 5)),
        tolerance=4,
    ),
    "audio.codec.losses.discriminator_loss": hinge(losses.discriminator_loss),
    "audio.codec.losses.feature_loss": hinge(losses.feature_loss),
    "audio.codec.metrics.si_snr_db": Case(
        metrics.si_snr_db,
        lambda: random(0.3, x=(2, 1_100), decoded=(2, 1_100)),
        dtypes=FLOAT32,
        fixed=frozenset({"x", "decoded"}),  # expanded they would be silence
    ),
    "audio.codec.metrics.mel_distance": compared(metrics.mel_distance, 2, 1_100),
    "audio.codec.mimi.ProjectedVQ.encode": Case(
        lambda x: PROJECTED(x.dtype).encode(x), lambda: random(x=(2, 8, 5)), dtypes=FLOAT32
    ),
    "audio.codec.mimi.ProjectedVQ.decode": Case(
        lambda codes: PROJECTED(torch.float32).decode(codes), lambda: codes(2, 2, 5)
    ),
    "audio.codec.mimi.SplitVQ.encode": Case(
        lambda x: SPLIT(x.dtype).encode(x), lambda: random(x=(2, 8, 5)), dtypes=FLOAT32
    ),
    "audio.codec.mimi.SplitVQ.decode": Case(lambda codes: SPLIT(torch.float32).decode(codes), lambda: codes(2, 3, 5)),
    "audio.codec.mimi.Mimi.latents": Case(
        lambda x: MIMI(x.dtype).latents(x), lambda: random(x=(2, 1, 64)), dtypes=FLOAT32, tolerance=8
    ),
    "audio.codec.mimi.Mimi.encode": Case(
        lambda x: MIMI(x.dtype).encode(x), lambda: random(x=(2, 1, 64)), dtypes=FLOAT32
    ),
    "audio.codec.mimi.Mimi.decode": Case(lambda codes: MIMI(torch.float32).decode(codes), lambda: codes(2, 3, 5)),
    "audio.codec.mimi.divided": Case(
        lambda total, count: list(divided({"a.codebook.embed_sum": total, "a.codebook.cluster_usage": count}).values()),
        lambda: random(total=(4, 3)) | {"count": torch.tensor([1.0, 2.0, 0.5, 3.0])},
        tolerance=4,
    ),
    "audio.codec.residual_vq.ResidualVQ.forward": Case(
        lambda x: VQ(x.dtype)(x), lambda: random(x=(2, 4, 5)), dtypes=FLOAT32, tolerance=4
    ),
    "audio.codec.residual_vq.ResidualVQ.encode": Case(
        lambda x: VQ(x.dtype).encode(x), lambda: random(x=(2, 4, 5)), dtypes=FLOAT32
    ),
    "audio.codec.residual_vq.ResidualVQ.decode": Case(
        lambda codes: VQ(torch.float32).decode(codes), lambda: codes(2, 3, 5)
    ),
    "audio.codec.seanet.ResidualUnit.forward": streamed(UNIT, 2, 4, 14),
    "audio.codec.seanet.StreamedLSTM.forward": streamed(LSTM, 2, 4, 14),
    "audio.codec.seanet.Chain.forward": streamed(CHAIN, 2, 4, 14),
    "audio.codec.seanet_names.folded": Case(
        lambda gain, direction: list(seanet_names.folded({"a.weight_g": gain, "a.weight_v": direction}).values()),
        lambda: random(gain=(4, 1, 1), direction=(4, 3, 5)),
        tolerance=8,
    ),
    "audio.codec.spectrogram_codec.ResidualConv.forward": Case(
        lambda x: RESIDUAL(x.dtype)(x), lambda: random(x=(2, 4, 6)), tolerance=4
    ),
    "audio.codec.spectrogram_codec.SpectrogramCodec.forward": Case(
        lambda x: SPECTROGRAM(x.dtype)(x)[1].codes, lambda: random(x=(2, 8, 6)), dtypes=FLOAT32
    ),
    "audio.codec.spectrogram_codec.SpectrogramCodec.features": of_wave(lambda x: SPECTROGRAM(x.dtype).features(x)),
    "audio.codec.spectrogram_codec.SpectrogramCodec.log_magnitudes": of_wave(
        lambda x: SPECTROGRAM(x.dtype).log_magnitudes(x)
    ),
    "audio.codec.spectrogram_codec.SpectrogramCodec.encode": of_wave(lambda x: SPECTROGRAM(x.dtype).encode(x)),
    "audio.codec.spectrogram_codec.SpectrogramCodec.decode": Case(
        lambda codes: SPECTROGRAM(torch.float32).decode(codes, torch.Generator().manual_seed(0)), lambda: codes(2, 2, 5)
    ),
    "audio.codec.spectrogram_codec.SpectrogramCodec.vocode": Exempt(
        "its phases are drawn, in the dtype that it is given"
    ),
    "audio.dtw.dtw_distances": Case(
        lambda query, other: dtw.dtw_distances(query, [other, query]),
        lambda: random(query=(7, 3), other=(5, 3)),
        dtypes=FLOAT32,
        tolerance=50,
    ),
    "audio.dtw.word_features": Case(
        dtw.word_features,
        lambda: random(0.3, waveform=(1_000,)),
        dtypes=FLOAT32,
        fixed=frozenset({"waveform"}),  # expanded it would be silence
    ),
    "audio.dtw.recognised": of_wave(
        lambda x: torch.tensor(dtw.recognised(x, [dtw.word_features(x), dtw.word_features(x.flip(-1))])), (1_000,)
    ),
}
