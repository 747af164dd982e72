"""Inputs that the tests of flash decoding share, and torch's own attention to compare with."""

from typing import NamedTuple

import torch
import torch.nn.functional as F


class Case(NamedTuple):
    """T queries of H heads over S cache rows of H / group heads; one sequence to each length."""

    lengths: tuple[int, ...]
    T: int = 1
    H: int = 4
    group: int = 1
    S: int = 200
    D: int = 32

    def __str__(self):
        return "-".join(f"{name}{value}" for name, value in self._asdict().items()).replace(" ", "")

    def tensors(self, dtype=torch.float32, device="cpu", stale=float("nan")):
        """(q, keys, values, lengths); what lies past a length is `stale`."""
        generator = torch.Generator().manual_seed(len(str(self)))
        shapes = [(self.T, self.H), *[(self.S, self.H // self.group)] * 2]
        q, keys, values = (torch.randn(len(self.lengths), *s, self.D, generator=generator) for s in shapes)
        for row, length in enumerate(self.lengths):
            keys[row, max(length, 0) :] = stale
            values[row, max(length, 0) :] = stale
        lengths = torch.tensor(self.lengths, dtype=torch.int32)
        return *(t.to(device, dtype) for t in (q, keys, values)), lengths.to(device)


CASES = [
    Case((200, 1, 64, 65, 0)),  # ends of splits, and four empty ones
    Case((130, 7, 4), T=5, H=8, group=4, S=130, D=64),  # a length below T
    Case((250, 16), T=16, H=8, group=8, S=256, D=32),  # 128 query rows: two tiles
    Case((33, 64), T=3, H=2, group=1, S=64, D=128),  # one split
    Case((90,), T=2, H=6, group=3, S=100, D=40),  # a group and a head off the power of two
    Case((-3, 300), T=2, H=4, group=2, S=96),  # lengths beside the cache
]


def eager(q, keys, values, lengths, scale=None):
    """The same by torch's attention in the inputs' own dtype, a mask for each sequence."""
    T, S = q.shape[1], keys.shape[1]
    rows = torch.arange(S, device=q.device)
    mask = rows < (lengths[:, None] - T + 1 + torch.arange(T, device=q.device))[..., None]  # (B, T, S)
    stale = (rows >= lengths[:, None])[..., None, None]
    keys, values = keys.masked_fill(stale, 0), values.masked_fill(stale, 0)
    q, keys, values = (t.transpose(1, 2) for t in (q, keys, values))
    out = F.scaled_dot_product_attention(q, keys, values, mask[:, None], scale=scale, enable_gqa=True)
    return out.masked_fill(~mask.any(-1)[:, None, :, None], 0).transpose(1, 2)
