"""A key-value cache of a fixed number of rows for streams of any length: new tokens take the place of the oldest."""

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from nimblelm.inference.decoding.cache import check_rows
from nimblelm.language.mistral import Mistral
from nimblelm.nn.attend import Attend, Past, masked


class RingCache:
    """Keys and values of the last tokens, for models whose tokens see no further back than a window.

    Position t lies in row t mod R (Jiang et al., 2023, arXiv:2310.06825, section 2, "Rolling Buffer Cache"). With
    R = window the pass may go on where the last one ended; each further row lets it take back one token more. A row
    that was overwritten stays so when tokens are taken back, and a pass that fails leaves its own rows out.

    Args:
        keys, values: R rows of each layer.
        window: keys that a token sees, its own included; R at most.
        max_seq_len: positions that the model has.

    Raises:
        ValueError: the window is larger than the ring.
    """

    keys: Float[Tensor, "L B R Hkv D"]
    values: Float[Tensor, "L B R Hkv D"]

    def __init__(self, keys: Tensor, values: Tensor, window: int, max_seq_len: int):
        self.keys, self.values, self.window, self.max_seq_len = keys, values, window, max_seq_len
        self.oldest = self.end = 0  # the rows of these positions, the end not among them, are right
        self.num_rows = keys.shape[2]
        if window > self.num_rows:
            raise ValueError(f"a window of {window} keys does not fit {self.num_rows} rows")

    @classmethod
    def allocate(cls, model: Mistral, num_rows: int | None = None, batch_size: int = 1) -> "RingCache":
        """A ring of `num_rows` rows, by default the window, in the model's dtype and on its device.

        Raises:
            ValueError: fewer rows than the window has.
        """
        config, weight = model.config, model.embedding.weight
        num_rows = config.window if num_rows is None else num_rows
        shape = (config.num_layers, batch_size, num_rows, config.num_kv_heads, config.head_dim)
        keys, values = (torch.zeros(shape, dtype=weight.dtype, device=weight.device) for _ in range(2))
        return cls(keys, values, config.window, config.max_seq_len)

    @property
    def size_bytes(self) -> int:
        return sum(part.numel() * part.element_size() for part in (self.keys, self.values))

    def at(self, position: int, length: int, attend: Attend | None = None) -> Past:
        """For a pass over `length` tokens that start at `position`, at the end of the stream or before it.

        Args:
            position: of the first token; what was written from there on is forgotten.
            length: number of tokens, which may be larger than the ring.
            attend: not read: what tokens see is the ring's window.

        Raises:
            ValueError: tokens between the stream's end and the position are missing, the rows that the first token
                sees are overwritten, or the tokens reach past the positions of the model.
        """
        first, end = max(0, position - self.window + 1), position + length
        if not 0 <= position <= self.end or first < min(position, self.oldest):
            raise ValueError(
                f"position {position} sees from {first} on, the ring holds {self.oldest} to {self.end - 1}"
            )
        if end > self.max_seq_len:
            raise ValueError(f"tokens at position {position} reach position {end}, the limit is {self.max_seq_len}")
        device = self.keys.device
        new, rows = torch.arange(position, end, device=device), torch.arange(self.num_rows, device=device)
        held = position - 1 - (position - 1 - rows) % self.num_rows  # the position in each row; negative: none yet
        distance = new[:, None] - torch.cat([held, new])
        visible = (distance >= 0) & (distance < self.window) & (torch.cat([held, new]) >= 0)
        layers = [partial(self._attend, layer, position, new, masked(visible)) for layer in range(len(self.keys))]
        return Past(layers, slice(position, end))

    def _attend(
        self, layer: int, position: int, new: Tensor, attend: Attend, q: Tensor, k: Tensor, v: Tensor
    ) -> Tensor:
        """Attend to the ring and to what is new, then let the last of the new take the place of the oldest."""
        check_rows(k, v, self.keys[layer, :, :1].expand(-1, len(new), -1, -1))
        whole, rows = [], new[-self.num_rows :] % self.num_rows
        if layer == 0:  # from here on old rows are lost; the new ones are right when every layer has them
            self.oldest = max(min(self.oldest, position), position + len(new) - self.num_rows)
            self.end = position
        for ring, fresh in ((self.keys[layer], k), (self.values[layer], v)):
            whole.append(torch.cat([ring, fresh.to(ring.dtype)], dim=1))
            ring[:, rows] = fresh[:, -self.num_rows :].to(ring.dtype)
        if layer == len(self.keys) - 1:
            self.end = position + len(new)
        return attend(q.to(whole[0].dtype), *whole)
