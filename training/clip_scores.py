"""What a CLIP on the emoji is asked about what was held out, and the baselines beside it."""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nimblelm.data.emoji import GENDERS, STYLES, Concept, concepts, pictures
from nimblelm.data.emoji.splits import held_out_composition, held_out_concept
from nimblelm.vision.emoji_clip import TEMPLATES, EmojiCLIP, people, trained_concept
from nimblelm.vision.emoji_models import CATEGORIES
from nimblelm.vision.hog import hog_and_colour
from nimblelm.vision.preprocessing import normalize
from nimblelm.vision.zero_shot import class_embeddings

NEAREST = 10  # trained pictures whose captions word overlap looks at
Rank = Callable[[str, Sequence[Concept], Sequence[Concept]], Tensor]  # style, shown, captions' concepts -> scores

BASE = [one for one in concepts() if one.skin_tone is None]
KNOWN = [one for one in BASE if trained_concept(one)]
HELD = [one for one in BASE if not trained_concept(one)]


def drawn(shown: Sequence[Concept], style: str) -> Tensor:
    return normalize(pictures(style)[torch.tensor([one.index for one in shown])])


class ByCLIP:
    """Cosines of pictures and of captions, alone or in an ensemble of prompts."""

    def __init__(self, model: EmojiCLIP, templates: Sequence[str]):
        self.model, self.templates = model, templates

    @torch.inference_mode()
    def __call__(self, style: str, shown: Sequence[Concept], named: Sequence[Concept]) -> Tensor:
        images = torch.cat([self.model.image_features(part) for part in drawn(shown, style).split(256)])
        texts = class_embeddings(self.model.text_features, [one.caption for one in named], self.templates)
        return images @ texts.T


class Nearest:
    """The caption of the nearest trained picture; a caption that was never trained has none."""

    def __init__(self, unseen: str, features: Callable[[Tensor], Tensor]):
        self.features, self.styles = features, [style for style in STYLES if style != unseen]
        self.known = torch.stack([features(drawn(KNOWN, style)) for style in self.styles])  # (style, N, f)

    def __call__(self, style: str, shown: Sequence[Concept], named: Sequence[Concept]) -> Tensor:
        own = self.features(drawn(shown, style))
        near = torch.stack([-torch.cdist(own, known) for known in self.known]).amax(0)  # (B, N)
        at = {one.name: i for i, one in enumerate(KNOWN)}
        scores = torch.full((len(shown), len(named)), -torch.inf)
        there = [(j, at[one.name]) for j, one in enumerate(named) if one.name in at]
        scores[:, [j for j, _ in there]] = near[:, [i for _, i in there]]
        return scores


class WordOverlap:
    """Captions by the words and pieces of words that they share with those of the nearest trained pictures (TF-IDF)."""

    def __init__(self, unseen: str):
        self.nearest = Nearest(unseen, hog_and_colour)
        documents = [_pieces(one.caption) for one in BASE]
        often = Counter(piece for document in documents for piece in document)
        self.number = {piece: i for i, piece in enumerate(often)}
        self.weight = torch.tensor([math.log(len(documents) / often[piece]) for piece in often])

    def vectors(self, shown: Sequence[Concept]) -> Tensor:
        found = torch.zeros(len(shown), len(self.number))
        for row, one in zip(found, shown, strict=True):
            row[[self.number[piece] for piece in _pieces(one.caption)]] = 1
        return F.normalize(found * self.weight, dim=1)

    def __call__(self, style: str, shown: Sequence[Concept], named: Sequence[Concept]) -> Tensor:
        near = self.nearest(style, shown, KNOWN).topk(NEAREST).indices  # (B, 10)
        return self.vectors(KNOWN)[near].mean(1) @ self.vectors(named).T


def _pieces(caption: str) -> set[str]:
    words = re.findall(r"[a-z0-9]+", caption.lower())
    grams = {f"<{word}>"[i : i + n] for word in words for n in (3, 4) for i in range(len(word) + 3 - n)}
    return {f"={word}" for word in words} | grams


