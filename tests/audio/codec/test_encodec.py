"""Our EnCodec against its twin, transformers' EncodecModel."""

import copy

import pytest
import torch
from safetensors.torch import load_file
from transformers import EncodecConfig as TheirConfig
from transformers import EncodecModel

from nimblelm.audio.codec.encodec import EnCodec, EnCodecConfig, from_encodec
from nimblelm.audio.codec.seanet import SEANetConfig
from nimblelm.audio.codec.seanet_names import folded, seanet_names
from nimblelm.nn.checkpoint import load, save
from nimblelm.nn.weight_names import renamed
from tests.language.perturbed import PRECISIONS, perturbed

SHAPES = [
    {},
    {"use_conv_shortcut": False, "num_residual_layers": 2, "upsampling_ratios": [20, 16], "pad_mode": "constant"},
    {"kernel_size": 5, "last_kernel_size": 3, "compress": 1, "upsampling_ratios": [10, 8, 3], "pad_mode": "replicate"}
    | {"audio_channels": 2, "num_lstm_layers": 1},
]


def twin_of(**changes) -> EncodecModel:
    torch.manual_seed(0)
    shape = {"num_filters": 4, "hidden_size": 12, "codebook_size": 16, "target_bandwidths": [1.5, 3.0, 6.0]}
    twin = perturbed(EncodecModel(TheirConfig(**shape | changes)), 0.3)
    with torch.no_grad():
        for name, buffer in twin.named_buffers():
            if name.endswith("embed"):  # a fresh codebook is all zeros, and its codes are all 0
                buffer.copy_(torch.randn(buffer.shape))
    return twin


def waveform(twin: EncodecModel, samples: int, batch: int = 2) -> torch.Tensor:
    shape = batch, twin.config.audio_channels, samples
    return torch.randn(shape, generator=torch.Generator().manual_seed(2), dtype=next(twin.parameters()).dtype)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@torch.no_grad()
def test_latents_codes_and_sound_agree_with_the_twin(shape, dtype, tolerance):
    twin = twin_of(**shape).to(dtype)
    model = from_encodec(twin)
    for samples in (1, 37, 3_333):
        x = waveform(twin, samples)
        torch.testing.assert_close(model.encoder(x), twin.encoder(x), atol=tolerance, rtol=tolerance)
        codes = twin.encode(x, bandwidth=6.0).audio_codes[0]
        assert torch.equal(model.encode(x), codes)
        decoded = twin.decode(codes[None], [None]).audio_values
        torch.testing.assert_close(model.decode(codes), decoded, atol=tolerance, rtol=tolerance)
    assert len(codes.unique()) == 16  # the codebooks are in use


def test_a_bandwidth_is_a_number_of_codebooks():
    twin = twin_of()
    model, x = from_encodec(twin), waveform(twin, 2_000)
    for kbit in (1.5, 3.0, 6.0):
        codes = twin.encode(x, bandwidth=kbit).audio_codes[0]
        assert model.bit_rate_bps(codes.shape[1]) == 1000 * kbit
        assert torch.equal(model.encode(x, codes.shape[1]), codes)


def test_gradients_agree_with_the_twin():
    twin = twin_of()
    model, x = from_encodec(copy.deepcopy(twin)), waveform(twin, 700)
    (1e6 * twin.decoder(twin.encoder(x))).square().sum().backward()
    (1e6 * model.decoder(model.encoder(x))).square().sum().backward()
    for part in ("encoder", "decoder"):
        theirs = getattr(twin, part).layers[0].conv
        ours = getattr(model, part)[0].conv
        torch.testing.assert_close(ours.bias.grad, theirs.bias.grad, atol=1e-6, rtol=1e-8)
        assert ours.bias.grad.abs().max() > 1


@torch.no_grad()
def test_weights_are_read_from_the_file_that_the_twin_saves(tmp_path):
    twin = twin_of()
    twin.save_pretrained(tmp_path)
    model, want = EnCodec(from_encodec(twin).config).double(), from_encodec(twin).state_dict()
    saved = {
        name: weight for name, weight in load_file(tmp_path / "model.safetensors").items() if "codebook" not in name
    }
    found = renamed(folded(saved), seanet_names(model))
    for name, weight in found.items():
        torch.testing.assert_close(weight, want[name], atol=0, rtol=1e-12)
    assert found.keys() == {name for name in want if "codebooks" not in name}


@torch.no_grad()
def test_streaming_equals_offline():
    for pad_mode in ("constant", "reflect", "replicate"):
        twin = twin_of(pad_mode=pad_mode)
        model = from_encodec(twin)
        hop = model.config.seanet.hop_length
        x = waveform(twin, 20 * hop, batch=1)
        offline, encoding, decoding = model.encode(x), {}, {}
        chunks = [model.encode(part, stream=encoding) for part in x.split([8 * hop, hop, 6 * hop, hop, 4 * hop], -1)]
        assert torch.equal(torch.cat(chunks, -1), offline)
        sounds = [model.decode(part, decoding) for part in offline.split([7, 1, 2, 10], -1)]
        torch.testing.assert_close(torch.cat(sounds, -1), model.decode(offline), atol=1e-12, rtol=1e-10)


@torch.no_grad()
def test_what_comes_later_changes_nothing_that_was_decoded():
    model = from_encodec(twin_of(pad_mode="constant"))
    hop = model.config.seanet.hop_length
    x = torch.randn(1, 1, 12 * hop, dtype=torch.float64)
    other = torch.cat([x[..., : 7 * hop], torch.randn(1, 1, 5 * hop, dtype=torch.float64)], dim=-1)
    first, second = model.encoder(x), model.encoder(other)
    torch.testing.assert_close(first[..., :7], second[..., :7], atol=1e-14, rtol=0)
    assert (first[..., 7:] != second[..., 7:]).any(1).all()


def test_a_checkpoint_is_read_as_it_was_written(tmp_path):
    config = EnCodecConfig(SEANetConfig(num_filters=2, strides=(4, 2), d_latent=4, num_lstm_layers=1), 2, 8, 16_000)
    model = EnCodec(config).eval()
    save(model, tmp_path / "codec.safetensors")
    again, x = load(EnCodec, tmp_path / "codec.safetensors"), torch.randn(1, 1, 100)
    assert again.config == config
    assert torch.equal(again.encode(x), model.encode(x))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"norm_type": "time_group_norm"}, "time_group_norm"),
        ({"normalize": True}, "normalize True"),
        ({"chunk_length_s": 1.0}, "chunk_length_s 1.0"),
        ({"trim_right_ratio": 0.5}, "trim_right_ratio 0.5"),
    ],
)
def test_another_form_than_the_causal_one_is_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        from_encodec(twin_of(**changes))


def test_bad_sounds_and_codes_are_refused():
    model = from_encodec(twin_of()).float()
    with pytest.raises(ValueError, match=r"1 channel"):
        model.encode(torch.zeros(1, 2, 640))
    with pytest.raises(ValueError, match=r"1 sample or more"):
        model.encode(torch.zeros(1, 1, 0))
    with pytest.raises(ValueError, match=r"chunk of 641 samples"):
        model.encode(torch.zeros(1, 1, 641), stream={})
    with pytest.raises(ValueError, match=r"21 codebooks of 20"):
        model.encode(torch.zeros(1, 1, 640), 21)
    with pytest.raises(ValueError, match=r"within 0 and 15"):
        model.decode(torch.full((1, 1, 4), 16))
