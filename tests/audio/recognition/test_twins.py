"""wav2vec 2.0, its conformer and Whisper agree with transformers', every parameter and buffer perturbed."""

import pytest
import torch
from safetensors.torch import load_file
from transformers import (
    GenerationConfig,
    Wav2Vec2ConformerForCTC,
    Wav2Vec2ForCTC,
    WhisperForConditionalGeneration,
)
from transformers import Wav2Vec2Config as TheirWav2Vec2
from transformers import Wav2Vec2ConformerConfig as TheirConformer
from transformers import WhisperConfig as TheirWhisper
from transformers.generation.logits_process import WhisperTimeStampLogitsProcessor

from nimblelm.audio.recognition import wav2vec2, wav2vec2_conformer, whisper
from nimblelm.audio.recognition.whisper_decoding import Segment, SpecialTokens, segments, timestamp_rules
from nimblelm.inference.decoding.cross_cache import CachedDecoder
from nimblelm.nn.checkpoint import load_weights
from nimblelm.nn.weight_names import renamed

SHAPES = [(12, 2, 1, "group", 5), (18, 3, 2, "layer", 8), (28, 7, 3, "group", 3)]  # width, heads, layers, norm, kernel


def perturbed(model):
    """Every parameter and saved buffer, so that parity says something; variances stay positive."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in (x for x in model.state_dict().values() if x.is_floating_point()):
            tensor.add_(0.1 * torch.randn(tensor.shape, generator=generator).to(tensor).abs())
    return model.double().eval()


def waveforms(seed: int = 2) -> torch.Tensor:
    return torch.randn(2, 331, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def shape(width: int, heads: int, layers: int, norm: str, kernel: int) -> dict:
    return {
        "hidden_size": width,
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "intermediate_size": 13,
        "conv_dim": [6, 10, 7],
        "conv_kernel": [9, 3, 2],
        "conv_stride": [5, 3, 2],
        "conv_bias": norm == "layer",
        "feat_extract_norm": norm,
        "num_feat_extract_layers": 3,
        "num_conv_pos_embeddings": kernel,
        "num_conv_pos_embedding_groups": 2,
        "vocab_size": 11,
        "layer_norm_eps": 1e-3,
        "do_stable_layer_norm": False,
    }


@pytest.mark.parametrize("sizes", SHAPES)
@torch.no_grad()
def test_wav2vec2_agrees_with_the_twin_and_reads_its_file(sizes, tmp_path):
    torch.manual_seed(0)
    twin = perturbed(Wav2Vec2ForCTC(TheirWav2Vec2(**shape(*sizes))))
    want = twin(waveforms()).logits
    ours = wav2vec2.from_wav2vec2(twin)
    torch.testing.assert_close(ours(waveforms()), want, atol=1e-10, rtol=1e-10)
    twin.save_pretrained(tmp_path)
    again = wav2vec2.Wav2Vec2(ours.config).double().eval()
    load_weights(again, renamed(load_file(tmp_path / "model.safetensors"), wav2vec2.WEIGHT_NAMES))
    torch.testing.assert_close(again(waveforms()), want, atol=1e-10, rtol=1e-10)
    torch.testing.assert_close(ours.float()(waveforms().float()), want.float(), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("sizes", SHAPES)
@pytest.mark.parametrize("positions", ["relative", None])
@torch.no_grad()
def test_the_conformer_agrees_with_the_twin_and_reads_its_file(sizes, positions, tmp_path):
    torch.manual_seed(0)
    config = TheirConformer(
        **shape(*sizes), position_embeddings_type=positions, hidden_act="swish", conv_depthwise_kernel_size=7
    )  # fmt: skip
    twin = perturbed(Wav2Vec2ConformerForCTC(config))
    want = twin(waveforms()).logits
    ours = wav2vec2_conformer.from_wav2vec2_conformer(twin)
    torch.testing.assert_close(ours(waveforms()), want, atol=1e-5, rtol=1e-5)  # the twin's positions are float32
    twin.save_pretrained(tmp_path)
    again = wav2vec2_conformer.Wav2Vec2Conformer(ours.config).double().eval()
    load_weights(again, renamed(load_file(tmp_path / "model.safetensors"), wav2vec2_conformer.WEIGHT_NAMES))
    torch.testing.assert_close(again(waveforms()), ours(waveforms()), atol=1e-10, rtol=1e-10)


def whisper_twin(width: int = 12, heads: int = 2, layers: int = 1, decoder_layers: int = 2):
    torch.manual_seed(0)
    config = TheirWhisper(
        vocab_size=61, num_mel_bins=9, d_model=width, encoder_layers=layers, decoder_layers=decoder_layers,
        encoder_attention_heads=heads, decoder_attention_heads=heads, encoder_ffn_dim=17, decoder_ffn_dim=17,
        max_source_positions=23, max_target_positions=29, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        decoder_start_token_id=3,
    )  # fmt: skip
    return perturbed(WhisperForConditionalGeneration(config))


def heard(twin) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    mel = torch.randn(2, 9, 46, generator=generator, dtype=torch.float64)
    return mel, torch.randint(61, (2, 13), generator=generator)


@pytest.mark.parametrize("sizes", [(12, 2, 1, 2), (18, 3, 2, 1), (14, 1, 3, 3)])
@torch.no_grad()
def test_whisper_agrees_with_the_twin_and_reads_its_file(sizes, tmp_path):
    twin = whisper_twin(*sizes)
    mel, tokens = heard(twin)
    want = twin(mel, decoder_input_ids=tokens).logits
    ours = whisper.from_whisper(twin)
    torch.testing.assert_close(ours(mel, tokens), want, atol=1e-10, rtol=1e-10)
    twin.save_pretrained(tmp_path)
    again = whisper.Whisper(ours.config).double().eval()
    load_weights(again, renamed(load_file(tmp_path / "model.safetensors"), whisper.WEIGHT_NAMES))
    torch.testing.assert_close(again(mel, tokens), want, atol=1e-10, rtol=1e-10)
    with pytest.raises(ValueError, match="46 frames"):
        ours(mel[..., :40], tokens)


@torch.no_grad()
def test_whisper_decodes_token_by_token_with_caches():
    ours = whisper.from_whisper(whisper_twin())
    mel, tokens = heard(None)
    want = ours(mel[:1], tokens[:1])[0]
    cached = CachedDecoder(ours, ours.encode(mel[:1]), 13)
    for start, end in ((0, 4), (4, 5), (5, 13)):
        torch.testing.assert_close(cached(tokens[0, start:end], start), want[start:end], atol=1e-10, rtol=1e-10)


SPECIAL = SpecialTokens(end=8, start=9, first_language=10, translate=13, transcribe=14, no_timestamps=16)


@pytest.mark.parametrize("seed", range(40))
def test_the_grammar_of_times_is_the_twins(seed):
    generator = torch.Generator().manual_seed(seed)
    theirs = GenerationConfig(no_timestamps_token_id=16, eos_token_id=8, max_initial_timestamp_index=4)
    rules = WhisperTimeStampLogitsProcessor(theirs, begin_index=3)  # pyright: ignore[reportArgumentType]
    prompt, written = SPECIAL.prompt(1), []
    assert prompt == [9, 11, 14]
    for _ in range(12):
        logits = 3 * torch.randn(40, generator=generator)
        got = timestamp_rules(logits, written, SPECIAL, max_initial=4)
        want = rules(torch.tensor([prompt + written]), logits[None])[0]  # pyright: ignore[reportArgumentType]
        assert torch.equal(got, want)
        if not torch.isfinite(got).any():
            break
        written.append(int(got.argmax()))


def test_segments_have_a_start_and_an_end():
    times = [SPECIAL.first_timestamp + k for k in (0, 50, 60)]
    assert segments([times[0], 3, 4, times[1], times[2], 5, 8], SPECIAL) == [Segment(0.0, 1.0, [3, 4])]
    with pytest.raises(ValueError, match="language 3"):
        SPECIAL.prompt(3)
    with pytest.raises(ValueError, match="10 logits"):
        timestamp_rules(torch.zeros(10), [], SPECIAL)
