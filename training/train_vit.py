"""Train a vision transformer and a residual network on the emoji, with and without pretraining, and tell how they do.

python training/train_vit.py            (about 40 minutes of one CPU core; stopped runs are taken up where they were)

1. Pretraining: name the concept of a picture, one of some 1,300, in three drawing styles. No category is used.
2. Fine-tuning to thirteen categories, from 5, 20 or all labelled concepts a category, from the pretrained weights and
   from random ones, on the same pictures for the same steps.
3. The transformer goes on with scenes of 64 x 64: which categories are in it? Positions are interpolated.

Tested on concepts that were never trained, in a style that was never trained.
"""

import argparse
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from language_model import track
from nimblelm.data.emoji import Concept, concepts
from nimblelm.data.emoji.scenes import draw_scene
from nimblelm.data.emoji.splits import held_out_concept
from nimblelm.nn.attend import recorded
from nimblelm.nn.checkpoint import save
from nimblelm.nn.patches import interpolate_positions
from nimblelm.vision.emoji_models import (
    CATEGORIES,
    FOLDER,
    TRAINED_STYLES,
    UNSEEN_STYLE,
    LabelledPictures,
    labelled_pictures,
)
from nimblelm.vision.hog import hog_and_colour
from nimblelm.vision.preprocessing import augment, normalize, restyle
from nimblelm.vision.resnet import ResNet, ResNetConfig
from nimblelm.vision.vit import ViT, ViTConfig

SEED = 0
SCALE = (0.8, 1.7)  # the unseen style draws smaller
WORK = Path(__file__).parents[1] / "_build/training/emoji_vision"
PRETRAINING = {"steps": 1400, "batch": 256, "rate": 1e-3}
FINE_TUNING = {"batch": 96, "rate": 3e-4}
FROM_SCRATCH = {"batch": 96, "rate": 1e-3}
STEPS_OF = {"5": 80, "20": 140, "all": 700}  # by labelled concepts a category
SCENES = {"train": 1500, "test": 150, "steps": 400, "batch": 24, "rate": 7e-4}
Loss = Callable[[Tensor, Tensor], Tensor]


def new_model(kind: str, num_classes: int) -> nn.Module:
    if kind == "vit":
        config = ViTConfig(32, 8, d_model=128, num_layers=6, num_heads=4, d_ff=256, num_classes=num_classes)
        return ViT(config)
    return ResNet(ResNetConfig(24, (24, 48, 96, 192), (1, 1, 1, 1), small_images=True, num_classes=num_classes))


def logits_of(model: nn.Module, images: Tensor) -> Tensor:
    """In bfloat16: convolutions with the channels last, attention without the fused kernel, whose backward is slow."""
    with torch.autocast("cpu", torch.bfloat16):
        if isinstance(model, ViT):
            return model(images, recorded([])).float()
        return model(images.to(memory_format=torch.channels_last)).float()


def fit(
    name: str, model: nn.Module, images: Tensor, labels: Tensor, loss: Loss, *, steps: int, batch: int, rate: float
) -> tuple[nn.Module, dict[str, Any]]:
    """The model after so many steps, and its log; taken up from `WORK` where a run was stopped."""
    state_file, generator = WORK / f"{name}.pt", torch.Generator().manual_seed(SEED)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.05, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps + 1, pct_start=0.1)
    log: dict[str, Any] = {"steps": steps, "batch": batch, "rate": rate, "losses": [], "cpu_s": 0.0}
    step = 0
    if state_file.exists():
        state = torch.load(state_file, weights_only=False)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        generator.set_state(state["generator"])
        log, step = state["log"], state["step"]
    model.train()
    recent: list[float] = []
    began = time.process_time()
    for step in track(range(step, steps), name):  # noqa: B020
        rows = torch.randint(len(images), (batch,), generator=generator)
        value = loss(logits_of(model, augment(restyle(images[rows], generator), generator, scale=SCALE)), labels[rows])
        optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        recent.append(value.item())
        if (step + 1) % 20 == 0 or step + 1 == steps:
            log["losses"].append([step + 1, round(sum(recent) / len(recent), 4)])
            log["cpu_s"] = round(log["cpu_s"] + time.process_time() - began, 1)
            print(f"{name} step {step + 1}: loss {log['losses'][-1][1]}, {log['cpu_s']} s of CPU", flush=True)
            recent, began = [], time.process_time()
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "log": log, "step": step + 1}
            state |= {"schedule": schedule.state_dict(), "generator": generator.get_state()}
            torch.save(state, state_file.with_suffix(".new"))
            state_file.with_suffix(".new").replace(state_file)
    return model.eval(), log


