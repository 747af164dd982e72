"""Teach a small language model to see: six connectors on one frozen tower and one decoder, at one budget.

python training/train_vlm.py             (about 30 minutes of one CPU core; a stopped run is taken up)

0. The decoder reads WordNet's definitions (Debian's `wordnet-base`) and captions of scenes, without pictures.
1. Stage 1: the connector alone learns from captions of scenes; decoder and tower are frozen. The Q-Former learns by its
   three losses instead, FROMAGe by captions and retrieval.
2. Stage 2: connector and decoder learn from questions; the tower is frozen.

Beside them two baselines that know less, the questions alone and the questions with the names of what is there, a run
whose decoder stays frozen, and one connector that is trained longer: the one that is kept.
"""

import argparse
import itertools
import json
import platform
import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from language_model import Optimizer, learning_rate, track
from nimblelm.data.words import BEGIN, END, RETRIEVE, WordTokenizer
from nimblelm.language.llama import Llama
from nimblelm.multimodal.blip2 import RepresentationLearning
from nimblelm.multimodal.emoji_vlm import D_VISION, FOLDER, UNSEEN_STYLE, EmojiVLM, EmojiVLMConfig, load_emoji_vlm
from nimblelm.multimodal.fromage import RetrievalHeads, fromage_loss
from nimblelm.multimodal.molmo import annotations_mask
from nimblelm.nn.attend import Past, recorded
from nimblelm.nn.checkpoint import save
from vlm_data import TRAINED_STYLES, Seen, draw, names_only, pack, see, sentences, texts, vocabulary

SEED = 0
WORK = Path(__file__).parents[1] / "_build/training/emoji_vlm"
SCENES = {"train": 6000, "test": 300}
LANGUAGE_STEPS, LANGUAGE_BATCH = 900, 64
STEPS, LONG_STEPS, BATCH = {"align": 120, "tune": 400}, {"align": 150, "tune": 1800}, 40
RATES = {"align": (2e-2, 4e-3), "tune": (1e-2, 2e-3)}  # of matrices (Muon), of the rest (AdamW)
RUNS = {  # name -> connector, what stands where the picture does, whether the decoder is tuned
    "mlp": ("mlp", "picture", True),
    "mlp, trained longer": ("mlp", "picture", True),
    "question only": ("mlp", "nothing", True),
    "names only": ("mlp", "names", True),
    "molmo": ("molmo", "picture", True),
    "qformer": ("qformer", "picture", True),
    "linear": ("linear", "picture", True),
    "mlp, decoder frozen": ("mlp", "picture", False),
    "fromage": ("fromage", "picture", False),
    "yi_vl": ("yi_vl", "picture", True),
}
KEPT = "mlp, trained longer"


def cross_entropy(model: Llama, states: Tensor, labels: Tensor) -> Tensor:
    """Of the labels that are there; the head is applied to those alone."""
    wanted = labels != -100
    return F.cross_entropy(model.head(states[wanted]).float(), labels[wanted])


