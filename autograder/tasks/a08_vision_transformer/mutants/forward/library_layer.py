"""Has torch's own encoder layer do each block, which knows nothing of normalised queries and keys.

kills: logits_of_square_images, logits_of_images_that_are_not_square, logits_of_a_deeper_model
"""

# %% forward
NAMES = {
    "self_attn.in_proj_weight": "qkv",
    "self_attn.in_proj_bias": "qkv_bias",
    "self_attn.out_proj.weight": "out",
    "self_attn.out_proj.bias": "out_bias",
    "linear1.weight": "up",
    "linear1.bias": "up_bias",
    "linear2.weight": "down",
    "linear2.bias": "down_bias",
    "norm1.weight": "norm1",
    "norm1.bias": "norm1_bias",
    "norm2.weight": "norm2",
    "norm2.bias": "norm2_bias",
}


def classify(images, weights, patch_size, num_heads):
    flat = torch.nn.functional.unfold(images, patch_size, stride=patch_size)
    flat = flat.unflatten(1, (images.shape[1], -1)).transpose(1, 2).flatten(1, 2).transpose(1, 2)
    z = flat @ weights["embed"].T + weights["embed_bias"]
    z = torch.cat([weights["class_token"].expand(len(z), 1, -1), z], dim=1) + weights["positions"]
    for block in weights["blocks"]:
        layer = torch.nn.TransformerEncoderLayer(
            z.shape[-1], num_heads, len(block["up"]), 0.0, "gelu", 1e-6, batch_first=True, norm_first=True
        )
        layer.load_state_dict({theirs: block[ours] for theirs, ours in NAMES.items()})
        z = layer.eval()(z).detach()
    z = torch.nn.functional.layer_norm(z, z.shape[-1:], weights["norm"], weights["norm_bias"], 1e-6)
    return torch.cat([z[:, 0], z[:, 1:].mean(1)], dim=-1) @ weights["head"].T + weights["head_bias"]
