"""Puts freed blocks at the front of the free list.

kills: release_frees_what_nobody_uses
"""


# %% paged
def extend(blocks, length, count, free, block_size):
    needed = -(-(length + count) // block_size) - len(blocks)
    if needed > len(free):
        return None
    blocks, free = blocks + free[:needed], free[needed:]
    rows = range(length, length + count)
    return blocks, free, [blocks[row // block_size] * block_size + row % block_size for row in rows]


def gather(pool, blocks, length, block_size):
    slots = [blocks[row // block_size] * block_size + row % block_size for row in range(length)]
    return pool[torch.tensor(slots, dtype=torch.int64)]


def fork(blocks, num_rows, ref_counts, block_size):
    child = blocks[: -(-num_rows // block_size)]
    for block in child:
        ref_counts[block] += 1
    return child, ref_counts


def release(blocks, ref_counts, free):
    for block in blocks:
        ref_counts[block] -= 1
        if ref_counts[block] == 0:
            free.insert(0, block)
    return ref_counts, free
