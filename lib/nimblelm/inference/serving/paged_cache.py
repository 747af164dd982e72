"""A key-value cache in blocks: sequences grow one block at a time and may share what they have in common."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nimblelm.inference.serving.block_allocator import BlockAllocator, OutOfBlocksError
from nimblelm.language.llama import Llama


@dataclass
class BlockTable:
    """Which blocks hold a sequence's rows, in order, and how many rows there are.

    Chapter: book/ch01_decoding_and_its_cost
    """

    blocks: list[int] = field(default_factory=list)
    length: int = 0


class PagedKVCache:
    """Keys and values of many sequences in one pool of blocks (Kwon et al., 2023, arXiv:2309.06180, section 4).

    Row t of a sequence lies in slot `blocks[t // block_size] * block_size + t % block_size`. A sequence holds at most
    block_size - 1 unused rows, whatever its final length will be. `fork` lets a second sequence start with all rows of
    a first one; the first to write into a shared block gets a copy of it.

    Args:
        model: whose keys and values these are; dtype and device are its own.
        num_blocks: blocks of the pool.
        block_size: rows (tokens) of a block.

    Raises:
        ValueError: fewer than one block, or blocks of fewer than one row.

    Chapter: book/ch01_decoding_and_its_cost
    """

    keys: Float[Tensor, "L slots Hkv D"]
    values: Float[Tensor, "L slots Hkv D"]

    def __init__(self, model: Llama, num_blocks: int, block_size: int = 16):
        if not block_size >= 1:
            raise ValueError(f"block_size {block_size} is below 1")
        config, weight = model.config, model.embedding.weight
        self.block_size = block_size
        self.allocator = BlockAllocator(num_blocks)
        self.tables: dict[Hashable, BlockTable] = {}
        shape = (config.num_layers, num_blocks * block_size, config.num_kv_heads, config.head_dim)
        self.keys, self.values = (torch.zeros(shape, dtype=weight.dtype, device=weight.device) for _ in range(2))

    def blocks_for(self, num_rows: int) -> int:
        """How many blocks that many rows take."""
        return -(-num_rows // self.block_size)

    @property
    def num_rows(self) -> int:
        """Rows of all sequences; a row of a shared block counts once for each."""
        return sum(table.length for table in self.tables.values())

    @property
    def num_rows_reserved(self) -> int:
        """Rows of the blocks in use."""
        return (len(self.allocator.ref_counts) - self.allocator.num_free) * self.block_size

    def extend(self, sequence: Hashable, count: int) -> Int[Tensor, "count"]:
        """Make room for the next `count` rows of a sequence, a new one where the name is new; their slots.

        Rows are not taken back: `fork` the first of them under a new name instead.

        Raises:
            ValueError: a negative count.
            OutOfBlocksError: the pool is too small; the sequence is as it was.
        """
        self.check_room({sequence: count})
        table = self.tables.setdefault(sequence, BlockTable())
        if self._writes_into_shared_block(table, count):
            self._copy_last_block(table)
        while self.blocks_for(table.length + count) > len(table.blocks):
            table.blocks.append(self.allocator.allocate())
        table.length += count
        return self.slots(sequence)[table.length - count :]

    def check_room(self, counts: Mapping[Hashable, int]) -> None:
        """Whether all these sequences can be extended by so many rows, one after the other.

        Raises:
            ValueError: a negative count.
            OutOfBlocksError: the pool is too small.
        """
        if not all(count >= 0 for count in counts.values()):
            raise ValueError(f"rows are added, not taken back: {dict(counts)} holds a negative count")
        needed, users = 0, list(self.allocator.ref_counts)
        for name, count in counts.items():
            table = self.tables.get(name, BlockTable())
            if self._writes_into_shared_block(table, count) and users[table.blocks[-1]] > 1:
                users[table.blocks[-1]] -= 1  # whoever is left alone with the block needs no copy
                needed += 1
            needed += self.blocks_for(table.length + count) - len(table.blocks)
        if needed > self.allocator.num_free:
            raise OutOfBlocksError(
                f"{needed} blocks are needed, {self.allocator.num_free} of {len(users)} blocks are free"
            )

    def _writes_into_shared_block(self, table: BlockTable, count: int) -> bool:
        return bool(count and table.length % self.block_size and self.allocator.ref_counts[table.blocks[-1]] > 1)

    def _copy_last_block(self, table: BlockTable) -> None:
        """Give a sequence its own copy of the block that it is about to write into."""
        shared, own = table.blocks[-1], self.allocator.allocate()
        source, target = (slice(b * self.block_size, (b + 1) * self.block_size) for b in (shared, own))
        for part in (self.keys, self.values):
            part[:, target] = part[:, source]
        self.allocator.release(shared)
        table.blocks[-1] = own

    def slots(self, sequence: Hashable) -> Int[Tensor, "S"]:
        """The slot of each row of a sequence, in order."""
        table = self.tables[sequence]
        first = torch.tensor(table.blocks, dtype=torch.int64) * self.block_size
        slots = (first[:, None] + torch.arange(self.block_size)).flatten()[: table.length]
        return slots.to(self.keys.device)

    def write(
        self,
        layer: int,
        slots: Int[Tensor, "N"],
        keys: Float[Tensor, "N Hkv D"],
        values: Float[Tensor, "N Hkv D"],
    ) -> None:
        """Store one layer's rows in these slots, in the cache's dtype."""
        self.keys[layer, slots], self.values[layer, slots] = keys.to(self.keys.dtype), values.to(self.values.dtype)

    def gather(self, layer: int, slots: Int[Tensor, "S"]) -> tuple[Float[Tensor, "S Hkv D"], Float[Tensor, "S Hkv D"]]:
        """One layer's keys and values in these slots, copied side by side; a serving engine's kernel reads in place."""
        return self.keys[layer, slots], self.values[layer, slots]

    def fork(self, parent: Hashable, child: Hashable, num_rows: int | None = None) -> None:
        """Start a sequence with rows of another, sharing the blocks that hold them.

        Args:
            parent: a sequence.
            child: a new name.
            num_rows: the first rows that are shared, all by default.

        Raises:
            ValueError: the child exists, a negative number of rows, or the parent has fewer.
            KeyError: there is no such parent.
        """
        source = self.tables[parent]
        length = source.length if num_rows is None else num_rows
        if child in self.tables:
            raise ValueError(f"sequence {child!r} exists already")
        if not 0 <= length <= source.length:
            raise ValueError(f"sequence {parent!r} has {source.length} rows, {length} are asked for")
        blocks = source.blocks[: self.blocks_for(length)]
        for block in blocks:
            self.allocator.share(block)
        self.tables[child] = BlockTable(blocks, length)

    def free(self, sequence: Hashable) -> None:
        """Give a sequence's blocks back; those that others share stay.

        Raises:
            KeyError: there is no such sequence.
        """
        for block in self.tables.pop(sequence).blocks:
            self.allocator.release(block)