@torch.inference_mode()
def predicted(model: nn.Module, images: Tensor) -> Tensor:
    return torch.cat([model(part).argmax(1) for part in images.split(256)])


def tests() -> dict[str, LabelledPictures]:
    """What models are asked: the last is what counts."""
    return {
        "seen concepts, unseen style": labelled_pictures((UNSEEN_STYLE,)),
        "new concepts, trained styles": labelled_pictures(choose=held_out_concept),
        "new concepts, unseen style": labelled_pictures((UNSEEN_STYLE,), held_out_concept),
    }


def scores(predict: Callable[[Tensor], Tensor]) -> dict[str, dict[str, float]]:
    """Accuracy of each test, and its mean over the categories."""
    found = {}
    for name, test in tests().items():
        right = predict(test.images) == test.labels
        by_class = [right[test.labels == one].float().mean().item() for one in test.labels.unique().tolist()]
        found[name] = {
            "accuracy": round(right.float().mean().item(), 4),
            "balanced": round(sum(by_class) / len(by_class), 4),
            "pictures": len(right),
        }
    return found


def few(per_category: str) -> LabelledPictures:
    """So many concepts of each category, or all, in all trained styles."""
    data = labelled_pictures()
    if per_category == "all":
        return data
    generator, chosen = torch.Generator().manual_seed(SEED), set()
    for category in CATEGORIES:
        names = sorted({one.name for one in data.shown if one.category == category})
        chosen |= {names[i] for i in torch.randperm(len(names), generator=generator)[: int(per_category)].tolist()}
    return labelled_pictures(choose=lambda one: one.name in chosen)


