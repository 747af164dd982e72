"""Train CLIP on the emoji, in all drawing styles but one.

python training/train_clip.py            (about 10 minutes of one CPU core; a stopped run is taken up)

A batch holds 160 concepts, each in two of the three trained styles, with one caption. Pictures are told from each
other by captions and captions by pictures, in both styles, and the two drawings of a concept by each other. In the last
200 steps a part of each batch are hard negatives: people who differ in their gender alone.
"""

import argparse
import json
import math
import platform
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from clip_scores import BASE, KNOWN, ByCLIP, composition, report, top
from language_model import track
from nimblelm.data.emoji import STYLES, Concept, concepts, pictures
from nimblelm.nn.checkpoint import save
from nimblelm.nn.contrastive import clip_loss
from nimblelm.vision.emoji_clip import (
    FOLDER,
    TEMPLATES,
    UNSEEN_STYLE,
    EmojiCLIP,
    EmojiCLIPConfig,
    load_emoji_clip,
    piece_ids,
    trained_concept,
)
from nimblelm.vision.preprocessing import augment, normalize

SEED = 0
WORK = Path(__file__).parents[1] / "_build/training/emoji_clip"
SETTINGS = {"steps": 1000, "batch": 160, "rate": 2e-3, "weight_decay": 0.1}
WARMUP_STEPS, DECAY = 120, 0.4  # along a cosine; share of the steps in which the rate falls to zero, linearly
WORD_DROPOUT = 0.15
TONED = 0.35  # share of a batch that wears a skin tone
HARD = {"steps": 200, "groups": 18, "rate": 0.4}  # after that: groups of people alike but for gender, share of the rate
MAX_SCALE = 100.0  # of the logits, as in CLIP


def captions_of(one: Concept) -> list[str]:
    """A concept's caption in every template, and beside its category."""
    return [template.format(one.caption) for template in TEMPLATES] + [f"{one.caption}, a kind of {one.category}"]


def drop_words(ids: Tensor, generator: torch.Generator) -> Tensor:
    """Whole words become padding at random; a caption that would lose all keeps all."""
    keep = torch.rand(ids.shape[:2], generator=generator) >= WORD_DROPOUT
    keep |= ~(keep & (ids[:, :, 0] > 0)).any(1, keepdim=True)
    return ids * keep[..., None]


class Batches:
    """Concepts that may be seen, with their pictures and captions."""

    def __init__(self, config: EmojiCLIPConfig):
        self.known = [one for one in concepts() if trained_concept(one)]
        rows = torch.tensor([one.index for one in self.known])
        styles = [style for style in STYLES if style != UNSEEN_STYLE]
        self.images = torch.stack([normalize(pictures(style)[rows]) for style in styles])  # (style, N, 3, 32, 32)
        texts = [caption for one in self.known for caption in captions_of(one)]
        ids = piece_ids(texts, config.num_buckets, config.max_words)
        self.ids = ids.view(len(self.known), -1, *ids.shape[1:])  # (N, template, T, G)
        toned = torch.tensor([one.skin_tone is not None for one in self.known])
        self.weights = torch.where(toned, TONED / toned.sum(), (1 - TONED) / (~toned).sum())
        alike: dict[tuple[str, str | None], list[int]] = {}
        for row, one in enumerate(self.known):
            if one.role:
                alike.setdefault((one.role, one.skin_tone), []).append(row)
        self.alike = [rows_ for rows_ in alike.values() if len(rows_) > 1]

    def draw(self, count: int, generator: torch.Generator, hard_groups: int = 0) -> tuple[Tensor, Tensor]:
        """Pictures (2 B, 3, 32, 32), first in one style, then in another, and piece ids (B, T, G) of a caption each."""
        chosen = torch.randint(len(self.alike), (hard_groups,), generator=generator).unique().tolist()
        hard = torch.tensor([row for i in chosen for row in self.alike[i]], dtype=torch.long)
        rows = torch.cat([hard, torch.multinomial(self.weights, count - len(hard), generator=generator)])
        styles = torch.rand(len(self.images), count, generator=generator).argsort(0)[:2]
        images = augment(self.images[styles, rows].flatten(0, 1), generator, flip=False)
        plain = torch.rand(count, generator=generator) < 0.4
        templates = torch.randint(self.ids.shape[1], (count,), generator=generator).masked_fill(plain, 0)
        return images, drop_words(self.ids[rows, templates], generator)