class Trainer:
    """Data, tokenizer and the pretrained decoder that all runs share."""

    def __init__(self):
        torch.manual_seed(SEED)
        self.tokenizer = WordTokenizer(vocabulary())
        self.generator = torch.Generator().manual_seed(SEED)
        self.train: Seen = self._seen("train", SCENES["train"], False, TRAINED_STYLES, 1)
        count = SCENES["test"]
        self.tests = {
            "seen pairs": self._seen("seen pairs", count, False, TRAINED_STYLES, 2),
            "held-out pairs": self._seen("held-out pairs", count, True, TRAINED_STYLES, 3),
            "held-out pairs, unseen style": self._seen("unseen style", count, True, (UNSEEN_STYLE,), 4),
        }
        flat = self.train.features.float().flatten(0, 1)
        self.mean, self.std = flat.mean(0), flat.std(0).clamp(min=1e-3)

    def _seen(self, name: str, count: int, held_out: bool, styles: tuple[str, ...], seed: int) -> Seen:
        file, scenes = WORK / f"{name}.pt", draw(count, held_out, styles, seed)
        if file.exists():
            return Seen(scenes, torch.load(file))
        found = see(scenes, name)
        torch.save(found.features, file)
        return found

    def language(self, log: dict[str, Any]) -> Llama:
        """The decoder, pretrained on text alone."""
        model, file = Llama(EmojiVLMConfig().language), WORK / "language.pt"
        if file.exists():
            state = torch.load(file)
            model.load_state_dict(state["model"])
            log |= state["log"]
            return model
        known = sentences(self.tokenizer)
        order = torch.randperm(len(known), generator=self.generator).tolist()
        held, known = [known[i] for i in order[:400]], [known[i] for i in order[400:]]
        captions = [self.tokenizer.encode(f"{BEGIN} {scene.caption} {END}") for scene in self.train.scenes]
        optimizer = Optimizer(model, 1e-2, 3e-3)
        began = time.process_time()
        for step in track(range(LANGUAGE_STEPS), "decoder"):
            rows = torch.randint(len(known), (LANGUAGE_BATCH,), generator=self.generator).tolist()
            rest = torch.randint(len(captions), (LANGUAGE_BATCH // 4,), generator=self.generator).tolist()
            loss = text_loss(model, [known[i] for i in rows] + [captions[i] for i in rest])
            optimizer.step(loss, learning_rate(step, LANGUAGE_STEPS))
        with torch.no_grad():
            found = {"held_out_loss": text_loss(model, held).item(), "bigram_loss": bigram_loss(known, held)}
        log |= {"sentences": len(known), "words": sum(map(len, known)), "steps": LANGUAGE_STEPS, **found}
        log |= {"cpu_s": round(time.process_time() - began, 1)}
        print(log, flush=True)
        torch.save({"model": model.state_dict(), "log": log}, file)
        return model


def text_loss(model: Llama, rows: list[list[int]]) -> Tensor:
    """Cross-entropy of sentences."""
    longest = max(map(len, rows))
    tokens = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    labels = torch.tensor([row + [-100] * (longest - len(row)) for row in rows])[:, 1:]
    visible = torch.ones(longest - 1, longest - 1, dtype=torch.bool).tril()
    past = Past([recorded([], visible)] * len(model.blocks), slice(0, longest - 1))
    with torch.autocast("cpu", torch.bfloat16):
        states = model.states(model.embed(tokens[:, :-1]), past)
    return cross_entropy(model, states.float(), labels)


def bigram_loss(known: list[list[int]], held: list[list[int]]) -> float:
    """Of a table of pairs of words, mixed with single words: the baseline that knows less."""
    size = EmojiVLMConfig().language.vocab_size
    pairs, single = torch.zeros(size, size), torch.ones(size)
    for row in known:
        for before, word in itertools.pairwise(row):
            pairs[before, word] += 1
            single[word] += 1
    single /= single.sum()
    mixed = (pairs + 20 * single) / (pairs.sum(1, keepdim=True) + 20)
    found = [mixed[before, word].log() for row in held for before, word in itertools.pairwise(row)]
    return -torch.stack(found).mean().item()


def read(model: EmojiVLM, seen: Tensor, batch: Any, embedded: Tensor | None = None) -> Tensor:
    """States (B, T, d) of packed texts behind what stands for the picture (B, N, d)."""
    count = seen.shape[1]
    words = model.language.embed(batch.tokens) if embedded is None else embedded
    annotation = F.pad(batch.annotation, (count, 0), value=0)
    places = torch.arange(count).expand(len(seen), -1)
    past = Past(
        [recorded([], annotations_mask(annotation))] * len(model.language.blocks),
        torch.cat([places, count + batch.positions], dim=1),
    )
    with torch.autocast("cpu", torch.bfloat16):
        return model.language.states(torch.cat([seen, words], dim=1), past)[:, count:].float()


def shown(trainer: Trainer, model: EmojiVLM, what: str, data: Seen, rows: Tensor, generator: torch.Generator) -> Tensor:
    """What stands where the picture does: the picture's tokens, the names of what is there, or nothing."""
    if what == "picture":
        return model.see(data.features[rows].float())
    if what == "names":
        ids = names_only(trainer.tokenizer, [data.scenes[i] for i in rows.tolist()], generator)
        return model.language.embed(ids)
    return torch.zeros(len(rows), 0, model.config.language.d_model)


@torch.no_grad()
def scores(trainer: Trainer, model: EmojiVLM, what: str, name: str) -> dict[str, list[int]]:
    """Right and asked for each kind: a text counts where each of its words is the likeliest after those before it."""
    data, generator = trainer.tests[name], torch.Generator().manual_seed(7)
    found: dict[str, list[int]] = {}
    for rows in torch.arange(len(data.scenes)).split(50):
        about = [texts(data.scenes[i], generator) for i in rows.tolist()]
        batch = pack(trainer.tokenizer, about)
        states = read(model, shown(trainer, model, what, data, rows, generator), batch)
        right = (model.language.head(states).argmax(-1) == batch.labels) | (batch.labels == -100)
        for row, kinds in enumerate(batch.kinds):
            for number, kind in enumerate(kinds, 1):
                own = batch.annotation[row] == number
                counted = found.setdefault(kind, [0, 0])
                counted[0] += int(right[row, own].all())
                counted[1] += 1
    return found


class Run:
    """One connector through both stages, and its log."""

    def __init__(self, trainer: Trainer, name: str, language: Llama):
        torch.manual_seed(SEED)
        connector, self.what, self.tuned = RUNS[name]
        self.trainer, self.name, self.steps = trainer, name, LONG_STEPS if name == KEPT else STEPS
        self.model = EmojiVLM(EmojiVLMConfig(connector=connector))
        self.model.language.load_state_dict(language.state_dict())
        self.model.mean.copy_(trainer.mean)
        self.model.std.copy_(trainer.std)
        self.generator = torch.Generator().manual_seed(SEED)
        width = self.model.config.language.d_model
        self.heads = RetrievalHeads(width, D_VISION, 64) if connector == "fromage" else None
        self.blip = None
        if connector == "qformer":
            self.blip = RepresentationLearning(self.model.connector[0], len(trainer.tokenizer))  # pyright: ignore

    def train(self) -> dict[str, Any]:
        file = WORK / f"{self.name}.pt"
        if file.exists():
            return torch.load(file, weights_only=False)["log"]
        log: dict[str, Any] = {"losses": []}
        began = time.process_time()
        for stage in ("align", "tune"):
            if stage == "align" and self.what != "picture":
                continue
            self.stage(stage, log)
        log |= {"cpu_s": round(time.process_time() - began, 1), "steps": self.steps}
        log["trained"] = sum(p.numel() for p in self.model.connector.parameters())
        log["scores"] = {name: scores(self.trainer, self.model, self.what, name) for name in self.trainer.tests}
        if self.heads is not None:
            log["retrieval"] = self.retrieval()
        print(self.name, log["cpu_s"], log["losses"][-1], {k: v for k, v in log["scores"].items()}, flush=True)
        torch.save({"model": self.model.state_dict(), "log": log}, file)
        return log

    def stage(self, stage: str, log: dict[str, Any]) -> None:
        """Stage 1 trains the connector, stage 2 the decoder as well."""
        model, steps, state_file = self.model, self.steps[stage], WORK / f"{self.name} {stage}.state"
        model.requires_grad_(True)
        model.language.requires_grad_(stage == "tune" and self.tuned)
        parts = nn.ModuleDict({"model": model})
        if self.heads is not None:
            parts["heads"] = self.heads
        if self.blip is not None and stage == "align":
            parts["blip"] = self.blip
        matrix_rate, vector_rate = RATES[stage]
        within = ("model.connector.", "model.language.blocks.")
        optimizer, first = Optimizer(parts, matrix_rate, vector_rate, within=within), 0
        if state_file.exists():
            state = torch.load(state_file, weights_only=False)
            parts.load_state_dict(state["parts"])
            for part, saved in zip(optimizer.parts, state["optimizer"], strict=True):
                part.load_state_dict(saved)
            self.generator.set_state(state["generator"])
            log["losses"], first = state["losses"], state["step"]
        recent: list[float] = []
        for step in track(range(first, steps), f"{self.name}, {stage}"):
            rows = torch.randint(len(self.trainer.train.scenes), (BATCH,), generator=self.generator)
            loss = self.loss(stage, rows)
            optimizer.step(loss, learning_rate(step, steps))
            recent.append(loss.item())
            if (step + 1) % 50 == 0 or step + 1 == steps:
                log["losses"].append([stage, step + 1, round(sum(recent) / len(recent), 4)])
                print(self.name, log["losses"][-1], flush=True)
                recent = []
                saved = {"parts": parts.state_dict(), "optimizer": [part.state_dict() for part in optimizer.parts]}
                saved |= {"generator": self.generator.get_state(), "losses": log["losses"], "step": step + 1}
                torch.save(saved, state_file)

    def loss(self, stage: str, rows: Tensor) -> Tensor:
        trainer, model = self.trainer, self.model
        asked = [texts(trainer.train.scenes[i], self.generator) for i in rows.tolist()]
        if stage == "align" and self.blip is not None:
            return self.representation_loss(rows)
        if stage == "align":
            asked = [about[:1] for about in asked]  # the captions
        batch = pack(trainer.tokenizer, asked)
        seen = shown(trainer, model, self.what, trainer.train, rows, self.generator)
        loss = cross_entropy(model.language, read(model, seen, batch), batch.labels)
        if self.heads is None:
            return loss
        states, labels, closing = self.retrieval_states([trainer.train.scenes[i].caption for i in rows.tolist()])
        retrieval = cross_entropy(model.language, states, labels)
        texts_, images = self.heads(closing, self.pooled(trainer.train.features[rows]))
        return fromage_loss(loss, retrieval, texts_, images, self.heads.logit_scale.exp().clamp(max=100))

    def representation_loss(self, rows: Tensor) -> Tensor:
        assert self.blip is not None
        words = [f"{BEGIN} {self.trainer.train.scenes[i].caption} {END}" for i in rows.tolist()]
        ids = [self.trainer.tokenizer.encode(text) for text in words]
        tokens = torch.zeros(len(ids), max(map(len, ids)), dtype=torch.long)
        for row, found in zip(tokens, ids, strict=True):
            row[: len(found)] = torch.tensor(found)
        z = (self.trainer.train.features[rows].float() - self.model.mean) / self.model.std
        return torch.stack(list(self.blip.losses(z, tokens, tokens > 0, self.generator).values())).sum()

    def pooled(self, features: Tensor) -> Tensor:
        return ((features.float() - self.model.mean) / self.model.std).mean(1)

    def retrieval_states(self, captions: list[str]) -> tuple[Tensor, Tensor, Tensor]:
        """Of captions closed by [RET], without pictures: states, what they predict, and the state at [RET]."""
        assert self.heads is not None
        batch = pack(self.trainer.tokenizer, [[("caption", "", f"{text} {RETRIEVE}")] for text in captions])
        closing = batch.tokens == self.trainer.tokenizer.ids[RETRIEVE]
        words = torch.where(closing[..., None], self.heads.token, self.model.language.embed(batch.tokens))
        nothing = torch.zeros(len(captions), 0, words.shape[2])
        states = read(self.model, nothing, batch, words)
        labels = batch.labels.masked_fill(batch.labels == self.trainer.tokenizer.ids[END], -100)
        return states, labels, states[closing]

    @torch.no_grad()
    def retrieval(self) -> dict[str, Any]:
        """Of held-out scenes: how often a caption's [RET] finds its own picture first, or among five."""
        assert self.heads is not None
        data = self.trainer.tests["held-out pairs"]
        _, _, closing = self.retrieval_states([scene.caption for scene in data.scenes])
        texts_, images = self.heads(closing, self.pooled(data.features))
        order = (texts_ @ images.T).argsort(1, descending=True)
        place = (order == torch.arange(len(order))[:, None]).int().argmax(1)
        found = {f"R@{k}": round((place < k).float().mean().item(), 4) for k in (1, 5)}
        return found | {"pictures": len(order)}


def write(trainer: Trainer, log: dict[str, Any]) -> None:
    """The checkpoint in int8, the words, and what the stored model answers."""
    model = EmojiVLM(EmojiVLMConfig())
    model.load_state_dict(torch.load(WORK / f"{KEPT}.pt", weights_only=False)["model"])
    FOLDER.mkdir(parents=True, exist_ok=True)
    save(model, FOLDER / "emoji_vlm.safetensors", int8=True)
    (FOLDER / "words.json").write_text(json.dumps(trainer.tokenizer.words) + "\n", encoding="utf-8")
    stored = load_emoji_vlm()
    log["stored"] = {name: scores(trainer, stored, "picture", name) for name in trainer.tests}
    (FOLDER / "log.json").write_text(json.dumps(log, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", help="these runs; what was trained so far is written")
    chosen = parser.parse_args().only
    torch.set_num_threads(1)
    WORK.mkdir(parents=True, exist_ok=True)
    trainer, text_log = Trainer(), {}
    language = trainer.language(text_log)
    log: dict[str, Any] = {
        "made_by": "training/train_vlm.py",
        "seed": SEED,
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "scenes": SCENES,
        "batch": BATCH,
        "decoder": text_log | {"parameters": sum(p.numel() for p in language.parameters())},
        "runs": {},
    }
    for name in RUNS:
        if chosen is None or name in chosen or (WORK / f"{name}.pt").exists():
            log["runs"][name] = Run(trainer, name, language).train()
            if KEPT in log["runs"]:
                write(trainer, log)


if __name__ == "__main__":
    main()
