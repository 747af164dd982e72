"""Our Mimi against its twin, transformers' MimiModel."""

import pytest
import torch
from transformers import MimiConfig as TheirConfig
from transformers import MimiModel

from nimblelm.audio.codec.mimi import Mimi, MimiConfig, from_mimi
from tests.language.perturbed import perturbed

SHAPES = [
    {},
    {"num_semantic_quantizers": 2, "num_quantizers": 5, "vector_quantization_hidden_dimension": 24}
    | {"codebook_dim": 24, "num_key_value_heads": 1, "use_conv_shortcut": True, "num_residual_layers": 2},
    {"upsampling_ratios": [5, 3, 2], "head_dim": 10, "sampling_rate": 6_000},
]


def twin_of(**changes) -> MimiModel:
    torch.manual_seed(0)
    shape = {"num_filters": 4, "hidden_size": 24, "codebook_size": 16, "num_quantizers": 4, "codebook_dim": 8}
    shape |= {"vector_quantization_hidden_dimension": 8, "upsample_groups": 24, "num_hidden_layers": 2}
    shape |= {"intermediate_size": 20, "num_attention_heads": 2, "num_key_value_heads": 2, "sliding_window": 7}
    twin = perturbed(MimiModel(TheirConfig(**shape | changes)), 0.1)
    generator = torch.Generator().manual_seed(3)
    for name, buffer in twin.named_buffers():
        if name.endswith("embed_sum"):
            buffer.copy_(torch.randn(buffer.shape, generator=generator))
        if name.endswith("cluster_usage"):
            buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator))
    return twin


def waveform(samples: int, dtype=torch.float64) -> torch.Tensor:
    return torch.randn(2, 1, samples, generator=torch.Generator().manual_seed(2), dtype=dtype)


def close(ours: torch.Tensor, theirs: torch.Tensor, tolerance: float) -> None:
    """Relative to the largest: the angles of their rotary positions are in float32, whatever the model is in."""
    scale = theirs.abs().max()
    torch.testing.assert_close(ours / scale, theirs / scale, atol=tolerance, rtol=0)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 2e-7)])
@torch.no_grad()
def test_latents_codes_and_sound_agree_with_the_twin(shape, dtype, tolerance):
    twin = twin_of(**shape).to(dtype)
    model = from_mimi(twin)
    used = 0
    for samples in (1, 37, 15_000):
        x = waveform(samples, dtype)
        theirs = twin.downsample(twin.encoder_transformer(twin.encoder(x).mT)[0].mT)
        close(model.latents(x), theirs, tolerance)
        codes = twin.encode(x).audio_codes
        assert (model.encode(x) == codes).float().mean() > 0.99  # they measure distances in float32
        close(model.decode(codes), twin.decode(codes).audio_values, tolerance)
        used = max(used, len(codes.unique()))
    assert used > 8


@torch.no_grad()
def test_the_number_of_codebooks_is_free_but_for_the_semantic_one():
    twin = twin_of()
    model, x = from_mimi(twin), waveform(5_000)
    for count in (1, 2, 4):
        assert torch.equal(model.encode(x, count), twin.encode(x, num_quantizers=count).audio_codes)
    with pytest.raises(ValueError, match=r"1 are semantic"):
        model.encode(x, 0)


@torch.no_grad()
def test_the_semantic_book_reads_the_latents_and_not_what_others_left_over():
    model = from_mimi(twin_of())
    latents = torch.randn(1, 24, 9, dtype=torch.float64)
    assert torch.equal(model.quantizer.encode(latents)[:, 1:], model.quantizer.acoustic.encode(latents))


@torch.no_grad()
def test_streaming_equals_offline_beyond_the_window():
    model = from_mimi(twin_of())
    hop = model.config.hop_length
    x, encoding, decoding = waveform(20 * hop)[:1], {}, {}
    offline = model.encode(x)
    chunks = [model.encode(part, stream=encoding) for part in x.split([3 * hop, hop, 6 * hop, hop, 9 * hop], -1)]
    assert torch.equal(torch.cat(chunks, -1), offline)
    sounds = [model.decode(part, decoding) for part in offline.split([1, 7, 2, 10], -1)]
    close(torch.cat(sounds, -1), model.decode(offline), 1e-10)
    kept = [state for layer, state in encoding.items() if type(layer).__name__ == "BottleneckBlock"]
    assert all(keys.shape[1] == model.config.transformer.window - 1 for keys, _ in kept)  # no more than it sees


def test_the_published_shape_is_12_and_a_half_frames_and_1100_bits_a_second():
    config = MimiConfig()
    assert config.frames_per_s == 12.5
    with torch.device("meta"):
        model = Mimi(config)
    assert model.bit_rate_bps(8) == 1_100
    theirs = TheirConfig()
    assert (theirs.frame_rate, theirs.num_quantizers, theirs.codebook_size) == (12.5, 32, 2048)
    assert (config.seanet.strides, config.transformer.window) == (tuple(theirs.upsampling_ratios), 250)


@pytest.mark.parametrize("changes", [{"hidden_act": "relu"}, {"attention_bias": True}, {"trim_right_ratio": 0.5}])
def test_another_form_is_refused(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        from_mimi(twin_of(**changes))


def test_bad_sounds_are_refused():
    model = from_mimi(twin_of())
    with pytest.raises(ValueError, match=r"1 channel"):
        model.encode(torch.zeros(1, 2, 640, dtype=torch.float64))
    with pytest.raises(ValueError, match=r"chunk of 961 samples"):
        model.encode(torch.zeros(1, 1, 961, dtype=torch.float64), stream={})
