"""What the judge holds: a model that depends on the whole sequence, and definitions written as plain loops."""

import math

import torch

from autograder.checks import Draws, expect_tensor, fail, generator

VOCAB_SIZE = 7
MOST_ROWS = 512


class HeldModel:
    """A cached model in the judge: logits depend on every token so far, rows and calls are kept, long calls refused.

    So what it says after one sequence tells nothing about another: it cannot be learnt in a few long calls and then be
    left out of the decoding.
    """

    def __init__(self, rng: Draws, chunk_size: int):
        self._key = rng.key()
        self.chunk_size = chunk_size
        self.rows: list[int] = []
        self.calls: list[tuple[list[int], int]] = []

    def after(self, context: list[int]) -> torch.Tensor:
        """(V,) logits of the token after a context of any length."""
        return torch.randn(VOCAB_SIZE, generator=generator(self._key, context))

    def greedy(self, context: list[int], count: int) -> list[int]:
        """Decoding without a cache: the tokens that any correct decoder must give."""
        sequence = list(context)
        for _ in range(count):
            sequence.append(int(self.after(sequence).argmax()))
        return sequence[len(context) :]

    def __call__(self, tokens, position):
        tokens = expect_tensor(tokens, "the tokens given to the model", shape=(None,), dtype="int").tolist()
        if isinstance(position, torch.Tensor) and position.ndim == 0:
            position = position.item()
        if type(position) is not int or position < 0 or position + len(tokens) > MOST_ROWS:
            fail(f"the model was called at a position that is no whole number from 0 to {MOST_ROWS - 1}", got=position)
        if not tokens or not all(0 <= token < VOCAB_SIZE for token in tokens):
            fail(f"the model was given no tokens, or some outside its vocabulary of {VOCAB_SIZE}", got=tokens[:8])
        if len(tokens) > self.chunk_size:
            fail(f"a call brought {len(tokens)} tokens, more than chunk_size = {self.chunk_size}", position=position)
        if position == 0:
            self.rows = []
        # a row that was skipped counts as token 0, so that the mistake shows in the sequence
        self.rows = (self.rows + [0] * MOST_ROWS)[:position] + tokens
        self.calls.append((tokens, position))
        return torch.stack([self.after(self.rows[: position + i + 1]) for i in range(len(tokens))])


def attention_by_loops(q, k, v, keys, values, sinks, position, window=MOST_ROWS) -> torch.Tensor:
    """(T, H, D) attention of T new tokens behind `position` cached rows, one query and head at a time, in float64."""
    length, num_heads, head_dim = q.shape
    group = num_heads // k.shape[1]
    out = torch.zeros(length, num_heads, head_dim, dtype=torch.float64)
    for i in range(length):
        for head in range(num_heads):
            shared = head // group
            seen_keys = torch.cat([keys[:position, shared], k[: i + 1, shared]])[-window:].double()
            seen_values = torch.cat([values[:position, shared], v[: i + 1, shared]])[-window:].double()
            scores = seen_keys @ q[i, head].double() / math.sqrt(head_dim)
            scale = torch.logaddexp(scores.logsumexp(0), sinks[head].double())  # ln of the denominator
            out[i, head] = (scores - scale).exp() @ seen_values
    return out


def slots_of(blocks: list[int], length: int, block_size: int) -> list[int]:
    """The slots of a sequence's rows, by listing all slots of its blocks."""
    return [block * block_size + offset for block in blocks for offset in range(block_size)][:length]
