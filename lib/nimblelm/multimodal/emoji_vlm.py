"""A language model that sees the picture set: frozen tower, connector, decoder; and the checkpoint trained here.

`training/train_vlm.py` made the checkpoint.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from nimblelm.data.emoji import Concept, concept, concepts
from nimblelm.data.words import BEGIN, END, WordTokenizer
from nimblelm.language.llama import Llama, LlamaConfig
from nimblelm.multimodal.blip2 import Queries, QueriesConfig
from nimblelm.multimodal.molmo import AttentionPooling, annotations_mask
from nimblelm.multimodal.projectors import LinearProjector, MLPProjector, NormedProjector, merge_windows
from nimblelm.multimodal.qformer import QFormerConfig
from nimblelm.nn.attend import Past, masked
from nimblelm.nn.checkpoint import load
from nimblelm.vision.emoji_clip import load_emoji_clip
from nimblelm.vision.preprocessing import normalize
from nimblelm.vision.resnet import ResNet

FOLDER = Path(__file__).parents[1] / "data" / "checkpoints" / "emoji_vlm"
UNSEEN_STYLE = "twemoji"  # neither tower nor decoder saw a picture of it
GRID = (8, 8)  # of features of a scene of 64 x 64
D_VISION = 96 + 160  # the last two stages side by side
WINDOW = 2
CONNECTORS = ("linear", "mlp", "yi_vl", "molmo", "qformer", "fromage")
POOL_NAMES = (
    "cat",
    "dog",
    "cow",
    "pig",
    "elephant",
    "lion",
    "owl",
    "penguin",
    "rabbit",
    "shark",
    "snake",
    "turtle",
    "whale",
    "zebra",
    "butterfly",
    "horse",
    "pizza",
    "carrot",
    "hamburger",
    "pineapple",
    "cherries",
    "mango",
    "doughnut",
    "grapes",
    "bus",
    "bicycle",
    "helicopter",
    "tractor",
    "sailboat",
    "train",
    "umbrella",
    "guitar",
    "violin",
    "crown",
    "hammer",
    "scissors",
    "camera",
    "rainbow",
    "snowman",
    "house",
)


@cache
def pool() -> tuple[Concept, ...]:
    """The forty things that its scenes show, one word each."""
    return tuple(concept(name) for name in POOL_NAMES)


@cache
def clocks() -> tuple[Concept, ...]:
    """The twenty-four clock faces."""
    return tuple(one for one in concepts() if one.category == "clock")


@torch.no_grad()
def scene_features(tower: ResNet, pictures: UInt8[Tensor, "B 3 64 64"]) -> Float[Tensor, "B 64 256"]:
    """The tower's last two stages for each of 8 x 8 patches, the earlier one averaged to that grid."""
    *_, earlier, last = tower.features(normalize(pictures))
    both = torch.cat([nn.functional.avg_pool2d(earlier, 2), last], dim=1)
    return both.flatten(2).mT.contiguous()


@dataclass(frozen=True)
class EmojiVLMConfig:
    """Shape of connector and decoder.

    Raises:
        ValueError: the connector is none of CONNECTORS.
    """

    language: LlamaConfig = field(
        default_factory=lambda: LlamaConfig(
            vocab_size=1600, d_model=128, num_layers=4, num_heads=4, num_kv_heads=2, d_ff=192, max_seq_len=128
        )
    )
    connector: str = "mlp"

    def __post_init__(self):
        if self.connector not in CONNECTORS:
            raise ValueError(f"no connector is named {self.connector!r}; there are {', '.join(CONNECTORS)}")


