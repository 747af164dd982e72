"""How much memory a key-value cache takes."""

import math


def kv_cache_bytes(
    num_layers: int,
    num_kv_heads: int,
    head_dim: int,
    num_tokens: int,
    batch_size: int = 1,
    bytes_per_element: int | float = 2,
    scale_bytes: int | float = 0,
) -> int | float:
    """Bytes of the keys and values of some tokens.

    bytes = 2 L Hkv S B (D b + s): keys and values, of every layer, key-value head, token and sequence, D elements of
    b bytes and one scale of s bytes (Pope et al., 2022, arXiv:2211.05102, on how this limits a server).

    Args:
        num_layers: L.
        num_kv_heads: Hkv; query heads take no room.
        head_dim: D.
        num_tokens: S, tokens of each sequence.
        batch_size: B, sequences.
        bytes_per_element: b; 2 for float16, 1 for int8, 0.5 for int4.
        scale_bytes: s, of a quantized row's scale; 0 without quantization.

    Raises:
        ValueError: a size that is negative or no finite number.

    Chapter: book/ch01_decoding_and_its_cost
    """
    sizes = (num_layers, num_kv_heads, head_dim, num_tokens, batch_size, bytes_per_element, scale_bytes)
    if not all(0 <= size < math.inf for size in sizes):
        raise ValueError(f"a size among {sizes} is negative or not finite")
    return 2 * num_layers * num_kv_heads * num_tokens * batch_size * (head_dim * bytes_per_element + scale_bytes)


def most_sequences(memory_bytes: int | float, weight_bytes: int | float, sequence_bytes: int | float) -> int:
    """How many sequences' caches fit beside the weights.

    Raises:
        ValueError: sequence_bytes is not above 0, or a size is negative or no finite number.

    Chapter: book/ch01_decoding_and_its_cost
    """
    if not 0 < sequence_bytes < math.inf:
        raise ValueError(f"sequence_bytes {sequence_bytes} is not above 0 and finite")
    if not (0 <= memory_bytes < math.inf and 0 <= weight_bytes < math.inf):
        raise ValueError(f"memory_bytes {memory_bytes} and weight_bytes {weight_bytes} must be 0 or more and finite")
    return max(int((memory_bytes - weight_bytes) // sequence_bytes), 0)
