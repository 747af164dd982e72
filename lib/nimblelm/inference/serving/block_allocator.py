"""Hands out the blocks of a paged cache and counts who uses each of them."""


class OutOfBlocksError(Exception):
    """Every block of the cache is in use."""


class BlockAllocator:
    """A free list of equal blocks with a reference count each.

    Blocks are equal, so any free one will do and none is ever lost between two others: there is no external
    fragmentation (Kwon et al., 2023, arXiv:2309.06180, section 4.2).

    Args:
        num_blocks: blocks 0 to num_blocks - 1.

    Raises:
        ValueError: fewer than one block.

    Chapter: book/ch01_decoding_and_its_cost
    """

    def __init__(self, num_blocks: int):
        if not num_blocks >= 1:
            raise ValueError(f"num_blocks {num_blocks} is below 1")
        self.ref_counts = [0] * num_blocks
        self._free = list(reversed(range(num_blocks)))  # a stack: what was freed last is handed out first

    @property
    def num_free(self) -> int:
        return len(self._free)

    def allocate(self) -> int:
        """Take a free block, with one user.

        Raises:
            OutOfBlocksError: there is none.
        """
        if not self._free:
            raise OutOfBlocksError(f"all {len(self.ref_counts)} blocks are in use")
        block = self._free.pop()
        self.ref_counts[block] = 1
        return block

    def share(self, block: int) -> None:
        """Count one more user of a block.

        Raises:
            ValueError: nobody uses it, or there is no such block.
        """
        self._check_used(block)
        self.ref_counts[block] += 1

    def release(self, block: int) -> None:
        """Count one user less; the last one frees the block.

        Raises:
            ValueError: nobody uses it, or there is no such block.
        """
        self._check_used(block)
        self.ref_counts[block] -= 1
        if self.ref_counts[block] == 0:
            self._free.append(block)

    def _check_used(self, block: int) -> None:
        if not 0 <= block < len(self.ref_counts):
            raise ValueError(f"block {block} is none of 0 to {len(self.ref_counts) - 1}")
        if self.ref_counts[block] < 1:
            raise ValueError(f"block {block} is free already")
