"""Serves requests with a transformer on a paged cache: the backend behind which real tokens are written."""

import time
from collections.abc import Hashable, Mapping

import torch
from jaxtyping import Int
from torch import Tensor

from nimblelm.inference.decoding.request_checks import check_eos, check_tokens
from nimblelm.inference.decoding.sampling import GREEDY, Sampling, draw
from nimblelm.inference.serving.paged_cache import PagedKVCache
from nimblelm.inference.serving.ragged_batch import TokenBlock, ragged_forward
from nimblelm.inference.serving.scheduler import Request, Share
from nimblelm.language.llama import Llama


class TransformerBackend:
    """Runs each pass of `nimblelm.inference.serving.loop.serve` on a model.

    Every request draws from a generator of its own, so its sequence does not depend on who shares its passes.

    Args:
        model: the transformer.
        cache: its paged cache.
        prompts: the prompt of each request, by the request's name.
        sampling: the distribution of each token.
        seeds: of each request's generator; needed unless greedy.
        eos_token: a sequence ends after this token, which is kept.

    Raises:
        ValueError: eos_token is outside of the vocabulary.

    Chapter: book/ch01_decoding_and_its_cost
    """

    def __init__(
        self,
        model: Llama,
        cache: PagedKVCache,
        prompts: Mapping[Hashable, Int[Tensor, "_"]],
        sampling: Sampling = GREEDY,
        seeds: Mapping[Hashable, int] | None = None,
        eos_token: int | None = None,
    ):
        check_eos(eos_token, model.config.vocab_size)
        self.model, self.cache, self.prompts = model, cache, prompts
        self.sampling, self.eos_token = sampling, eos_token
        self.seeds = {} if seeds is None else seeds
        self.generators: dict[Hashable, torch.Generator] = {}  # of every request that was admitted and has a seed
        self.sequences: dict[Hashable, Tensor] = {}  # prompt and new tokens of every request that was admitted
        self._promised: dict[Hashable, int] = {}  # blocks set aside for each running request

    def check(self, request: Request) -> None:
        """Look at a request before any pass runs.

        Raises:
            ValueError: it has no prompt, or one of another length or with tokens outside of the vocabulary; it draws
                without a seed; its rows are more than the model's positions or the free blocks hold; or the cache knows
                a sequence of its name already.
        """
        name, limit = request.name, self.model.config.max_seq_len
        if name not in self.prompts or len(self.prompts[name]) != request.prompt_length:
            given = len(self.prompts[name]) if name in self.prompts else "no"
            raise ValueError(f"the prompt of {name!r} has {given} tokens, its request says {request.prompt_length}")
        check_tokens(self.prompts[name], self.model.config.vocab_size)
        if self.sampling.temperature > 0 and name not in self.seeds:
            raise ValueError(f"request {name!r} draws its tokens and has no seed")
        if request.num_rows > limit:
            raise ValueError(f"request {name!r} needs {request.num_rows} rows, the model's max_seq_len is {limit}")
        needed = self.cache.blocks_for(request.num_rows)
        if needed > self._num_unpromised:
            raise ValueError(f"request {name!r} needs {needed} blocks, the cache has {self._num_unpromised} free")
        if name in self.cache.tables:
            raise ValueError(f"the cache holds a sequence {name!r} already")

    @property
    def _num_unpromised(self) -> int:
        """Free blocks that no running request can come to need."""
        held = {name: self.cache.tables[name].blocks for name in self._promised if name in self.cache.tables}
        return self.cache.allocator.num_free - sum(self._promised.values()) + sum(map(len, held.values()))

    def admit(self, request: Request) -> bool:
        """Set aside the blocks that a request can come to need, so that no running request ever has to be stopped."""
        needed = self.cache.blocks_for(request.num_rows)
        if needed > self._num_unpromised:
            return False
        self._promised[request.name] = needed
        self.sequences[request.name] = self.prompts[request.name]
        if request.name in self.seeds:  # made anew: served a second time, after a failure too, it is the same sequence
            generator = torch.Generator(self.cache.keys.device).manual_seed(self.seeds[request.name])
            self.generators[request.name] = generator
        return True

    def run(self, shares: list[Share]) -> float:
        """One ragged pass; the clock's seconds."""
        began = time.perf_counter()
        names = [share.progress.request.name for share in shares]
        blocks = [
            TokenBlock(name, self.sequences[name][share.start : share.start + share.count])
            for name, share in zip(names, shares, strict=True)
        ]
        for name, share, logits in zip(names, shares, ragged_forward(self.model, blocks, self.cache), strict=True):
            if share.emits:
                token = draw(logits, self.sampling, self.generators.get(name))[0][None]
                self.sequences[name] = torch.cat([self.sequences[name], token])
                share.progress.stopped = self.eos_token is not None and token.item() == self.eos_token
        return time.perf_counter() - began

    def finish(self, request: Request) -> None:
        """Free the request's blocks, if a pass has read any of it."""
        if request.name in self.cache.tables:
            self.cache.free(request.name)
        del self._promised[request.name]

    def new_tokens(self, name: Hashable) -> Int[Tensor, "N"]:
        """What was written for a request so far."""
        return self.sequences[name][len(self.prompts[name]) :]