class EmojiVLM(nn.Module):
    """Logits of the words behind a picture: its features become embeddings that stand before the words.

    Args:
        config: the shape.

    Chapter: book/ch11_language_models_that_see
    """

    config_class = EmojiVLMConfig
    mean: Tensor
    std: Tensor

    def __init__(self, config: EmojiVLMConfig):
        super().__init__()
        self.config, width = config, config.language.d_model
        self.language = Llama(config.language)
        self.connector = _connector(config.connector, width)
        self.register_buffer("mean", torch.zeros(D_VISION))  # of features, over the scenes of training
        self.register_buffer("std", torch.ones(D_VISION))

    def see(self, features: Float[Tensor, "B 64 256"]) -> Float[Tensor, "B N d"]:
        """The picture's tokens: 16 of them, or FROMAGe's single one."""
        z, name = (features - self.mean) / self.std, self.config.connector
        if name == "molmo":
            return self.connector(z, GRID)
        if name == "qformer":
            return self.connector(z)
        if name == "fromage":
            return self.connector(z.mean(1, keepdim=True))
        return self.connector(merge_windows(z, GRID, WINDOW).flatten(2))

    def forward(self, features: Float[Tensor, "B 64 256"], tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B T V"]:
        """Logits after each token, the picture before them."""
        seen = self.see(features)
        x = torch.cat([seen, self.language.embed(tokens)], dim=1)
        return self.language.head(self.language.states(x)[:, seen.shape[1] :])


def _connector(name: str, width: int) -> nn.Module:
    merged = WINDOW**2 * D_VISION
    if name == "linear":
        return LinearProjector(merged, width)
    if name == "mlp":
        return MLPProjector(merged, width)
    if name == "yi_vl":
        return NormedProjector(merged, width)
    if name == "molmo":
        return AttentionPooling(D_VISION, width, num_heads=4, d_ff=128)
    if name == "qformer":
        shape = QFormerConfig(width, num_layers=2, num_heads=4, d_ff=192, d_context=D_VISION)
        return nn.Sequential(
            Queries(QueriesConfig(shape, num_queries=16, num_patches=64, embedding_dim=64)), nn.Linear(width, width)
        )
    return LinearProjector(D_VISION, width)


@torch.inference_mode()
def answer(
    model: EmojiVLM, tokenizer: WordTokenizer, features: Float[Tensor, "1 64 256"], question: str, max_words: int = 20
) -> tuple[list[str], Float[Tensor, "W V"]]:
    """The likeliest words behind a question, one after the other, and the probabilities of all at each step.

    Raises:
        ValueError: the question has a word that the tokenizer does not know.
    """
    tokens, words, steps = tokenizer.encode(f"{BEGIN} {question}"), [], []
    for _ in range(max_words):
        probabilities = model(features, torch.tensor([tokens]))[0, -1].softmax(-1)
        tokens.append(int(probabilities.argmax()))
        word = tokenizer.words[tokens[-1]]
        if word == END:
            break
        words.append(word)
        steps.append(probabilities)
    return words, torch.stack(steps) if steps else torch.zeros(0, model.config.language.vocab_size)


@torch.inference_mode()
def first_words(
    model: EmojiVLM, tokenizer: WordTokenizer, features: Float[Tensor, "B 64 256"], questions: Sequence[str]
) -> Float[Tensor, "B Q V"]:
    """Probabilities of the first word behind each of several questions about each picture, in one pass.

    The questions stand one behind the other and do not see each other (`annotations_mask`), so each is answered as if
    it had been asked alone.

    Raises:
        ValueError: there is no question, or one has a word that the tokenizer does not know.
    """
    if not questions:
        raise ValueError("there is no question")
    asked = [torch.tensor(tokenizer.encode(f"{BEGIN} {question}")) for question in questions]
    seen = model.see(features)
    count, length = seen.shape[1], sum(map(len, asked))
    number = torch.cat([torch.full((count,), 0), *(torch.full_like(one, n) for n, one in enumerate(asked, 1))])
    places = torch.cat([torch.arange(count), *(count + torch.arange(len(one)) for one in asked)])
    words = model.language.embed(torch.cat(asked)[None]).expand(len(seen), length, -1)
    past = Past(
        [masked(annotations_mask(number[None]))] * len(model.language.blocks), places[None].expand(len(seen), -1)
    )
    states = model.language.states(torch.cat([seen, words], dim=1), past)
    ends = count - 1 + torch.tensor([len(one) for one in asked]).cumsum(0)
    return model.language.head(states[:, ends]).softmax(-1)


@cache
def load_tower() -> ResNet:
    """CLIP's image tower on the picture set, chapter 9's."""
    return load_emoji_clip().image_tower


def load_emoji_vlm() -> EmojiVLM:
    """The model with LLaVA-1.5's projector."""
    return load(EmojiVLM, FOLDER / "emoji_vlm.safetensors")


@cache
def load_words() -> WordTokenizer:
    """Its tokenizer."""
    return WordTokenizer(json.loads((FOLDER / "words.json").read_text(encoding="utf-8")))


def training_log() -> dict[str, Any]:
    """What was trained for how long, and how well each connector and the baselines do on what was held out."""
    return json.loads((FOLDER / "log.json").read_text(encoding="utf-8"))


def question_words(pool_: Sequence[Concept]) -> set[str]:
    """Every word that captions, questions and answers about a pool are made of."""
    fixed = "what is left right top bottom of the above below how many there a yes no where time it describe point to"
    words = set(fixed.split()) | {str(n) for n in range(10)} | {"?", ",", ":", ";"}
    return words | {word for one in (*pool_, *clocks()) for word in one.caption.split()}
