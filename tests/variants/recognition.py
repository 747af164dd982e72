"""How the functions of `nimblelm.audio.recognition` are called with tensors."""

from typing import Any

import torch
from torch import Tensor

from nimblelm.audio.recognition import (
    conformer,
    ctc,
    hmm,
    recogniser,
    vocabulary,
    wav2vec2,
    wav2vec2_conformer,
    whisper,
)
from nimblelm.audio.recognition.beam_search import BeamConfig, BeamState, advance, hypotheses, prefix_beam_search
from nimblelm.audio.recognition.rescoring import pseudo_log_prob
from nimblelm.audio.recognition.whisper_decoding import SpecialTokens, timestamp_rules
from nimblelm.nn.attend import full
from tests.tensor_variants import Arguments, Case, Exempt
from tests.variants.nn import module

FLOAT32 = (torch.float32,)
SHAPE: dict[str, Any] = {"d_model": 8, "num_layers": 1, "num_heads": 2, "d_ff": 12, "vocab_size": 6}
CONVS: dict[str, Any] = {"conv_widths": (4, 6), "conv_kernels": (5, 3), "conv_strides": (3, 2)}
WAV2VEC = wav2vec2.Wav2Vec2Config(**SHAPE, **CONVS, position_kernel=4, position_groups=2)
CONFORMER = wav2vec2_conformer.Wav2Vec2ConformerConfig(**SHAPE, **CONVS, kernel_size=3)
WHISPER = whisper.WhisperConfig(20, 8, 1, 1, 2, 12, 5, num_positions=7, max_seq_len=9)
SMALL = recogniser.RecogniserConfig(9, 16, 8, 1, 2, 12, 3)
SPECIAL = SpecialTokens(end=4, start=5, first_language=6, translate=7, transcribe=8, no_timestamps=9)


