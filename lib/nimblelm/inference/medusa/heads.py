"""Medusa heads: small networks on the target's last hidden state, each guessing a token further ahead."""

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from nimblelm import data
from nimblelm.language.llama import Llama
from nimblelm.nn.checkpoint import load

HEADS_FOLDER = Path(data.__file__).parent / "checkpoints" / "medusa_heads"


@dataclass(frozen=True)
class MedusaConfig:
    """Shape of Medusa heads.

    Raises:
        ValueError: no head.

    Chapter: book/ch03_medusa_heads
    """

    num_heads: int  # K
    d_model: int  # width of the hidden states
    vocab_size: int  # V

    def __post_init__(self):
        if not self.num_heads >= 1:
            raise ValueError(f"num_heads {self.num_heads} is below 1")


class MedusaHeads(nn.Module):
    """K heads that read one hidden state h_t; the language-model head guesses token t + 1, head k token t + 1 + k.

    logits_k = W2_k (h + SiLU(W1_k h + b_k))     (Cai et al., 2024, arXiv:2401.10774, section 2.1.1)

    A head is one residual layer and an output matrix of its own. The heads are blind to each other: head 2 guesses
    without knowing what head 1 guessed.

    Args:
        config: their shape.

    Chapter: book/ch03_medusa_heads
    """

    config_class = MedusaConfig

    def __init__(self, config: MedusaConfig):
        super().__init__()
        self.config, heads = config, range(config.num_heads)
        self.residual = nn.ModuleList(nn.Linear(config.d_model, config.d_model) for _ in heads)
        self.output = nn.ModuleList(nn.Linear(config.d_model, config.vocab_size, bias=False) for _ in heads)

    @classmethod
    def of_model(cls, model: Llama, num_heads: int) -> "MedusaHeads":
        """Fresh heads for a model: W1 and b are 0 and W2 is the language-model head, so each head begins as that head.

        Training then starts from sensible guesses, and the residual layer grows out of nothing.
        """
        heads = cls(MedusaConfig(num_heads, model.config.d_model, model.config.vocab_size)).to(model.head.weight)
        with torch.no_grad():
            for residual, output in zip(heads.residual, heads.output, strict=True):
                assert isinstance(residual, nn.Linear)
                assert isinstance(output, nn.Linear)
                residual.weight.zero_()
                residual.bias.zero_()
                output.weight.copy_(model.head.weight)
        return heads

    def forward(self, hidden: Float[Tensor, "*batch d"]) -> Float[Tensor, "K *batch V"]:
        """Logits of every head.

        Args:
            hidden: what the model's own head reads: the last layer's output, normalised.

        Raises:
            ValueError: it has another width or dtype than the heads read.
        """
        needed = (self.config.d_model, self.get_parameter("output.0.weight").dtype)
        if (hidden.shape[-1], hidden.dtype) != needed:
            raise ValueError(f"hidden has width {hidden.shape[-1]} and is {hidden.dtype}, the heads read {needed}")
        pairs = zip(self.residual, self.output, strict=True)
        return torch.stack([output(hidden + F.silu(residual(hidden))) for residual, output in pairs])


def load_heads() -> MedusaHeads:
    """The committed heads of `nimblelm.inference.speculative.pair.load_pair`'s target, in float32 and evaluation mode.

    Chapter: book/ch03_medusa_heads
    """
    return load(MedusaHeads, HEADS_FOLDER / "heads.safetensors")
