"""transformers' assisted generation with a pair of our models."""

import warnings
from typing import Any

import torch

from nimblelm.inference.speculative.pair import Pair
from nimblelm.language.llama import to_llama


class Assisted:
    """Greedy assisted generation with a constant draft length, on the device and in the dtype of the pair."""

    def __init__(self, pair: Pair):
        device = pair.target.embedding.weight.device
        models: list[Any] = [to_llama(pair.target), to_llama(pair.draft)]
        self.target, self.draft = (model.to(device) for model in models)
        for model in (self.target, self.draft):
            model.generation_config.eos_token_id = None  # a Llama's is 2 by default, for us a token like others

    def generate(self, prompt: torch.Tensor, max_new_tokens: int, draft_length: int) -> torch.Tensor:
        """The new tokens (N,)."""
        settings = self.draft.generation_config
        settings.num_assistant_tokens = draft_length
        settings.num_assistant_tokens_schedule = "constant"
        settings.assistant_confidence_threshold = 0.0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tokens = self.target.generate(
                prompt[None],
                attention_mask=torch.ones_like(prompt[None]),
                assistant_model=self.draft,
                max_new_tokens=max_new_tokens,
                do_sample=False,
                pad_token_id=0,
            )
        return tokens[0, len(prompt) :]
