"""Autoregressive decoding of a batch, one CUDA graph a token: the honest baseline of the speculative decoder."""

import torch
from jaxtyping import Int
from torch import Tensor

from nimblelm.inference.batched.decoder import BatchDecoder, BatchOutput
from nimblelm.inference.batched.decoding_state import DecodingState
from nimblelm.inference.batched.device_sampling import DeviceSampler
from nimblelm.inference.batched.static_model import StaticModel


@torch.inference_mode()
def autoregressive_round(
    target: StaticModel, state: DecodingState, sampler: DeviceSampler, eos_token: int | None
) -> None:
    """One token for each sequence: the target reads the current token and the next is drawn."""
    logits = target(state.recent[:, -1:], state.length - 1)[:, -1]
    tokens = sampler.draw(sampler.probabilities(logits))[:, None]
    state.advance(tokens, torch.ones_like(state.length), eos_token)


class AutoregressiveDecoder(BatchDecoder):
    """Sequences of a batch, a token each in a round, with the same kernels, state and loop as `SpeculativeDecoder`.

    Args:
        target: the model.
        sampler: the distribution of each token and the randomness.
        eos_token: a sequence ends after this token, which is kept.
        graphs: one CUDA graph a round; where there is a GPU by default.
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
            max_new_tokens: the most to generate, for all sequences or for each.

        Raises:
            ValueError: too few or too many prompts, or as `check_request` for each, before anything is read.
        """
        return self.run(prompts, max_new_tokens, 0)
