import torch


def one_by_one(images, weights, patch_size, num_heads):
    """The chapter's pass, whose queries and keys are as they are, in loops: what a batched pass is timed against."""

    def norm(x, gain, bias):
        return torch.nn.functional.layer_norm(x, x.shape[-1:], gain, bias, eps=1e-6)

    logits = []
    for image in images:
        tokens = [weights["class_token"]]
        for top in range(0, image.shape[1], patch_size):
            for left in range(0, image.shape[2], patch_size):
                patch = image[:, top : top + patch_size, left : left + patch_size]
                tokens.append(weights["embed"] @ patch.flatten() + weights["embed_bias"])
        z = torch.stack(tokens) + weights["positions"]
        for layer in weights["blocks"]:
            x = norm(z, layer["norm1"], layer["norm1_bias"]) @ layer["qkv"].T + layer["qkv_bias"]
            q, k, v = (part.split(part.shape[1] // num_heads, dim=1) for part in x.chunk(3, dim=1))
            heads = []
            for query, key, value in zip(q, k, v, strict=True):
                rows = [(one @ key.T / key.shape[1] ** 0.5).softmax(-1) @ value for one in query]
                heads.append(torch.stack(rows))
            z = z + torch.cat(heads, dim=1) @ layer["out"].T + layer["out_bias"]
            y = norm(z, layer["norm2"], layer["norm2_bias"]) @ layer["up"].T + layer["up_bias"]
            z = z + torch.nn.functional.gelu(y) @ layer["down"].T + layer["down_bias"]
        state = norm(z[0], weights["norm"], weights["norm_bias"])
        logits.append(weights["head"][:, : len(state)] @ state + weights["head_bias"])
    return torch.stack(logits)
