"""Has torch's own attention do the heads, which knows nothing of normalised queries and keys.

kills: a_block_of_images_of_one_size, padding_is_seen_by_nobody
visible: queries_and_keys_are_brought_to_one_size
"""


# %% block
def encoder_block(z, weights, num_heads, is_token):
    w, width = weights, z.shape[-1]
    x = torch.nn.functional.layer_norm(z, (width,), w["norm1"], w["norm1_bias"], 1e-6).transpose(0, 1)
    seen, attention = torch.nn.functional.multi_head_attention_forward(
        x,
        x,
        x,
        width,
        num_heads,
        w["qkv"],
        w["qkv_bias"],
        None,
        None,
        False,
        0.0,
        w["out"],
        w["out_bias"],
        training=False,
        key_padding_mask=~is_token,
        average_attn_weights=False,
    )
    z = z + seen.transpose(0, 1)
    y = torch.nn.functional.layer_norm(z, (width,), w["norm2"], w["norm2_bias"], 1e-6)
    hidden = torch.nn.functional.gelu(y @ w["up"].T + w["up_bias"])
    return z + hidden @ w["down"].T + w["down_bias"], attention
