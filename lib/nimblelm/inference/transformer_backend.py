"""Serves requests with a transformer on a paged cache: the backend behind which real tokens are written."""

import time
from collections.abc import Hashable, Mapping

import torch
from jaxtyping import Int
from torch import Tensor

from nimblelm.inference.paged_cache import PagedKVCache
from nimblelm.inference.ragged_batch import TokenBlock, ragged_forward
from nimblelm.inference.sampling import GREEDY, Sampling, draw
from nimblelm.inference.scheduler import Request, Share
from nimblelm.nn.transformer import Transformer


class TransformerBackend:
    """Runs each pass of `nimblelm.inference.serving.serve` on a model.

    Every request draws from a generator of its own, so its text does not depend on who shares its passes.

    Args:
        model: the transformer.
        cache: its paged cache.
        prompts: the prompt of each request, by the request's name.
        sampling: the law of each token.
        seeds: of each request's generator; needed unless greedy.
        eos_token: a text ends after this token, which is kept.

    Chapter: book/ch01_decoding_and_its_cost
    """

    def __init__(
        self,
        model: Transformer,
        cache: PagedKVCache,
        prompts: Mapping[Hashable, Int[Tensor, "_"]],
        sampling: Sampling = GREEDY,
        seeds: Mapping[Hashable, int] | None = None,
        eos_token: int | None = None,
    ):
        self.model, self.cache, self.prompts = model, cache, prompts
        self.sampling, self.eos_token = sampling, eos_token
        self.generators = {name: torch.Generator().manual_seed(seed) for name, seed in (seeds or {}).items()}
        self.texts: dict[Hashable, Tensor] = {}  # prompt and new tokens of every request that was admitted
        self._promised: dict[Hashable, int] = {}  # blocks set aside for each running request

    def admit(self, request: Request) -> bool:
        """Set aside the blocks that a request can come to need, so that no running request ever has to be stopped.

        Raises:
            ValueError: its prompt has another length than the request says.
        """
        if len(self.prompts[request.name]) != request.prompt_length:
            given = len(self.prompts[request.name])
            raise ValueError(
                f"the prompt of {request.name!r} has {given} tokens, its request says {request.prompt_length}"
            )
        needed = self.cache.blocks_for(request.num_rows)
        if sum(self._promised.values()) + needed > len(self.cache.allocator.ref_counts):
            return False
        self._promised[request.name] = needed
        self.texts[request.name] = self.prompts[request.name]
        return True

    def run(self, shares: list[Share]) -> float:
        """One ragged pass; the clock's seconds."""
        began = time.perf_counter()
        names = [share.progress.request.name for share in shares]
        blocks = [
            TokenBlock(name, self.texts[name][share.start : share.start + share.count])
            for name, share in zip(names, shares, strict=True)
        ]
        for name, share, logits in zip(names, shares, ragged_forward(self.model, blocks, self.cache), strict=True):
            if share.emits:
                token = draw(logits, self.sampling, self.generators.get(name))[0][None]
                self.texts[name] = torch.cat([self.texts[name], token])
                share.progress.stopped = self.eos_token is not None and token.item() == self.eos_token
        return time.perf_counter() - began

    def finish(self, request: Request) -> None:
        """Free the request's blocks."""
        self.cache.free(request.name)
        del self._promised[request.name]

    def new_tokens(self, name: Hashable) -> Int[Tensor, "N"]:
        """What was written for a request so far."""
        return self.texts[name][len(self.prompts[name]) :]
