"""What is said and how it is spelled: the texts of chapter 16's language models, and its small transformer.

python training/recogniser_language.py    train the transformer on spelled words (a minute)
"""

import random
import re
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from language_model import Optimizer, run
from nimblelm.audio.recognition.vocabulary import INDEX, VOCABULARY
from nimblelm.data.corpus import stdlib_modules
from nimblelm.data.fraction import fraction
from nimblelm.data.number_words import english_number
from nimblelm.language.llama import Llama, LlamaConfig
from nimblelm.nn.checkpoint import save
from train_pair import RUNS

SEED, BATCH, STEPS, LONGEST = 16, 128, 800, 8
FOLDER = RUNS / "recogniser"
ENTRIES = Path(__file__).resolve().parents[1] / "lib/nimblelm/data/checkpoints/adapted_target/definitions.txt"


def spelled(text: str) -> list[list[int]]:
    """Every word of 3 to 8 letters as labels, as often as it occurs."""
    words = re.findall(rf"\b[a-z]{{3,{LONGEST}}}\b", text.lower())
    return [[INDEX[letter] for letter in word] for word in words]


def general() -> list[list[int]]:
    """Words of Python's standard library: much text, of another kind."""
    return spelled(" ".join(module.text for module in stdlib_modules() if not module.held_out))


def dictionary(held_out: bool) -> list[list[int]]:
    """Words of the course's entries of WordNet; a third of the entries is only recognised."""
    lines = ENTRIES.read_text(encoding="utf-8").splitlines()
    return spelled(" ".join(line for line in lines if (fraction("entry", line) < 1 / 3) == held_out))


def numbers(count: int, seed: int) -> list[list[int]]:
    """Numbers up to 999,999 as they are said, small ones as often as large ones."""
    draw = random.Random(seed)
    return [[INDEX[w] for w in english_number(int(10 ** draw.uniform(0, 6)) - 1)] for _ in range(count)]


class AdamW(Optimizer):
    def __init__(self, model: nn.Module):
        self.parts = [torch.optim.AdamW(model.parameters(), betas=(0.9, 0.98), weight_decay=0.01)]
        self.peaks = [3e-3]


def padded(words: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Inputs that begin with 0, and targets that end with it; -100 behind."""
    inputs = torch.tensor([[0, *word, *[0] * (LONGEST - len(word))] for word in words])
    targets = torch.tensor([[*word, 0, *[-100] * (LONGEST - len(word))] for word in words])
    return inputs, targets


def main() -> None:
    torch.manual_seed(SEED)
    model = Llama(LlamaConfig(len(VOCABULARY), 64, 2, 4, 4, 160, max_seq_len=32))
    generator = torch.Generator().manual_seed(SEED)
    mine, others, test = dictionary(False), general(), dictionary(True)
    held_inputs, held_targets = padded(test)

    def loss_of(inputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())

    def loss_at(step: int) -> Tensor:
        draw = random.Random(SEED * 10**6 + step)
        return loss_of(*padded(draw.choices(others, k=BATCH * 3 // 4) + draw.choices(mine, k=BATCH // 4)))

    @torch.inference_mode()
    def evaluate() -> dict[str, float]:
        return {"perplexity": round(loss_of(held_inputs, held_targets).exp().item(), 3)}

    run(model, AdamW(model), loss_at, evaluate, STEPS, generator, FOLDER / "letters", save_every=200)
    save(model, FOLDER / "letters.safetensors", int8=True)


if __name__ == "__main__":
    main()