def share_of_rate(step: int) -> float:
    """Of the peak rate: warm-up, constant, decay to zero; with hard negatives once more from a part of it to zero."""
    steps = SETTINGS["steps"]
    if step >= steps:
        return HARD["rate"] * (1 - (step - steps) / HARD["steps"])
    warm = 0.04 + 0.96 * (1 - math.cos(math.pi * min(1.0, step / WARMUP_STEPS))) / 2
    return min(warm, (steps - step) / (DECAY * steps))


def train() -> dict[str, Any]:
    """The log of the training; taken up from `WORK` where a run was stopped."""
    torch.manual_seed(SEED)
    config = EmojiCLIPConfig()
    model, batches, generator = EmojiCLIP(config), Batches(config), torch.Generator().manual_seed(SEED)
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": SETTINGS["weight_decay"]}, {"params": others, "weight_decay": 0.0}],
        lr=SETTINGS["rate"],
        betas=(0.9, 0.98),
    )
    steps = int(SETTINGS["steps"] + HARD["steps"])
    log: dict[str, Any] = {"losses": [], "cpu_s": 0.0}
    state_file, step = WORK / f"{UNSEEN_STYLE}.pt", 0
    if state_file.exists():
        state = torch.load(state_file, weights_only=False)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        generator.set_state(state["generator"])
        log, step = state["log"], state["step"]
    log |= {"unseen_style": UNSEEN_STYLE, "concepts": len(batches.known), **SETTINGS, "hard": HARD}
    model.train()
    recent: list[float] = []
    began = time.process_time()
    for step in track(range(step, steps), "CLIP"):  # noqa: B020
        hard_groups = int(HARD["groups"]) if step >= SETTINGS["steps"] else 0
        images, ids = batches.draw(int(SETTINGS["batch"]), generator, hard_groups)
        with torch.autocast("cpu", torch.bfloat16):
            drawn = model.image_features(images.contiguous(memory_format=torch.channels_last))
            text = model.features_of_ids(ids)
        first, second = drawn.float().chunk(2)
        scale = model.logit_scale.exp()
        loss = (clip_loss(first, text.float(), scale) + clip_loss(second, text.float(), scale)) / 2
        loss = loss + clip_loss(first, second, scale)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = SETTINGS["rate"] * share_of_rate(step)
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(max=torch.tensor(MAX_SCALE).log())
        recent.append(loss.item())
        if (step + 1) % 25 == 0 or step + 1 == steps:
            log["losses"].append([step + 1, round(sum(recent) / len(recent), 4)])
            log["cpu_s"] = round(log["cpu_s"] + time.process_time() - began, 1)
            print(f"step {step + 1}: loss {log['losses'][-1][1]}, scale {scale:.1f}, {log['cpu_s']} s", flush=True)
            if (step + 1) % 200 == 0 or step + 1 == steps:
                print(glance(model), flush=True)
            recent, began = [], time.process_time()
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "log": log, "step": step + 1}
            state["generator"] = generator.get_state()
            torch.save(state, state_file.with_suffix(".new"))
            state_file.with_suffix(".new").replace(state_file)
    return log


@torch.inference_mode()
def glance(model: EmojiCLIP) -> dict[str, float]:
    """How it goes: trained concepts in the unseen style among all captions, held-out compositions among people."""
    model.eval()
    rank = ByCLIP(model, TEMPLATES[:1])
    found = {f"composed, {name}": one["exact"] for name, one in composition(rank, UNSEEN_STYLE).items()}
    right = top(rank(UNSEEN_STYLE, KNOWN, BASE), [BASE.index(one) for one in KNOWN])
    model.train()
    return found | {"seen, unseen style": right}


def write(log: dict[str, Any]) -> None:
    """The checkpoint, in int8, and what it retrieves as it was stored."""
    model = EmojiCLIP(EmojiCLIPConfig())
    model.load_state_dict(torch.load(WORK / f"{UNSEEN_STYLE}.pt", weights_only=False)["model"])
    FOLDER.mkdir(parents=True, exist_ok=True)
    save(model, FOLDER / "emoji_clip.safetensors", int8=True)
    found = {
        "made_by": "training/train_clip.py",
        "seed": SEED,
        "templates": [*TEMPLATES, "{}, a kind of <category>"],
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "training": log,
        **report(load_emoji_clip(), UNSEEN_STYLE),
    }
    (FOLDER / "log.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--score", action="store_true", help="write and score what was trained so far")
    score = parser.parse_args().score
    torch.set_num_threads(1)
    WORK.mkdir(parents=True, exist_ok=True)
    write(torch.load(WORK / f"{UNSEEN_STYLE}.pt", weights_only=False)["log"] if score else train())


if __name__ == "__main__":
    main()
