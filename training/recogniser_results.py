"""Measure chapter 16's recogniser beside its baselines, and what each language model gains; export.

python training/recogniser_results.py remember   train further on half of the recorded speaker's takes: the trap
python training/recogniser_results.py PART       one part of the tables: hear, templates, models, numbers, spelled
python training/recogniser_results.py export     all of them, the models in int8, the log
"""

import argparse
import json
import platform
import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from language_model import run, say, track
from nimblelm.audio.dtw import dtw_distances, word_features
from nimblelm.audio.recognition.beam_search import BeamConfig, Hypothesis, LanguageModel, prefix_beam_search
from nimblelm.audio.recognition.ctc import best_path, ctc_align
from nimblelm.audio.recognition.hmm import Gaussians, HMMRecogniser, fitted
from nimblelm.audio.recognition.neural_lm import NeuralModel
from nimblelm.audio.recognition.recogniser import FRAME_S, Recogniser, num_outputs
from nimblelm.audio.recognition.rescoring import label_errors, rescored
from nimblelm.audio.recognition.vocabulary import INDEX, LETTERS, NUMBER_WORDS, VOCABULARY, restricted
from nimblelm.language.llama import Llama
from nimblelm.language.ngram import Mixture, NGram, WholeWords, perplexity
from nimblelm.nn.checkpoint import load, save
from recogniser_data import UNSEEN_VOICES, Voice, batch, composed, synthesized
from recogniser_language import dictionary, general, numbers
from sound_data import RATE_HZ, noise
from train_recogniser import FOLDER, OUT, SEED, AdamW, recorded_voice, trained_voices

STRINGS, SIZE = 60, len(VOCABULARY)
STATES = 6  # of each word in the HMM
WORD_COST = -150.0  # for each of its words, the best of -60, -150 and -300 on five strings of an unseen synthesizer
TEMPLATED, MODELLED, TUNED = 20, 30, 20  # strings that slower systems are tested and models are tuned on
REMEMBERED = NUMBER_WORDS[::2]  # words whose takes the trap's model has heard


class Test(NamedTuple):
    """One string: its sound, its labels, where each word lies in samples."""

    waveform: Tensor
    labels: list[int]
    spans: list[tuple[int, int]]


def tests(voice: Voice, texts: Sequence[Sequence[str]], seed: int) -> list[Test]:
    """Strings in light noise, 20 to 30 dB below the speech."""
    draw, generator, made = random.Random(seed), torch.Generator().manual_seed(seed), []
    for said in texts:
        spans: list[tuple[int, int]] = []
        waveform = composed(said, lambda w: draw.choice(voice[w]), draw, False, spans)
        hiss = noise("pink", len(waveform), generator) * waveform.square().mean().sqrt()
        made.append(Test(waveform + hiss * 10 ** (-draw.uniform(20, 30) / 20), [INDEX[w] for w in said], spans))
    return made


def any_words(words: Sequence[str], seed: int, count: int = STRINGS) -> list[list[str]]:
    draw = random.Random(seed)
    return [draw.choices(words, k=draw.randint(3, 7)) for _ in range(count)]


def written(labels: Sequence[Sequence[int]], seed: int, shortest: int = 1) -> list[list[str]]:
    """Some of the texts, as words."""
    picked = random.Random(seed).sample([one for one in labels if len(one) >= shortest], STRINGS)
    return [[VOCABULARY[label] for label in one] for one in picked]


