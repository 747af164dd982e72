"""Mistral: Llama in which a token sees a window of those before it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nimblelm.language.llama import WEIGHT_NAMES, Llama, LlamaConfig, shape_of
from nimblelm.nn.attend import windowed
from nimblelm.nn.checkpoint import load_weights
from nimblelm.nn.weight_names import renamed

if TYPE_CHECKING:
    from transformers import MistralForCausalLM


@dataclass(frozen=True)
class MistralConfig(LlamaConfig):
    """Shape of a decoder with sliding-window attention (Jiang et al., 2023, arXiv:2310.06825, section 2)."""

    window: int = 4096  # keys that a token sees in each layer, its own included


class Mistral(Llama):
    """`Llama` whose tokens see `window` keys a layer, so a cache of as many rows serves a stream of any length.

    The twin is `transformers.MistralForCausalLM`; `from_mistral` loads its weights.

    Args:
        config: the shape.
    """

    config_class = MistralConfig
    config: MistralConfig

    def __init__(self, config: MistralConfig):
        super().__init__(config)
        self.attend = windowed(config.window)


def from_mistral(twin: "MistralForCausalLM") -> Mistral:
    """Copy a `transformers` Mistral model into a `Mistral` that gives the same logits.

    Args:
        twin: any `MistralForCausalLM` with default rotary positions; without a window it sees all positions.

    Returns:
        The same model, in evaluation mode, in the dtype of its weights.

    Raises:
        ValueError: the configuration uses what our model does not have.
    """
    shape, window = shape_of(twin.config, "mistral"), twin.config.sliding_window
    model = Mistral(MistralConfig(**shape, window=shape["max_seq_len"] if window is None else window))
    load_weights(model.to(next(twin.parameters()).dtype), renamed(twin.state_dict(), WEIGHT_NAMES))
    return model.eval()
