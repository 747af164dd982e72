"""Prefix beam search of CTC beside pyctcdecode's, where that is installed, at equal output.

Both search the same utterances without a language model, with one width and one limit for labels; that their best
transcripts are the same is asserted before anything is timed. pyctcdecode is no requirement of the course:
`pip install --no-deps pyctcdecode pygtrie`.
"""

import importlib
import importlib.util
import logging
import random

import torch
from report import Row, arguments, missing, report

from nimblelm.audio.recognition.beam_search import BeamConfig, BeamState, advance, prefix_beam_search
from nimblelm.audio.recognition.recogniser import FRAME_S, load_recogniser
from nimblelm.audio.recognition.vocabulary import LETTERS, VOCABULARY, restricted
from nimblelm.data.voices import clip
from nimblelm.data.voices.strings import joined
from nimblelm.measure.timing import interleaved_times, ratio_interval

WIDTH, LIMIT, UTTERANCES = 16, -6.0, 6
LABELS = (0, *(VOCABULARY.index(letter) for letter in LETTERS))
THEIRS, STREAM = "pyctcdecode / ours", "in chunks of four frames / all at once"


def utterances() -> list[torch.Tensor]:
    """Log-probabilities of the blank and the letters, for words that the recorded speaker spells."""
    draw, recogniser, made = random.Random(0), load_recogniser(), []
    for _ in range(UTTERANCES):
        word = draw.choices(LETTERS, k=7)
        said = joined([clip("allison", "en", f"letter {letter}") for letter in word], [0.1] * 8)
        made.append(restricted(recogniser.log_probs(said.waveform), LETTERS)[:, list(LABELS)])
    return made


def ours(some: list[torch.Tensor]) -> list[str]:
    config = BeamConfig(WIDTH, min_log_prob=LIMIT)
    best = [prefix_beam_search(one, config)[0].labels for one in some]
    return ["".join(LETTERS[label - 1] for label in labels) for labels in best]


def streamed(some: list[torch.Tensor]) -> None:
    config = BeamConfig(WIDTH, min_log_prob=LIMIT)
    for one in some:
        state = BeamState()
        for chunk in one.split(4):
            advance(state, chunk, config)


def peer(some: list[torch.Tensor]):
    """pyctcdecode on the same numbers, without its own pruning."""
    logging.disable(logging.WARNING)
    build = importlib.import_module("pyctcdecode").build_ctcdecoder
    decoder, arrays = build(["", *LETTERS]), [one.numpy() for one in some]
    settings = {"beam_width": WIDTH, "beam_prune_logp": -1e9, "token_min_logp": LIMIT}
    return lambda: [decoder.decode_beams(one, **settings)[0][0] for one in arrays]


def main() -> None:
    options = arguments(__doc__ or "")
    with torch.inference_mode():
        some = utterances()
    alternatives = {"ours": lambda: ours(some), "stream": lambda: streamed(some)}
    known = importlib.util.find_spec("pyctcdecode") is not None
    if known:
        alternatives["pyctcdecode"] = theirs = peer(some)
        assert ours(some) == theirs(), "the transcripts differ: nothing to compare"
    times = interleaved_times(alternatives, 5 if options.quick else 21, warmups=1)
    rows = [Row(THEIRS, *ratio_interval(times["pyctcdecode"], times["ours"]), 1.0)] if known else [missing(THEIRS, 1.0)]
    rows.append(Row(STREAM, *ratio_interval(times["stream"], times["ours"]), float("nan")))
    seconds = sum(len(one) for one in some) * FRAME_S
    details = {
        "width": WIDTH,
        "utterances": len(some),
        "seconds of sound": round(seconds, 1),
        "seconds of sound a second of search": round(seconds / sorted(times["ours"])[len(times["ours"]) // 2], 1),
    }
    report("bench_beam_search", rows, details, options)


if __name__ == "__main__":
    main()
