"""Models that learn from what models wrote: what it gains, and how generations of it collapse.

python training/train_generations.py      three minutes; results beside lib's loader
"""

import json
import random
from typing import Any

from adapt_target import entries
from language_model import say, track
from nimblelm.compression.distillation.generations import GENERATIONS_FOLDER
from nimblelm.compression.distillation.synthetic import Text, best, deduplicated
from nimblelm.compression.distillation.word_model import WordModel, held_out_nats
from train_pair import SEED

READ, GENERATIONS, HELD_OUT = 3000, 8, 1000  # entries that a generation reads, generations, entries to test on
SEEDS, TAUGHT = 3, 10_000
WAYS = ("replaced", "likeliest half", "a tenth real", "accumulated")


def words_of(line: str) -> list[str]:
    """The definition's words in lower case, punctuation apart."""
    text = line.split("): ", 1)[1].lower()
    for mark in "();,:":
        text = text.replace(mark, f" {mark} ")
    return text.split()


def described(texts: list[Text], model: WordModel, held_out: list[Text]) -> dict[str, float]:
    return {
        "loss": round(held_out_nats(model, held_out), 4),
        "words": len({word for text in texts for word in text}),
        "distinct": round(len({tuple(text) for text in texts}) / len(texts), 4),
        "length": round(sum(map(len, texts)) / len(texts), 3),
    }


def generations(way: str, real: list[Text], held_out: list[Text], vocabulary: set[str], seed: int) -> list[dict]:
    """Each model reads what the one before wrote; `way` says what else."""
    rng, texts, past, lines = random.Random(seed), real, list(real), []
    for generation in range(GENERATIONS + 1):
        model = WordModel(texts, vocabulary)
        lines.append({"generation": generation} | described(texts, model, held_out))
        written: list[Text] = [model.write(rng) for _ in range(len(real) * (2 if way == "likeliest half" else 1))]
        if generation in (0, 2, GENERATIONS):
            lines[-1]["example"] = " ".join(written[0])
        past += written
        match way:
            case "replaced":
                texts = written
            case "likeliest half":
                texts = best(written, lambda text, m=model: -m.nats(text) / (len(text) + 1), 0.5)
            case "a tenth real":
                texts = written[: len(real) * 9 // 10] + rng.sample(real, len(real) // 10)
            case _:
                texts = list(past)
    return lines


def gains(real: list[Text], held_out: list[Text], vocabulary: set[str]) -> dict[str, Any]:
    """A student of a thousand real entries, and what a teacher of all of them adds to it by writing."""
    rng = random.Random(SEED)
    teacher, few = WordModel(real, vocabulary), real[:1000]
    written: list[Text] = [teacher.write(rng) for _ in range(2 * TAUGHT)]
    good = best(written, lambda text: -teacher.nats(text) / (len(text) + 1), 0.5)
    odd = best(written, lambda text: teacher.nats(text) / (len(text) + 1), 0.5)
    fresh = deduplicated(written)
    students = {
        "1,000 real": few,
        "and 10,000 written": [*few, *written[:TAUGHT]],
        "and 10,000 written, deduplicated": [*few, *fresh[:TAUGHT]],
        "and the likeliest half of 20,000": [*few, *good],
        "and the oddest half of 20,000": [*few, *odd],
        "and 10,000 more real": real[: 1000 + TAUGHT],
    }
    losses = {name: round(held_out_nats(WordModel(texts, vocabulary), held_out), 4) for name, texts in students.items()}
    return {
        "teacher": round(held_out_nats(teacher, held_out), 4),
        "students": losses,
        "kept": len(fresh) / len(written),
    }


def main() -> None:
    train, rest = entries()
    rng = random.Random(SEED)
    rng.shuffle(train)
    rng.shuffle(rest)
    real: list[Text] = [words_of(line) for line in train]
    held_out: list[Text] = [words_of(line) for line in rest[:HELD_OUT]]
    vocabulary = {word for text in real for word in text}
    results: dict[str, Any] = {"seed": SEED, "entries a generation": READ, "held-out entries": HELD_OUT}
    say("what it gains")
    results["gains"] = gains(real, held_out, vocabulary)
    for way in track(WAYS, "generations"):
        runs = [generations(way, real[i * READ : (i + 1) * READ], held_out, vocabulary, SEED + i) for i in range(SEEDS)]
        results[way] = runs
    GENERATIONS_FOLDER.mkdir(parents=True, exist_ok=True)
    (GENERATIONS_FOLDER / "results.json").write_text(json.dumps(results) + "\n")


if __name__ == "__main__":
    main()
