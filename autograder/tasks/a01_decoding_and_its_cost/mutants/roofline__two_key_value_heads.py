"""Takes two key-value heads, as many as there are in a well-known case, whatever the shape says.

kills: cache_bytes_count_keys_and_values_of_every_layer, work_counts_weights_once_and_caches_for_each
visible: cache_bytes_worked_by_hand, work_of_a_pass_worked_by_hand
"""


# %% roofline
def kv_cache_bytes(shape, num_tokens, batch_size):
    row = 2 * shape["num_layers"] * 2 * shape["head_dim"] * shape["bytes_per_element"]
    return row * num_tokens * batch_size


def decode_work(shape, batch_size, context):
    attention = 4 * shape["num_layers"] * shape["num_heads"] * shape["head_dim"] * context
    flops = batch_size * (2 * shape["num_weights"] + attention)
    return flops, shape["num_weights"] * shape["bytes_per_element"] + kv_cache_bytes(shape, context, batch_size)


def attainable_flops(flops, num_bytes, peak_flops, bandwidth_bytes):
    return min(peak_flops, bandwidth_bytes * flops / num_bytes)


def smallest_compute_bound_batch(shape, context, peak_flops, bandwidth_bytes, max_batch_size):
    for batch_size in range(1, max_batch_size + 1):
        flops, num_bytes = decode_work(shape, batch_size, context)
        if flops * bandwidth_bytes >= peak_flops * num_bytes:
            return batch_size
    return None
