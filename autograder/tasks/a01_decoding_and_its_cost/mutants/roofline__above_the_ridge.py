"""Asks for more than the ridge, where as much is enough.

kills: the_smallest_batch_is_found_where_there_is_one
"""


# %% roofline
def kv_cache_bytes(shape, num_tokens, batch_size):
    row = 2 * shape["num_layers"] * shape["num_kv_heads"] * shape["head_dim"] * shape["bytes_per_element"]
    return row * num_tokens * batch_size


def decode_work(shape, batch_size, context):
    attention = 4 * shape["num_layers"] * shape["num_heads"] * shape["head_dim"] * context
    flops = batch_size * (2 * shape["num_weights"] + attention)
    weights = shape["num_weights"] * shape["bytes_per_element"]
    return flops, weights + kv_cache_bytes(shape, context, batch_size)


def attainable_flops(flops, num_bytes, peak_flops, bandwidth_bytes):
    return min(peak_flops, bandwidth_bytes * flops / num_bytes)


def smallest_compute_bound_batch(shape, context, peak_flops, bandwidth_bytes, max_batch_size):
    for batch_size in range(1, max_batch_size + 1):
        flops, num_bytes = decode_work(shape, batch_size, context)
        if flops * bandwidth_bytes > peak_flops * num_bytes:
            return batch_size
    return None
