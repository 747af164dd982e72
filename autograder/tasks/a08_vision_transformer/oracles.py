"""Inputs and oracles that several exercises' hidden checks share."""

import math

import torch

from autograder.checks import integer


def normal(rng, *shape):
    return torch.randn(*shape, generator=rng())


def block_weights(rng, width, hidden, heads):
    """Weights of one block; gains and biases are as far from 1 and 0 as the rest."""
    shapes = {
        "norm1": (width,),
        "norm1_bias": (width,),
        "norm2": (width,),
        "norm2_bias": (width,),
        "qkv": (3 * width, width),
        "qkv_bias": (3 * width,),
        "q_gain": (width // heads,),
        "k_gain": (width // heads,),
        "out": (width, width),
        "out_bias": (width,),
        "up": (hidden, width),
        "up_bias": (hidden,),
        "down": (width, hidden),
        "down_bias": (width,),
    }
    return {
        name: normal(rng, *shape) * (1.5 / math.sqrt(shape[-1]) if len(shape) == 2 else 0.7)
        for name, shape in shapes.items()
    }


def norm(x, gain, bias):
    """LayerNorm of one vector, written out."""
    middle = x - x.mean()
    return middle / (middle.square().mean() + 1e-6).sqrt() * gain + bias


def scaled(x, gain):
    """A head's query or key, brought to one size."""
    return x / (x.square().mean() + 1e-6).sqrt() * gain


def block(z, weights, num_heads):
    """One image's tokens (T, D), all of them visible, in float64: head by head and token by token."""
    weights = {name: value.double() for name, value in weights.items()}
    z, width = z.double(), z.shape[1]
    size = width // num_heads
    normed = torch.stack([norm(token, weights["norm1"], weights["norm1_bias"]) for token in z])
    q, k, v = (normed @ weights["qkv"].T + weights["qkv_bias"]).split(width, dim=1)
    seen, attention = torch.zeros_like(z), torch.zeros(num_heads, len(z), len(z), dtype=torch.float64)
    for head in range(num_heads):
        own = slice(head * size, (head + 1) * size)
        keys = torch.stack([scaled(key, weights["k_gain"]) for key in k[:, own]])
        for i in range(len(z)):
            scores = keys @ scaled(q[i, own], weights["q_gain"]) / math.sqrt(size)
            attention[head, i] = scores.exp() / scores.exp().sum()
            seen[i, own] = attention[head, i] @ v[:, own]
    z = z + seen @ weights["out"].T + weights["out_bias"]
    for i, token in enumerate(z):
        hidden = norm(token, weights["norm2"], weights["norm2_bias"]) @ weights["up"].T + weights["up_bias"]
        hidden = hidden * (1 + torch.erf(hidden / math.sqrt(2))) / 2
        z[i] = token + weights["down"] @ hidden + weights["down_bias"]
    return z, attention


def model_weights(rng, features, tokens, width, hidden, heads, layers, classes):
    """Weights of a whole model, as exercise 5 has them."""
    return {
        "embed": normal(rng, width, features) / math.sqrt(features),
        "embed_bias": normal(rng, width),
        "class_token": normal(rng, width),
        "positions": normal(rng, tokens, width),
        "blocks": [block_weights(rng, width, hidden, heads) for _ in range(layers)],
        "norm": normal(rng, width),
        "norm_bias": normal(rng, width),
        "head": normal(rng, classes, 2 * width) / math.sqrt(width),
        "head_bias": normal(rng, classes),
    }


def patch(image, row, column, high, wide):
    """One flattened patch of an image (C, H, W), pixel by pixel; what lies outside is 0."""
    channels, height, width = image.shape
    pixels = [
        image[:, y, x] if y < height and x < width else image.new_zeros(channels)
        for y in range(row * high, (row + 1) * high)
        for x in range(column * wide, (column + 1) * wide)
    ]
    return torch.cat(pixels)


def logits(images, weights, patch_size, num_heads):
    """Of every image, in float64."""
    found = []
    for image in images.double():
        rows, columns = image.shape[1] // patch_size, image.shape[2] // patch_size
        flat = [patch(image, y, x, patch_size, patch_size) for y in range(rows) for x in range(columns)]
        embedded = torch.stack(flat) @ weights["embed"].double().T + weights["embed_bias"].double()
        z = torch.cat([weights["class_token"].double()[None], embedded]) + weights["positions"].double()
        for one in weights["blocks"]:
            z, _ = block(z, one, num_heads)
        z = torch.stack([norm(token, weights["norm"].double(), weights["norm_bias"].double()) for token in z])
        both = torch.cat([z[0], z[1:].mean(0)])
        found.append(weights["head"].double() @ both + weights["head_bias"].double())
    return torch.stack(found)


def small(rng):
    """(heads, width, hidden width) of a model that an oracle can do."""
    heads = integer(rng, 2, 3)
    return heads, heads * integer(rng, 2, 4), integer(rng, 5, 11)