def error_rate(found: Sequence[Sequence[int]], wanted: Sequence[Sequence[int]]) -> dict[str, float | int]:
    """Word error rate with a 95 % interval: the strings are drawn again and again (bootstrap, 2000 times)."""
    errors = torch.tensor([label_errors(a, b) for a, b in zip(found, wanted, strict=True)]).double()
    words = torch.tensor([len(one) for one in wanted]).double()
    rows = torch.randint(len(words), (2000, len(words)), generator=torch.Generator().manual_seed(0))
    rates = errors[rows].sum(1) / words[rows].sum(1)
    low, high = rates.quantile(torch.tensor([0.025, 0.975]).double()).tolist()
    rate = (errors.sum() / words.sum()).item()
    whole = (errors == 0).double().mean().item()
    return {
        "wer": round(rate, 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "strings_right": round(whole, 4),
        "words": int(words.sum()),
        "strings": len(words),
    }


@torch.inference_mode()
def heard(model: Recogniser, some: Sequence[Test], words: Sequence[str]) -> list[Tensor]:
    return [restricted(model.log_probs(one.waveform), words) for one in some]


def greedy(log_probs: Sequence[Tensor], some: Sequence[Test]) -> dict[str, float | int]:
    return error_rate([best_path(one) for one in log_probs], [one.labels for one in some])


def by_templates(some: Sequence[Test], templates: Sequence[Voice]) -> dict[str, float | int]:
    """Dynamic time warping with the true boundaries given: only which word it is remains to be found."""
    names = [(word, word_features(F.pad(voice[word][0], (800, 800)))) for voice in templates for word in NUMBER_WORDS]
    found = []
    for one in track(some[:TEMPLATED], "templates"):
        cuts = [one.waveform[max(0, a - 800) : b + 800] for a, b in one.spans]
        nearest = [int(dtw_distances(word_features(cut), [f for _, f in names]).argmin()) for cut in cuts]
        found.append([INDEX[names[k][0]] for k in nearest])
    return error_rate(found, [one.labels for one in some[:TEMPLATED]])


def hmm_of(voices: Sequence[Voice]) -> tuple[Gaussians, Gaussians]:
    """Words of all trained voices, in light noise as the tests have it; the silence is that noise."""
    generator, states = torch.Generator().manual_seed(SEED), []

    def features(wave: Tensor) -> Tensor:
        hiss = noise("pink", len(wave) + 3200, generator) * wave.square().mean().sqrt() * 0.05
        hiss[1600 : 1600 + len(wave)] += wave
        return word_features(hiss)

    quiet = []
    for word in track(NUMBER_WORDS, "hidden Markov models"):
        takes = [features(voice[word][0]) for voice in voices]
        quiet += [take[:8] for take in takes]
        states.append(fitted([take[10:-10] for take in takes if len(take) > 20 + STATES], STATES))
    words = Gaussians(*(torch.stack(parts) for parts in zip(*states, strict=True)))
    return words, fitted([torch.cat(quiet)], 1)


def by_hmm(
    some: Sequence[Test], states: tuple[Gaussians, Gaussians], model: LanguageModel, weight: float, bonus: float
) -> dict[str, float | int]:
    recogniser = HMMRecogniser(*states, model, weight, bonus)
    found = [recogniser(word_features(one.waveform)) for one in track(some, "Viterbi")]
    return error_rate(found, [one.labels for one in some])


def searched(log_probs: Sequence[Tensor], config: BeamConfig, model: LanguageModel | None) -> list[list[Hypothesis]]:
    return [prefix_beam_search(one, config, model) for one in log_probs]


def tuned(
    log_probs: Sequence[Tensor],
    some: Sequence[Test],
    grid: Sequence[tuple[float, float]],
    found: Callable[[Sequence[Tensor], float, float], list[list[int]]],
) -> tuple[float, float]:
    """Weight and bonus with the least errors on a voice that is not the test's."""
    wanted = [one.labels for one in some]
    return min(grid, key=lambda g: error_rate(found(log_probs, *g), wanted)["wer"])


class Language(NamedTuple):
    """One task with its language models, on a voice to tune on and on the test's."""

    words: Sequence[str]
    tuning: list[Test]
    test: list[Test]
    models: dict[str, LanguageModel]


WEIGHTS = [(0.3, 0.0), (0.3, 1.0), (0.6, 1.0), (1.0, 2.0)]  # of the model, and for each label


def language_table(task: Language, recogniser: Recogniser) -> dict[str, dict]:
    """Each model in the search, and over the search's n best."""
    tune_on, test_on = (heard(recogniser, some, task.words) for some in (task.tuning[:TUNED], task.test))
    wanted = [one.labels for one in task.test]
    table: dict[str, dict] = {"best path": greedy(test_on, task.test)}
    plain = searched(test_on, BeamConfig(16, min_log_prob=-6.0), None)
    table["beam, no model"] = error_rate([list(one[0].labels) for one in plain], wanted)
    nearest = [min(one, key=lambda h: label_errors(h.labels, w)) for one, w in zip(plain, wanted, strict=True)]
    table["best of the list, by an oracle"] = error_rate([list(one.labels) for one in nearest], wanted)
    tune_plain = searched(tune_on, BeamConfig(16, min_log_prob=-6.0), None)
    for name, model in track([*task.models.items()], "language models"):

        def fused(log_probs: Sequence[Tensor], alpha: float, bonus: float, model=model) -> list[list[int]]:
            config = BeamConfig(8, alpha, bonus, -5.0)
            return [list(one[0].labels) for one in searched(log_probs, config, model)]

        def again(lists: Sequence, alpha: float, bonus: float, model=model) -> list[list[int]]:
            return [list(rescored(one, model, alpha, bonus)[0].labels) for one in lists]

        alpha, bonus = tuned(tune_on, task.tuning[:TUNED], WEIGHTS, fused)
        table[f"fusion, {name}"] = error_rate(fused(test_on, alpha, bonus), wanted) | {"alpha": alpha, "bonus": bonus}
        alpha, bonus = tuned(tune_plain, task.tuning[:TUNED], WEIGHTS, again)  # pyright: ignore[reportArgumentType]
        row = error_rate(again(plain, alpha, bonus), wanted) | {"alpha": alpha, "bonus": bonus}
        table[f"rescoring, {name}"] = row
        table[f"rescoring without a bonus, {name}"] = error_rate(again(plain, alpha, 0.0), wanted)
    return table


def word_times(recogniser: Recogniser, some: Sequence[Test]) -> dict[str, float | int]:
    """Of every word that was said: where CTC puts it, against where it is."""
    inside, late, count = 0, [], 0
    for one, log_probs in zip(some, heard(recogniser, some, NUMBER_WORDS), strict=True):
        for (begin, end), (first, last) in zip(ctc_align(log_probs, one.labels), one.spans, strict=True):
            middle = (begin + end) / 2 * FRAME_S * RATE_HZ
            inside += first <= middle <= last
            late.append((middle - first) / (last - first))
            count += 1
    places = torch.tensor(late)
    return {
        "inside": round(inside / count, 4),
        "median_place": round(places.median().item(), 3),  # 0 at the beginning of the word, 1 at its end
        "words": count,
    }


def remember() -> None:
    """The recogniser trained on with half of the recorded speaker's takes among its voices."""
    model, generator = load(Recogniser, FOLDER / "recogniser.safetensors"), torch.Generator().manual_seed(SEED)
    model.requires_grad_(True)
    hers = {word: takes for word, takes in recorded_voice("allison").items() if word in REMEMBERED}
    known = trained_voices(synthesized(FOLDER / "voices", SEED))
    optimizer = AdamW(model)
    optimizer.peaks = [5e-4]

    def loss_at(step: int) -> Tensor:
        draw = random.Random(step)
        mixed = [{word: hers.get(word, voice[word]) for word in voice} for voice in draw.sample(known, 8)]
        features, lengths, labels, counts = batch([*mixed, *draw.sample(known, 8)], 16, draw, generator)
        return F.ctc_loss(model.train()(features, lengths).transpose(0, 1), labels, num_outputs(lengths), counts)

    run(model, optimizer, loss_at, lambda: {}, 80, generator, FOLDER / "remembering")
    save(model, FOLDER / "remembering.safetensors", int8=True)


def sets_of(voices: dict[str, Voice]) -> dict[str, list[Test]]:
    """Test strings of every voice that was not trained on."""
    allison = recorded_voice("allison")
    strangers = [voices[f"espeak {name}"] for name in UNSEEN_VOICES]
    mixed = [tests(voice, any_words(NUMBER_WORDS, 4 + i, STRINGS // 4), 4 + i) for i, voice in enumerate(strangers)]
    return {
        "her number words": tests(allison, any_words(NUMBER_WORDS, 1), 1),
        "her digits": tests(allison, any_words(NUMBER_WORDS[:10], 2), 2),
        "flite's slt": tests(voices["flite slt"], any_words(NUMBER_WORDS, 3), 3),
        "espeak's unseen voices": [one for some in mixed for one in some],
    }


def hear(recogniser: Recogniser, voices: dict[str, Voice]) -> dict[str, dict]:
    """The recogniser, untrained and trained, on every set; the trap; letters."""
    untrained, table = Recogniser(recogniser.config).eval(), {}
    for name, some in track([*sets_of(voices).items()], "recogniser"):
        words = NUMBER_WORDS[:10] if "digits" in name else NUMBER_WORDS
        row = {"recogniser": greedy(heard(recogniser, some, words), some)}
        row["recogniser, letters allowed too"] = greedy(heard(recogniser, some, VOCABULARY[1:]), some)
        if name.startswith("her"):
            row["untrained"] = greedy(heard(untrained, some, words), some)
        table[name] = row
    trained = load(Recogniser, FOLDER / "remembering.safetensors")
    halves = {"takes that were trained": REMEMBERED, "her other takes": NUMBER_WORDS[1::2]}
    for i, (name, words) in enumerate(halves.items()):
        some = tests(recorded_voice("allison"), any_words(words, 20 + i), 20 + i)
        table[name] = {
            "with half of her takes": greedy(heard(trained, some, NUMBER_WORDS), some),
            "recogniser": greedy(heard(recogniser, some, NUMBER_WORDS), some),
        }
    table["letters"] = {}
    for name, voice in {"recorded": recorded_voice("allison", LETTERS), "flite's slt": voices["flite slt"]}.items():
        some = tests(voice, any_words(LETTERS, 30), 30)
        table["letters"][name] = greedy(heard(recogniser, some, LETTERS), some)
    times = word_times(recogniser, tests(recorded_voice("allison"), any_words(NUMBER_WORDS, 1), 1))
    return {"recognition": table, "word times": times}


def templates(recogniser: Recogniser, voices: dict[str, Voice]) -> dict[str, dict]:
    known = [voices[name] for name in ("flite rms", "flite awb", "festival ked_diphone", "espeak f3", "espeak m1")]
    return {
        name: {
            "templates of five synthesizers, cut by hand": by_templates(some, known),
            "templates of her own takes, cut by hand": by_templates(some, [recorded_voice("allison")]),
        }
        for name, some in sets_of(voices).items()
        if name.startswith("her")
    }


def models(recogniser: Recogniser, voices: dict[str, Voice]) -> dict[str, dict]:
    states, flat = hmm_of(trained_voices(voices)[::5]), NGram(numbers(3000, 0), 1, SIZE)
    return {
        name: {"hidden Markov models": by_hmm(some[:MODELLED], states, flat, 1.0, WORD_COST)}
        for name, some in sets_of(voices).items()
        if name in ("her number words", "flite's slt")
    }


def said_numbers(recogniser: Recogniser, voices: dict[str, Voice]) -> dict:
    unseen = [one for one in numbers(2000, 1) if len(one) > 1]
    task = Language(
        NUMBER_WORDS,
        tests(voices["flite slt"], written(unseen, 40), 40),
        tests(recorded_voice("allison"), written(unseen, 41), 41),
        {f"{n}-gram of numbers": NGram(numbers(3000, 0), n, SIZE) for n in (1, 2, 3)},
    )
    return {"numbers": language_table(task, recogniser)}


def spelled_words(recogniser: Recogniser, voices: dict[str, Voice]) -> dict:
    mine, theirs, test = dictionary(False), general(), dictionary(True)
    near, far = NGram(mine, 4, SIZE), NGram(theirs, 4, SIZE)
    every: dict[str, LanguageModel] = {
        "4-gram of letters, other domain": far,
        "4-gram of letters, its own domain": near,
        "4-gram of letters, adapted": Mixture([far, near], [0.4, 0.6]),
        "whole words": WholeWords(mine, SIZE),
        "transformer of letters": NeuralModel(load(Llama, FOLDER / "letters.safetensors")),
    }
    slt, allison = voices["flite slt"], recorded_voice("allison", LETTERS)
    task = Language(LETTERS, tests(slt, written(test, 42, 3), 42), tests(allison, written(test, 43, 3), 43), every)
    known, some = {tuple(one) for one in mine}, test[:400]
    return {
        "spelled words": language_table(task, recogniser),
        "perplexity": {
            name: round(perplexity(model, some), 3) for name, model in every.items() if name != "whole words"
        },
        "words of the test that were never seen": round(sum(tuple(o) not in known for o in test) / len(test), 4),
        "words of the domain": len(mine),
        "words of the other domain": len(theirs),
    }


PARTS = {"hear": hear, "templates": templates, "models": models, "numbers": said_numbers, "spelled": spelled_words}


def measure(part: str) -> None:
    """One part of the tables, kept until they are exported."""
    recogniser, voices = load(Recogniser, FOLDER / "recogniser.safetensors"), synthesized(FOLDER / "voices", SEED)
    found = PARTS[part](recogniser, voices)
    (FOLDER / f"{part}.json").write_text(json.dumps(found, indent=1) + "\n")
    say(json.dumps(found, indent=1))


def export() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    found = {part: json.loads((FOLDER / f"{part}.json").read_text()) for part in PARTS}
    tables = found["hear"] | found["numbers"] | found["spelled"]
    for part in ("models", "templates"):
        for name, rows in found[part].items():
            tables["recognition"][name] |= rows
    for name in ("recogniser", "letters"):
        (OUT / f"{name}.safetensors").write_bytes((FOLDER / f"{name}.safetensors").read_bytes())
    logs = {
        name: [json.loads(line) for line in (FOLDER / name / "log.jsonl").read_text().splitlines()]
        for name in ("recogniser", "letters", "remembering")
    }
    made = {"seed": SEED, "python": platform.python_version(), "torch": torch.__version__}
    voices = sorted(synthesized(FOLDER / "voices", SEED))
    tables |= {"made": made | {"voices": voices, "unseen": ["flite slt", *UNSEEN_VOICES]}, "log": logs}
    (OUT / "results.json").write_text(json.dumps(tables, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["remember", *PARTS, "export"])
    what = parser.parse_args().what
    if what in PARTS:
        measure(what)
    else:
        remember() if what == "remember" else export()


if __name__ == "__main__":
    main()
