"""The trellis of a word that was really spelled, and its n-best list: what the interactive of chapter 16 shows."""

import html
import math

from torch import Tensor

from nimblelm.audio.recognition.beam_search import BeamConfig, Hypothesis, prefix_beam_search
from nimblelm.audio.recognition.ctc import ctc_trellis, with_blanks
from nimblelm.audio.recognition.recogniser import load_recogniser
from nimblelm.audio.recognition.rescoring import rescored
from nimblelm.audio.recognition.vocabulary import INDEX, LETTERS, VOCABULARY, restricted
from nimblelm.data.voices import clip
from nimblelm.data.voices.strings import joined
from nimblelm.language.ngram import Model

WORD, SHOWN = "green", 8  # a word with a letter twice, and how many transcripts are listed
WEIGHTS = [round(0.1 * k, 1) for k in range(16)]


def spelled(word: str, speaker: str = "allison", pause_s: float = 0.08) -> Tensor:
    """The sound of a word, letter by letter."""
    letters = [clip(speaker, "en", f"letter {letter}") for letter in word]
    return joined(letters, [0.1, *[pause_s] * (len(letters) - 1), 0.1]).waveform


def log_probs_of(word: str) -> Tensor:
    """What the recogniser says of it when only letters can be said."""
    return restricted(load_recogniser().log_probs(spelled(word)), LETTERS)


def n_best(log_probs: Tensor, model: Model) -> list[Hypothesis]:
    """The best transcripts without a language model, with the model's opinion of each."""
    found = prefix_beam_search(log_probs, BeamConfig(64, min_log_prob=-9.0))[: SHOWN * 3]
    return rescored(found, model, 0.0)


def trellis_data(model: Model, word: str = WORD) -> dict:
    """alpha, beta and occupancy of every node; the transcripts, and log p of each from sound and from letters."""
    log_probs = log_probs_of(word)
    labels = [INDEX[letter] for letter in word]
    trellis = ctc_trellis(log_probs, labels)
    return {
        "word": word,
        "states": [VOCABULARY[label] or "–" for label in with_blanks(labels)],
        "alpha": _rounded(trellis.alpha),
        "beta": _rounded(trellis.beta),
        "occupancy": [[round(p, 4) for p in row] for row in trellis.occupancy.tolist()],
        "logProb": round(trellis.log_prob, 4),
        "weights": WEIGHTS,
        "hypotheses": [
            {
                "text": "".join(VOCABULARY[label] for label in one.labels),
                "acoustic": round(one.acoustic, 4),
                "language": round(one.language, 4),
            }
            for one in n_best(log_probs, model)
        ],
        "shown": SHOWN,
    }


def _rounded(rows: Tensor) -> list[list[float | None]]:
    """None where no path passes: JSON has no infinity."""
    return [[round(x, 3) if x > -math.inf else None for x in row] for row in rows.tolist()]


def trellis_table(data: dict) -> str:
    """Without scripts: the list at three weights."""
    rows = ""
    for weight in (0.0, 0.5, 1.0):
        ranked = sorted(data["hypotheses"], key=lambda one: -(one["acoustic"] + weight * one["language"]))
        words = ", ".join(html.escape(one["text"]) for one in ranked[:3])
        rows += f"<tr><td>{weight:g}</td><td>{words}</td></tr>"
    return (
        f"<table><thead><tr><th>weight of the letters</th><th>three best</th></tr></thead><tbody>{rows}</tbody></table>"
    )