def random(scale: float = 1.0, **shapes: tuple[int, ...]) -> Arguments:
    generator = torch.Generator().manual_seed(3)
    return {name: scale * torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def frames(*shape: int) -> Arguments:
    return {"log_probs": random(x=shape)["x"].log_softmax(-1)}


def of_log_probs(function, *shape: int) -> Case:
    return Case(function, lambda: frames(*shape), dtypes=FLOAT32, fixed=frozenset({"log_probs"}), tolerance=40)


def evaluated(kind, *shape):
    made = module(kind, *shape)
    return lambda dtype: made(dtype).eval()


def streamed(log_probs: Tensor) -> Tensor:
    state = BeamState()
    advance(state, log_probs[:4], BeamConfig(4))
    advance(state, log_probs[4:], BeamConfig(4))
    return torch.tensor([one.acoustic for one in hypotheses(state, BeamConfig(4))])


def spans(log_probs: Tensor) -> Tensor:
    return torch.tensor(ctc.ctc_align(log_probs, [1, 2]))


def decoded(log_probs: Tensor) -> Tensor:
    return torch.tensor([one.acoustic for one in prefix_beam_search(log_probs, BeamConfig(4))])


def aligned(start: Tensor, transition: Tensor, emission: Tensor) -> list[Tensor]:
    path, score = hmm.viterbi(start, transition, emission)
    return [torch.tensor(path), torch.tensor(score)]


def fitted(first: Tensor, second: Tensor) -> list[Tensor]:
    return [*hmm.fitted([first, second], 2, 1)]


def density(features: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    return hmm.log_density(features, hmm.Gaussians(mean, variance))


def found(features: Tensor) -> Tensor:
    states = hmm.Gaussians(torch.tensor([[[-3.0], [3.0]], [[3.0], [-3.0]]]), torch.ones(2, 2, 1))
    silence = hmm.Gaussians(torch.zeros(1, 1), torch.full((1, 1), 0.1))
    recognise = hmm.HMMRecogniser(states, silence, lambda labels: [-1.0, -1.0, -1.0])
    return torch.tensor(recognise(features.float()))


def words() -> Arguments:
    return {"features": torch.tensor([0.0, 0, -3, -3, 3, 3, 0, 0, 3, 3, -3, -3, 0])[:, None]}


def above(x: Arguments) -> Arguments:
    return x | {"variance": x["variance"].abs() + 0.5}


BLOCK, MODULE = evaluated(conformer.ConformerBlock, 8, 2, 12, 3), evaluated(conformer.ConvolutionModule, 8, 3)
PLACES, ENCODER = evaluated(conformer.RelativePositions, 8, 2), evaluated(wav2vec2.WaveformEncoder, WAV2VEC)
POST, WAVE = evaluated(wav2vec2.PostNormBlock, WAV2VEC), evaluated(wav2vec2.Wav2Vec2, WAV2VEC)
WAVE_CONFORMER, HEARING = (
    evaluated(wav2vec2_conformer.Wav2Vec2Conformer, CONFORMER),
    evaluated(recogniser.Recogniser, SMALL),
)
WHISPERED, LAYER = evaluated(whisper.Whisper, WHISPER), evaluated(whisper.Block, WHISPER, False)
TOKENS = {"tokens": torch.tensor([[3, 5, 2]])}


def related(x: Tensor) -> Tensor:
    return BLOCK(x.dtype)(x, PLACES(x.dtype).attend())


def mel_of() -> Arguments:
    return random(log_mel=(1, 5, 14)) | TOKENS


def network(function, *shape: int, name: str = "x", tolerance: float = 12) -> Case:
    return Case(function, lambda: {name: random(x=shape)["x"]}, dtypes=FLOAT32, tolerance=tolerance)


R = "audio.recognition."
CASES: dict[str, Case | Exempt] = {
    R + "beam_search.advance": of_log_probs(streamed, 9, 4),
    R + "beam_search.prefix_beam_search": of_log_probs(decoded, 9, 4),
    R + "conformer.ConvolutionModule.forward": network(lambda x: MODULE(x.dtype)(x), 2, 7, 8),
    R + "conformer.ConformerBlock.forward": network(lambda x: BLOCK(x.dtype)(x, full), 2, 7, 8),
    R + "conformer.RelativePositions.attend": network(related, 2, 7, 8),
    R + "ctc.best_path": of_log_probs(lambda log_probs: torch.tensor(ctc.best_path(log_probs)), 9, 4),
    R + "ctc.ctc_trellis": of_log_probs(lambda log_probs: [*ctc.ctc_trellis(log_probs, [1, 2, 2])[:2]], 9, 4),
    R + "ctc.ctc_loss": of_log_probs(lambda log_probs: torch.tensor(ctc.ctc_loss(log_probs, [1, 2])), 9, 4),
    R + "ctc.ctc_gradient": of_log_probs(lambda log_probs: ctc.ctc_gradient(log_probs, [1, 2, 2]), 9, 4),
    R + "ctc.ctc_align": of_log_probs(spans, 9, 4),
    R + "ctc.check_log_probs": of_log_probs(lambda log_probs: ctc.check_log_probs(log_probs, [1], 0) is None, 9, 4),
    R + "hmm.viterbi": Case(
        aligned, lambda: random(start=(3,), transition=(3, 3), emission=(6, 3)), dtypes=FLOAT32, tolerance=12
    ),
    R + "hmm.log_density": Case(
        density, lambda: above(random(features=(5, 3), mean=(4, 3), variance=(4, 3))), dtypes=FLOAT32, tolerance=40
    ),
    R + "hmm.fitted": Case(fitted, lambda: random(first=(7, 3), second=(6, 3)), dtypes=FLOAT32, tolerance=12),
    R + "hmm.HMMRecogniser.__init__": Exempt("keeps the states of words that `fitted` made"),
    R + "hmm.HMMRecogniser.__call__": Case(found, words, dtypes=FLOAT32, fixed=frozenset({"features"})),
    R + "recogniser.Recogniser.forward": network(
        lambda features: HEARING(features.dtype)(features), 2, 16, 21, name="features"
    ),
    R + "recogniser.Recogniser.log_probs": Exempt("`recogniser_features` and `forward`, one after the other"),
    R + "recogniser.num_outputs": Case(recogniser.num_outputs, lambda: {"num_frames": torch.tensor([1, 4, 5])}),
    R + "recogniser.recogniser_features": network(
        lambda waveform: recogniser.recogniser_features(waveform), 700, name="waveform", tolerance=200
    ),
    R + "recogniser.normalised": network(recogniser.normalised, 5, 9, name="log_mel"),
    R + "rescoring.pseudo_log_prob": Case(
        lambda tokens: torch.tensor(pseudo_log_prob(lambda t: torch.eye(9)[t], tokens, 4)),
        lambda: {"tokens": torch.tensor([2, 7, 5])},
    ),
    R + "vocabulary.restricted": Case(
        lambda log_probs: vocabulary.restricted(log_probs, ["two", "a"]),
        lambda: frames(3, len(vocabulary.VOCABULARY)),
        dtypes=FLOAT32,
    ),
    R + "wav2vec2.WaveformEncoder.forward": network(
        lambda waveform: ENCODER(waveform.dtype)(waveform), 2, 90, name="waveform", tolerance=40
    ),
    R + "wav2vec2.PostNormBlock.forward": network(lambda x: POST(x.dtype)(x), 2, 7, 8),
    R + "wav2vec2.Wav2Vec2.forward": network(
        lambda waveform: WAVE(waveform.dtype)(waveform), 2, 90, name="waveform", tolerance=40
    ),
    R + "wav2vec2.Wav2Vec2.states": network(
        lambda waveform: WAVE(waveform.dtype).states(waveform), 2, 90, name="waveform", tolerance=40
    ),
    R + "wav2vec2_conformer.Wav2Vec2Conformer.forward": network(
        lambda waveform: WAVE_CONFORMER(waveform.dtype)(waveform), 2, 90, name="waveform", tolerance=40
    ),
    R + "whisper.Block.forward": network(lambda x: LAYER(x.dtype)(x, full), 2, 7, 8),
    R + "whisper.Whisper.forward": Case(
        lambda log_mel, tokens: WHISPERED(log_mel.dtype)(log_mel, tokens), mel_of, dtypes=FLOAT32, tolerance=12
    ),
    R + "whisper.Whisper.encode": network(
        lambda log_mel: WHISPERED(log_mel.dtype).encode(log_mel), 1, 5, 14, name="log_mel"
    ),
    R + "whisper.Whisper.decode": Case(
        lambda encoded, tokens: WHISPERED(encoded.dtype).decode(tokens, encoded),
        lambda: random(encoded=(1, 7, 8)) | TOKENS,
        dtypes=FLOAT32,
        tolerance=12,
    ),
    R + "whisper.Whisper.cross_attend": Exempt("gives a function of `attend`, whatever the mask is"),
    R + "whisper.Whisper.head": network(lambda states: WHISPERED(states.dtype).head(states), 2, 3, 8, name="states"),
    R + "whisper_decoding.timestamp_rules": Case(
        lambda logits: timestamp_rules(logits, [10, 2], SPECIAL), lambda: random(logits=(14,)), dtypes=FLOAT32
    ),
}
