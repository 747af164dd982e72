"""Takes a row for a slot, as if the blocks lay side by side.

kills: gather_reads_rows_in_order
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
    slots = [blocks[0] * block_size + row for row in range(length)]
    return pool[torch.tensor(slots, dtype=torch.int64) % len(pool)]


def fork(blocks, num_rows, ref_counts, block_size):
    child = blocks[: -(-num_rows // block_size)]
    for block in child:
        ref_counts[block] += 1
    return child, ref_counts


def release(blocks, ref_counts, free):
    for block in blocks:
        ref_counts[block] -= 1
        if ref_counts[block] == 0:
            free.append(block)
    return ref_counts, free
