"""Takes two bytes for every element of the cache, whatever the model has.

kills: cache_bytes_count_keys_and_values_of_every_layer, work_counts_weights_once_and_caches_for_each
"""


# %% roofline
def kv_cache_bytes(shape, num_tokens, batch_size):
    row = 2 * shape["num_layers"] * shape["num_kv_heads"] * shape["head_dim"] * 2
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
        if attainable_flops(flops, num_bytes, peak_flops, bandwidth_bytes) >= peak_flops:
            return batch_size
    return None
