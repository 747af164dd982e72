"""Medusa heads: small networks on the target's last hidden state, each guessing a token further ahead."""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from nimblelm import data
from nimblelm.inference.pair import from_int8, to_int8
from nimblelm.nn.transformer import Transformer

HEADS_FOLDER = Path(data.__file__).parent / "checkpoints" / "medusa_heads"


class MedusaHeads(nn.Module):
    """K heads that read one hidden state h_t; the language-model head guesses token t + 1, head k token t + 1 + k.

    logits_k = W2_k (h + SiLU(W1_k h + b_k))     (Cai et al., 2024, arXiv:2401.10774, section 2.1.1)

    A head is one residual layer and an output matrix of its own. The heads are blind to each other: head 2 guesses
    without knowing what head 1 guessed.

    Args:
        num_heads: K.
        d_model: width of the hidden states.
        vocab_size: V.

    Raises:
        ValueError: no head.

    Chapter: book/ch03_medusa_heads
    """

    def __init__(self, num_heads: int, d_model: int, vocab_size: int):
        super().__init__()
        if num_heads < 1:
            raise ValueError(f"num_heads {num_heads} is below 1")
        self.num_heads, self.d_model, self.vocab_size = num_heads, d_model, vocab_size
        self.residual = nn.ModuleList(nn.Linear(d_model, d_model) for _ in range(num_heads))
        self.output = nn.ModuleList(nn.Linear(d_model, vocab_size, bias=False) for _ in range(num_heads))

    @classmethod
    def of_model(cls, model: Transformer, num_heads: int) -> "MedusaHeads":
        """Fresh heads for a model: W1 and b are 0 and W2 is the language-model head, so each head begins as that head.

        Training then starts from sensible guesses, and the residual layer grows out of nothing.
        """
        heads = cls(num_heads, model.config.d_model, model.config.vocab_size).to(model.head.weight)
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
        """
        pairs = zip(self.residual, self.output, strict=True)
        return torch.stack([output(hidden + F.silu(residual(hidden))) for residual, output in pairs])


def save_heads(heads: MedusaHeads, path: Path) -> None:
    """Write the heads with a byte for each entry of a matrix, as the pair's target is stored.

    Chapter: book/ch03_medusa_heads
    """
    shape = {"num_heads": heads.num_heads, "d_model": heads.d_model, "vocab_size": heads.vocab_size}
    save_file(to_int8(dict(heads.state_dict())), path, metadata={"shape": json.dumps(shape)})


def load_heads(path: Path = HEADS_FOLDER / "heads.safetensors") -> MedusaHeads:
    """Read what `save_heads` wrote, in float32 and evaluation mode, without gradients.

    By default the committed heads of `nimblelm.inference.pair.load_pair`'s target.

    Chapter: book/ch03_medusa_heads
    """
    with safe_open(path, "pt") as file:
        heads = MedusaHeads(**json.loads(file.metadata()["shape"]))
        names = file.keys()
        heads.load_state_dict(from_int8({name: file.get_tensor(name) for name in names}))
    return heads.eval().requires_grad_(False)
