"""Train a BERT of twelve thin layers on definitions of a dictionary, then students of half its layers.

python training/train_distilled.py data                     read Debian's wordnet-base, learn the pieces, encode
python training/train_distilled.py teacher --steps N        masked words; run it again to resume
python training/train_distilled.py distilled --steps N      layers 0, 2, 4, 7, 9, 11 and the three losses
python training/train_distilled.py copied --steps N         the same layers, and masked words alone
python training/train_distilled.py guided --steps N         random weights and the three losses
python training/train_distilled.py scratch --steps N        random weights, and masked words alone
python training/train_distilled.py export                   teacher and student in int8 and the log beside lib's loader

The four students see the same batches with the same masks.
"""

import argparse
import json
import platform
from typing import cast

import torch
import torch.nn.functional as F
from tokenizers import BertWordPieceTokenizer
from torch import Tensor

from adapt_target import entries
from language_model import Optimizer, run, say
from nimblelm.compression.distillation.dictionary_bert import (
    DICTIONARY_FOLDER,
    LENGTH,
    MASK,
    PAD,
    SPECIAL,
    load_dictionary_tokenizer,
    padded,
)
from nimblelm.compression.distillation.distilbert import LAYERS, student_of, triple_loss
from nimblelm.compression.distillation.masking import mask_tokens
from nimblelm.language.bert import Bert, BertConfig
from nimblelm.language.distilbert import DistilBert
from nimblelm.nn.attend import masked
from nimblelm.nn.checkpoint import load, save
from train_pair import FILE, RUNS, SEED

FOLDER = RUNS / "distilled"
VOCAB_SIZE, ROWS, RATE = 1536, 96, 0.2  # RATE: share of the words that are asked for
SHAPE = BertConfig(VOCAB_SIZE, d_model=64, num_layers=12, num_heads=4, d_ff=96, max_seq_len=LENGTH, num_token_types=1)
PEAKS = {"teacher": (4e-3, 4e-3), "students": (3e-3, 3e-3)}  # of matrices and of the rest
STUDENTS = {"distilled": (True, True), "copied": (True, False), "guided": (False, True), "scratch": (False, False)}
HELD_OUT_ROWS = 750