class Supervised:
    """A linear classifier of the trained captions on HOG and colours; what it has no class for it cannot name."""

    def __init__(self, unseen: str, labels: Callable[[Concept], str], of: Sequence[Concept], ridge: float = 0.1):
        self.names = sorted({labels(one) for one in of})
        self.labels = labels
        styles = [style for style in STYLES if style != unseen]
        features = torch.cat([hog_and_colour(drawn(of, style)) for style in styles])
        target = torch.tensor([self.names.index(labels(one)) for one in of]).repeat(len(styles))
        self.mean = features.mean(0)
        centred = (features - self.mean).double()
        one_hot = F.one_hot(target, len(self.names)).double()
        gram = centred.T @ centred + ridge * torch.eye(centred.shape[1], dtype=torch.float64)
        self.weight = torch.linalg.solve(gram, centred.T @ (one_hot - one_hot.mean(0))).float()

    def __call__(self, style: str, shown: Sequence[Concept], named: Sequence[Concept]) -> Tensor:
        logits = (hog_and_colour(drawn(shown, style)) - self.mean) @ self.weight
        at = {name: i for i, name in enumerate(self.names)}
        scores = torch.full((len(shown), len(named)), -torch.inf)
        there = [(j, at[self.labels(one)]) for j, one in enumerate(named) if self.labels(one) in at]
        scores[:, [j for j, _ in there]] = logits[:, [i for _, i in there]]
        return scores


class TwoHeads:
    """A supervised classifier that is told what CLIP is not: gender and role are two questions."""

    def __init__(self, unseen: str):
        known = [one for one in people() if trained_concept(one)]
        self.gender = Supervised(unseen, lambda one: str(one.gender), known)
        self.role = Supervised(unseen, lambda one: str(one.role), known)

    def __call__(self, style: str, shown: Sequence[Concept], named: Sequence[Concept]) -> Tensor:
        return self.gender(style, shown, named) + self.role(style, shown, named)


def top(scores: Tensor, right: Sequence[int], k: int = 1) -> float:
    """Share of rows whose right column is among the k best."""
    best = scores.topk(k).indices
    return round((best == torch.tensor(right)[:, None]).any(1).float().mean().item(), 4)


def retrieval(rank: Rank, unseen: str) -> dict[str, float]:
    """Naming a picture: which of all captions, and for captions that were never trained, which of those."""
    trained, found = [style for style in STYLES if style != unseen], {}
    scores = rank(unseen, KNOWN, BASE)
    right = [BASE.index(one) for one in KNOWN]
    found |= {"seen, unseen style": top(scores, right), "seen, unseen style, top 5": top(scores, right, 5)}
    for name, styles in (("new, trained styles", trained), ("new, unseen style", [unseen])):
        every = [rank(style, HELD, HELD) for style in styles]
        for k, label in ((1, name), (5, f"{name}, top 5")):
            found[label] = round(sum(top(one, range(len(HELD)), k) for one in every) / len(every), 4)
    return found


def composition(rank: Rank, unseen: str) -> dict[str, dict[str, float]]:
    """Held-out genders of roles among all people: exactly right, role right, gender right."""
    named = people()
    shown = [one for one in named if held_out_composition(one) and role_known(one, named)]
    right = [named.index(one) for one in shown]
    found = {}
    for name, styles in (
        ("trained styles", [style for style in STYLES if style != unseen]),
        ("unseen style", [unseen]),
    ):
        every = [rank(style, shown, named) for style in styles]
        said = [[named[i] for i in scores.argmax(1).tolist()] for scores in every]
        pairs = [(one, other) for row in said for one, other in zip(shown, row, strict=True)]
        found[name] = {
            "exact": round(sum(top(scores, right) for scores in every) / len(every), 4),
            "top 5": round(sum(top(scores, right, 5) for scores in every) / len(every), 4),
            "role": round(sum(one.role == other.role for one, other in pairs) / len(pairs), 4),
            "gender": round(sum(one.gender == other.gender for one, other in pairs) / len(pairs), 4),
            "pictures": len(pairs),
        }
    return found