def pretrained(kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights after naming concepts, without the last layer."""
    from nimblelm.data.emoji import pictures

    known = [one for one in concepts() if one.skin_tone is None and not held_out_concept(one)]
    rows = torch.tensor([one.index for one in known])
    images = torch.cat([normalize(pictures(style)[rows]) for style in TRAINED_STYLES])
    labels = torch.arange(len(known)).repeat(len(TRAINED_STYLES))
    torch.manual_seed(SEED)
    model, log = fit(f"{kind}-pretraining", new_model(kind, len(known)), images, labels, smoothed, **PRETRAINING)
    unseen = normalize(pictures(UNSEEN_STYLE)[rows])
    log["concepts"] = len(known)
    log["named_in_unseen_style"] = round(
        (predicted(model, unseen) == torch.arange(len(known))).float().mean().item(), 4
    )
    return {name: weight for name, weight in model.state_dict().items() if "classifier" not in name}, log


def smoothed(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits, labels, label_smoothing=0.1)


def train_kind(kind: str) -> dict[str, Any]:
    """Pretraining and every fine-tuning of one architecture."""
    weights, log = pretrained(kind)
    rows = []
    for per_category, steps in STEPS_OF.items():
        data = few(per_category)
        for start in ("pretrained", "random"):
            torch.manual_seed(SEED)
            model = new_model(kind, len(CATEGORIES))
            settings = FROM_SCRATCH if start == "random" else FINE_TUNING
            if start == "pretrained":
                model.load_state_dict(weights, strict=False)
            name = f"{kind}-{start}-{per_category}"
            model, own = fit(name, model, data.images, data.labels, smoothed, steps=steps, **settings)
            rows.append({"model": kind, "start": start, "per_category": per_category, "log": own})
            rows[-1] |= {
                "pictures": len(data.images),
                "scores": scores(lambda images, model=model: predicted(model, images)),
            }
            print(name, rows[-1]["scores"], flush=True)
            if per_category == "all" and start == "pretrained":
                torch.save(model.state_dict(), WORK / f"{kind}.final.pt")
    parameters = sum(weight.numel() for weight in model.parameters())
    return {"model": kind, "parameters": parameters, "pretraining": log, "fine_tuning": rows}


def baselines() -> list[dict[str, Any]]:
    """The majority, and the nearest labelled picture in pixels and in HOG with colours."""
    found = []
    for per_category in STEPS_OF:
        data = few(per_category)
        majority = data.labels.bincount().argmax()

        def nearest(images: Tensor, features: Callable[[Tensor], Tensor], data: LabelledPictures = data) -> Tensor:
            return data.labels[torch.cdist(features(images), features(data.images)).argmin(1)]

        ways = {
            "majority": lambda images, majority=majority: majority.expand(len(images)),
            "nearest in pixels": lambda images, nearest=nearest: nearest(images, lambda x: x.flatten(1)),
            "nearest in HOG and colour": lambda images, nearest=nearest: nearest(images, hog_and_colour),
        }
        found += [{"model": name, "per_category": per_category, "scores": scores(way)} for name, way in ways.items()]
    return found


def scenes(count: int, pool: list[Concept], styles: tuple[str, ...], seed: int) -> tuple[Tensor, Tensor]:
    """Pictures (N, 3, 64, 64), and which categories are in each (N, 13)."""
    generator = torch.Generator().manual_seed(seed)
    drawn = [draw_scene(pool, styles[i % len(styles)], generator) for i in range(count)]
    labels = torch.zeros(count, len(CATEGORIES))
    for row, scene in zip(labels, drawn, strict=True):
        row[[CATEGORIES.index(one.concept.category) for one in scene.placed]] = 1
    return normalize(torch.stack([scene.picture for scene in drawn])), labels


def train_scenes() -> dict[str, Any]:
    """The pretrained transformer, fine-tuned to categories, goes on at twice the resolution."""
    usable = [one for one in concepts() if one.skin_tone is None and one.category in CATEGORIES]
    known, new = ([one for one in usable if held_out_concept(one) is held] for held in (False, True))
    images, labels = scenes(SCENES["train"], known, TRAINED_STYLES, SEED + 1)
    model = new_model("vit", len(CATEGORIES))
    model.load_state_dict(torch.load(WORK / "vit.final.pt"))
    assert isinstance(model, ViT)
    larger = ViT(ViTConfig(**{**vars(model.config), "image_size": 64}))
    weights = model.state_dict()
    weights["positions"] = interpolate_positions(weights["positions"], model.config.grid, larger.config.grid)
    larger.load_state_dict(weights)
    settings = {key: SCENES[key] for key in ("steps", "batch", "rate")}
    model, log = fit("vit-scenes", larger, images, labels, F.binary_cross_entropy_with_logits, **settings)
    log["scores"] = scene_scores(model, known, new)
    torch.save(model.state_dict(), WORK / "scene_vit.final.pt")
    return log


@torch.inference_mode()
def scene_scores(model: nn.Module, known: list[Concept], new: list[Concept]) -> dict[str, Any]:
    """Mean over the scenes of average precision: are the categories that are there ranked before the others?"""
    found = {}
    for name, pool, styles in (
        ("seen concepts, trained styles", known, TRAINED_STYLES),
        ("new concepts, trained styles", new, TRAINED_STYLES),
        ("new concepts, unseen style", new, (UNSEEN_STYLE,)),
    ):
        images, labels = scenes(SCENES["test"], pool, styles, SEED + 2)
        ranked = torch.cat([model(part) for part in images.split(100)])
        often = labels.mean(0).expand(len(labels), -1)  # knows how common each category is in this very test
        found[name] = {
            "average_precision": average_precision(ranked, labels),
            "by_frequency": average_precision(often, labels),
            "scenes": len(images),
        }
    return found


def average_precision(ranked: Tensor, labels: Tensor) -> float:
    there = labels.gather(1, ranked.argsort(1, descending=True))
    precision = there.cumsum(1) / torch.arange(1, labels.shape[1] + 1)
    return round(((precision * there).sum(1) / there.sum(1)).mean().item(), 4)


def write(report: dict[str, Any]) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for kind, name in (("vit", "vit"), ("resnet", "resnet")):
        model = new_model(kind, len(CATEGORIES))
        model.load_state_dict(torch.load(WORK / f"{name}.final.pt"))
        store(model, name)
    larger = ViT(ViTConfig(**{**vars(new_model("vit", len(CATEGORIES)).config), "image_size": 64}))  # pyright: ignore
    larger.load_state_dict(torch.load(WORK / "scene_vit.final.pt"))
    store(larger, "scene_vit")
    (FOLDER / "log.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def store(model: nn.Module, name: str) -> None:
    """In int8, which is a quarter."""
    save(model, FOLDER / f"{name}.safetensors", int8=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("vit", "resnet"), help="one architecture, so that two runs share the work")
    only = parser.parse_args().only
    torch.set_num_threads(1)
    WORK.mkdir(parents=True, exist_ok=True)
    if only:
        train_kind(only)
        if only == "vit":
            train_scenes()
        return
    report = {
        "made_by": "training/train_vit.py",
        "seed": SEED,
        "categories": list(CATEGORIES),
        "trained_styles": list(TRAINED_STYLES),
        "unseen_style": UNSEEN_STYLE,
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "models": [train_kind("vit"), train_kind("resnet")],
        "baselines": baselines(),
        "scenes": train_scenes(),
    }
    write(report)


if __name__ == "__main__":
    main()
