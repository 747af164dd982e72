"""Images on their way into a model: resized, cropped and normalised, and varied while it trains."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor

IMAGENET_MEAN = (0.485, 0.456, 0.406)  # of red, green and blue over ImageNet, on a scale of 0 to 1: ResNet's
IMAGENET_STD = (0.229, 0.224, 0.225)


def normalize(
    images: Shaped[Tensor, "B C height width"],
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5),
    std: tuple[float, float, float] = (0.5, 0.5, 0.5),
) -> Float[Tensor, "B C height width"]:
    """Bytes as numbers around 0: (x / 255 - mean) / std, a mean and a deviation for each channel.

    Args:
        images: red, green and blue from 0 to 255.
        mean: what becomes 0. One half in ViT, `IMAGENET_MEAN` in ResNet.
        std: what becomes 1 above it.

    Raises:
        ValueError: the images are not of bytes and three channels, or a deviation is not above 0.

    Chapter: book/ch08_vision_transformer
    """
    if images.dtype != torch.uint8 or images.shape[1] != 3:
        raise ValueError(f"images {tuple(images.shape)} of {images.dtype} must be bytes, (B, 3, height, width)")
    if not all(map(math.isfinite, mean)) or not all(0 < one < math.inf for one in std):
        raise ValueError(f"mean {mean} must be finite and std {std} above 0 and finite")
    shift, scale = (torch.tensor(values, device=images.device)[:, None, None] for values in (mean, std))
    return (images / 255 - shift) / scale


def resize(images: Float[Tensor, "B C height width"], height: int, width: int) -> Float[Tensor, "B C h w"]:
    """Images at another size; where it is smaller, each pixel is a mean over what it covers.

    Raises:
        ValueError: the size is below 1.

    Chapter: book/ch08_vision_transformer
    """
    if min(height, width) < 1:
        raise ValueError(f"a size of {height} x {width} pixels is below 1")
    return F.interpolate(images, (height, width), mode="bilinear", antialias=True, align_corners=False)


def center_crop(images: Float[Tensor, "B C height width"], side: int) -> Float[Tensor, "B C side side"]:
    """The square in the middle.

    Raises:
        ValueError: the square is larger than the images, or below 1.
    """
    height, width = images.shape[-2:]
    if not 1 <= side <= min(height, width):
        raise ValueError(f"a crop of {side} pixels does not fit into {height} x {width}")
    top, left = (height - side) // 2, (width - side) // 2
    return images[..., top : top + side, left : left + side]


def augment(
    images: Float[Tensor, "B C height width"],
    generator: torch.Generator,
    flip: bool = True,
    scale: tuple[float, float] = (0.9, 1.3),
) -> Float[Tensor, "B C height width"]:
    """Each image moved, scaled, turned a little and, at random, mirrored; contrast and colours vary.

    What comes in from outside has the colour of the image's edge.

    Args:
        images: normalised pixels.
        generator: source of randomness, on the CPU.
        flip: whether half of the images are mirrored; letters and signs are not what they were then.
        scale: the least and the most of the image that is seen, as a factor of its side.

    Raises:
        ValueError: the images are not of three channels, or the scales are not above 0, finite and in order.
    """
    if images.shape[1] != 3:
        raise ValueError(f"images {tuple(images.shape)} must have 3 channels, (B, 3, height, width)")
    if not 0 < scale[0] <= scale[1] < math.inf:
        raise ValueError(f"scale {scale} must be two finite numbers above 0, the smaller one first")
    count = len(images)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return (low + (high - low) * torch.rand(count, *shape, generator=generator)).to(images)

    angle, seen = uniform(-0.2, 0.2), uniform(*scale)
    mirror = torch.where(uniform(0.0, 1.0) < 0.5, -1.0, 1.0) if flip else torch.ones_like(angle)
    cos, sin = angle.cos() * seen, angle.sin() * seen
    shift_x, shift_y = uniform(-0.2, 0.2), uniform(-0.2, 0.2)
    theta = torch.stack([cos * mirror, -sin, shift_x, sin * mirror, cos, shift_y], dim=1).view(count, 2, 3).to(images)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    moved = F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
    grey = moved.mean(1, keepdim=True)
    moved = grey + (moved - grey) * uniform(0.2, 1.5, 1, 1, 1)  # saturation
    return moved * uniform(0.7, 1.1, 3, 1, 1)  # brightness of each channel


def restyle(images: Float[Tensor, "B C height width"], generator: torch.Generator) -> Float[Tensor, "B C height width"]:
    """Each image, at random, with dark outlines, and with fills that are faded towards white.

    What tells drawing styles apart varies so, and what a drawing shows does not.

    Args:
        images: pixels from -1 to 1.
        generator: source of randomness, on the CPU.

    Raises:
        ValueError: the images are not of three channels.
    """
    if images.shape[1] != 3:
        raise ValueError(f"images {tuple(images.shape)} must have 3 channels, (B, 3, height, width)")

    def uniform() -> Tensor:
        return torch.rand(len(images), 1, 1, 1, generator=generator).to(images)

    grey = images.mean(1, keepdim=True)
    edges = (F.max_pool2d(grey, 3, stride=1, padding=1) - grey).clamp(0, 1)  # on their dark side
    outlined = torch.where(uniform() < 0.4, (images - 2 * edges).clamp(-1, 1), images)
    faded = 0.5 * uniform() * (uniform() < 0.5)
    return outlined * (1 - faded) + faded