def role_known(one: Concept, named: Sequence[Concept]) -> bool:
    """Whether the role was trained with both other genders."""
    others = [other for other in named if other.role == one.role and other.gender != one.gender]
    return len(others) == len(GENDERS) - 1 and all(trained_concept(other) for other in others)


def categories(model: EmojiCLIP, unseen: str) -> dict[str, Any]:
    """Thirteen categories of concepts that were never trained, by words alone, and by the nearest labelled picture."""
    shown = [one for one in BASE if held_out_concept(one) and one.category in CATEGORIES]
    labelled = [one for one in BASE if not held_out_concept(one) and one.category in CATEGORIES]
    labels = torch.tensor([CATEGORIES.index(one.category) for one in shown])
    kinds = [f"a kind of {name}" for name in CATEGORIES]

    def told(templates: Sequence[str]) -> Callable[[str], Tensor]:
        classes = class_embeddings(model.text_features, kinds, templates)
        return lambda style: (model.image_features(drawn(shown, style)) @ classes.T).argmax(1)

    def by_members(style: str) -> Tensor:
        texts = class_embeddings(model.text_features, [one.caption for one in labelled], TEMPLATES)
        members = torch.tensor([CATEGORIES.index(one.category) for one in labelled])
        classes = torch.stack([F.normalize(texts[members == i].mean(0), dim=0) for i in range(len(CATEGORIES))])
        return (model.image_features(drawn(shown, style)) @ classes.T).argmax(1)

    def nearest(style: str) -> Tensor:
        styles = [one for one in STYLES if one != unseen]
        known = torch.cat([hog_and_colour(drawn(labelled, one)) for one in styles])
        near = torch.cdist(hog_and_colour(drawn(shown, style)), known).argmin(1) % len(labelled)
        return torch.tensor([CATEGORIES.index(labelled[i].category) for i in near.tolist()])

    often = labels.bincount().argmax()
    ways = {
        "one prompt": told(("{}",)),
        "six prompts": told(TEMPLATES),
        "names of the trained members": by_members,
        "nearest in HOG and colour, labelled": nearest,
        "majority": lambda style: often.expand(len(shown)),
    }
    with torch.inference_mode():
        return {
            name: {
                style: round((way(style) == labels).float().mean().item(), 4)
                for style in (unseen, *[one for one in STYLES if one != unseen])
            }
            for name, way in ways.items()
        } | {"pictures": len(shown)}


def report(model: EmojiCLIP, unseen: str) -> dict[str, Any]:
    """All of it, for CLIP and for what is compared with it."""
    torch.manual_seed(0)
    ways: dict[str, Rank] = {
        "CLIP": ByCLIP(model, TEMPLATES[:1]),
        "CLIP, six prompts": ByCLIP(model, TEMPLATES),
        "CLIP, untrained": ByCLIP(EmojiCLIP(model.config).eval(), TEMPLATES[:1]),
        "nearest in pixels": Nearest(unseen, lambda images: images.flatten(1)),
        "nearest in HOG and colour": Nearest(unseen, hog_and_colour),
        "word overlap": WordOverlap(unseen),
        "supervised, a class a caption": Supervised(unseen, lambda one: one.name, KNOWN),
    }
    found: dict[str, Any] = {
        name: {"retrieval": retrieval(rank, unseen), "composition": composition(rank, unseen)}
        for name, rank in ways.items()
    }
    found["supervised, gender and role"] = {"composition": composition(TwoHeads(unseen), unseen)}
    return {
        "scores": found,
        "categories": categories(model, unseen),
        "captions": len(BASE),
        "new": len(HELD),
        "people": len(people()),
    }
