"""Autoregressive decoding of a batch, one CUDA graph a token: the honest baseline of the speculative decoder."""

import torch
from jaxtyping import Int
from torch import Tensor

from nimblelm.inference.batch_decoder import BatchDecoder, BatchOutput
from nimblelm.inference.decoding_state import DecodingState
from nimblelm.inference.device_sampling import DeviceSampler
from nimblelm.inference.static_model import StaticModel


@torch.inference_mode()
def autoregressive_round(
    target: StaticModel, state: DecodingState, sampler: DeviceSampler, eos_token: int | None
) -> None:
    """One token for each text: the target reads the current token and the next is drawn.

    Chapter: book/ch02_speculative_decoding
    """
    logits = target(state.recent[:, -1:], state.length - 1)[:, -1]
    tokens = sampler.draw(sampler.laws(logits))[:, None]
    state.advance(tokens, torch.ones_like(state.length), eos_token)


class AutoregressiveDecoder(BatchDecoder):
    """Texts of a batch, a token each in a round, with the same kernels, state and loop as `SpeculativeDecoder`.

    Args:
        target: the model.
        sampler: the law of each token and the randomness.
        eos_token: a text ends after this token, which is kept.
        graphs: one CUDA graph a round; where there is a GPU by default.

    Chapter: book/ch02_speculative_decoding
    """

    def __init__(
        self, target: StaticModel, sampler: DeviceSampler, eos_token: int | None = None, graphs: bool | None = None
    ):
        super().__init__([target], sampler, eos_token)
        self.start({0: lambda: autoregressive_round(target, self.state, sampler, eos_token)}, graphs)

    def generate(self, prompts: list[Int[Tensor, "_"]], max_new_tokens: int | list[int]) -> BatchOutput:
        """Continue each prompt.

        Args:
            prompts: one for each row of the batch.
            max_new_tokens: the most to generate, for all texts or for each.

        Raises:
            ValueError: an empty prompt, too few or too many of them, or more tokens than the cache holds.
        """
        return self.run(prompts, max_new_tokens, 0)