def make_data() -> None:
    """Entries as "word: definition", encoded and sorted by length, so that a batch needs little padding."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    DICTIONARY_FOLDER.mkdir(parents=True, exist_ok=True)
    train, held_out = entries()
    learner = BertWordPieceTokenizer(lowercase=True)
    learner.train_from_iterator(train, VOCAB_SIZE, special_tokens=list(SPECIAL), limit_alphabet=60, show_progress=False)
    pieces = sorted(learner.get_vocab().items(), key=lambda item: item[1])
    (DICTIONARY_FOLDER / "vocab.txt").write_text("".join(f"{piece}\n" for piece, _ in pieces))
    tokenizer = load_dictionary_tokenizer()
    for name, lines in (("train", train), ("held_out", held_out)):
        rows = [encoding.ids[:LENGTH] for encoding in tokenizer.encode_batch([line.strip() for line in lines])]
        rows.sort(key=len)
        torch.save([torch.tensor(row, dtype=torch.int16) for row in rows], FOLDER / f"{name}.pt")
        print(name, len(rows), "entries", sum(len(row) for row in rows), "tokens")


class Batches:
    """Masked rows of like lengths."""

    def __init__(self):
        self.rows = [row.tolist() for row in torch.load(FOLDER / "train.pt", weights_only=True)]
        held_out = torch.load(FOLDER / "held_out.pt", weights_only=True)
        step = max(1, len(held_out) // HELD_OUT_ROWS)
        fixed = torch.Generator().manual_seed(0)
        parts = [[row.tolist() for row in held_out[::step][i : i + 250]] for i in range(0, HELD_OUT_ROWS, 250)]
        self.held_out = [ask(padded(part), fixed) for part in parts if part]

    def draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """(tokens, labels, is_token), each (B, T)."""
        start = int(torch.randint(len(self.rows) - ROWS, (), generator=generator))
        return ask(padded(self.rows[start : start + ROWS]), generator)

    @torch.no_grad()
    def evaluate(self, model: Bert | DistilBert) -> dict[str, float]:
        """Held-out nats and hits a hidden word."""
        loss, hits, count = 0.0, 0, 0
        for tokens, labels, is_token in self.held_out:
            asked = labels >= 0
            logits = model.logits(model.states(model.embed(tokens), seen(is_token))[asked])
            loss += F.cross_entropy(logits, labels[asked], reduction="sum").item()
            hits += int((logits.argmax(-1) == labels[asked]).sum())
            count += int(asked.sum())
        return {"held_out_loss": loss / count, "held_out_accuracy": hits / count}


def ask(tokens: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    is_token = tokens != PAD
    may_mask = is_token & (tokens > MASK)
    read, labels = mask_tokens(tokens, may_mask, MASK, VOCAB_SIZE, generator, RATE)
    return read, labels, is_token


def seen(is_token: Tensor):
    return masked(is_token[:, None, None, :])


def masked_loss(model: Bert | DistilBert, tokens: Tensor, labels: Tensor, is_token: Tensor) -> Tensor:
    """The head is asked at the hidden words alone."""
    asked = labels >= 0
    states = model.states(model.embed(tokens), seen(is_token))
    return F.cross_entropy(model.logits(states[asked]), labels[asked])


def three_losses(student: DistilBert, teacher: Bert, tokens: Tensor, labels: Tensor, is_token: Tensor) -> Tensor:
    with torch.no_grad():
        taught = teacher.states(teacher.embed(tokens), seen(is_token))
        wanted = teacher.logits(taught)
    states = student.states(student.embed(tokens), seen(is_token))
    parts = triple_loss(student.logits(states), wanted, states, taught, labels, is_token)
    return parts.total() / 8  # 5 + 2 + 1: the rate of learning is that of the other runs


def train_teacher(steps: int) -> None:
    batches, generator = Batches(), torch.Generator().manual_seed(SEED)
    torch.manual_seed(SEED)
    model = Bert(SHAPE)
    say(f"{sum(p.numel() for p in model.parameters())} parameters")

    def loss_at(step: int) -> Tensor:
        return masked_loss(model, *batches.draw(generator))

    def evaluate() -> dict[str, float]:
        return batches.evaluate(model)

    run(
        model,
        Optimizer(model, *PEAKS["teacher"]),
        loss_at,
        evaluate,
        steps,
        generator,
        FOLDER / "teacher",
        save_every=50,
    )
    save(model.eval(), FOLDER / "teacher" / FILE, int8=True)


def train_student(kind: str, steps: int) -> None:
    copied, guided = STUDENTS[kind]
    batches, generator = Batches(), torch.Generator().manual_seed(SEED + 1)
    teacher = load(Bert, FOLDER / "teacher" / FILE).requires_grad_(False)
    torch.manual_seed(SEED)
    model = student_of(teacher)
    if not copied:
        model = DistilBert(model.config)
    model.requires_grad_(True)

    def loss_at(step: int) -> Tensor:
        drawn = batches.draw(generator)
        return three_losses(model, teacher, *drawn) if guided else masked_loss(model, *drawn)

    def evaluate() -> dict[str, float]:
        return batches.evaluate(model)

    optimizer = Optimizer(model, *PEAKS["students"])
    run(model, optimizer, loss_at, evaluate, steps, generator, FOLDER / kind, save_every=50)
    save(model.eval(), FOLDER / kind / FILE, int8=True)


def baseline(batches: Batches) -> dict[str, float]:
    """The share of each piece in the training text, whatever stands around."""
    pieces = torch.tensor([piece for row in batches.rows for piece in row if piece > MASK])
    shares = (torch.bincount(pieces, minlength=VOCAB_SIZE) + 1.0) / (len(pieces) + VOCAB_SIZE)
    labels = torch.cat([labels[labels >= 0] for _, labels, _ in batches.held_out])
    hits = (labels == shares.argmax()).float().mean().item()
    return {"held_out_loss": -shares[labels].log().mean().item(), "held_out_accuracy": hits}


def export() -> None:
    """The weights; the log keeps losses and hits of every run, those of the rounded models, the seed and versions."""
    batches = Batches()
    log = {"seed": SEED, "torch": torch.__version__, "python": platform.python_version(), "device": "cpu"}
    log |= {
        "peak rates": PEAKS,
        "rows a batch": ROWS,
        "share asked": RATE,
        "layers": LAYERS,
        "words": baseline(batches),
    }
    for kind in ("teacher", *STUDENTS):
        model = load(Bert if kind == "teacher" else DistilBert, FOLDER / kind / FILE)
        lines = [json.loads(line) for line in (FOLDER / kind / "log.jsonl").read_text().splitlines()]
        size = sum(p.numel() for p in model.parameters())
        log[kind] = {"parameters": size, "log": lines, "in int8": batches.evaluate(cast(Bert, model))}
        if kind == "teacher":
            log["cut, before training"] = batches.evaluate(student_of(cast(Bert, model)))
    for name, kind in (("teacher", "teacher"), ("student", "distilled")):
        source = (FOLDER / kind / FILE).read_bytes()
        (DICTIONARY_FOLDER / f"{name}.safetensors").write_bytes(source)
    (DICTIONARY_FOLDER / "log.json").write_text(json.dumps(log, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=["data", "teacher", *STUDENTS, "export"])
    parser.add_argument("--steps", type=int, help="optimizer steps; a resumed run may name another number")
    arguments = parser.parse_args()
    if arguments.stage not in ("data", "export") and not arguments.steps:
        parser.error(f"{arguments.stage} needs --steps")
    match arguments.stage:
        case "data":
            make_data()
        case "export":
            export()
        case "teacher":
            train_teacher(arguments.steps)
        case kind:
            train_student(kind, arguments.steps)


if __name__ == "__main__":
    main()
