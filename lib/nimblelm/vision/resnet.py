"""ResNet: a convolutional network whose blocks add to what they read."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from nimblelm.nn.checkpoint import load_weights
from nimblelm.nn.weight_names import renamed

if TYPE_CHECKING:
    from transformers import ResNetForImageClassification


@dataclass(frozen=True)
class ResNetConfig:
    """Shape of a residual network (He et al., 2015, arXiv:1512.03385, table 1).

    Raises:
        ValueError: widths and depths are not of the same stages, or a bottleneck's width is not divisible by 4.
    """

    stem_width: int = 64  # channels after the first convolution
    widths: tuple[int, ...] = (64, 128, 256, 512)  # channels of each stage
    depths: tuple[int, ...] = (2, 2, 2, 2)  # blocks of each stage
    bottleneck: bool = False  # 1x1, 3x3, 1x1 at a quarter of the width instead of two 3x3
    small_images: bool = False  # a 3x3 stem that keeps the resolution (section 4.2), not 7x7, stride 2, pooled
    num_channels: int = 3
    num_classes: int = 1000

    def __post_init__(self):
        if len(self.widths) != len(self.depths) or not self.widths:
            raise ValueError(f"widths {self.widths} and depths {self.depths} must be of the same stages, 1 or more")
        if self.bottleneck and any(width % 4 for width in self.widths):
            raise ValueError(f"widths {self.widths} of bottlenecks must be multiples of 4")

    @classmethod
    def resnet18(cls) -> "ResNetConfig":
        """ResNet-18 (table 1)."""
        return cls()

    @classmethod
    def resnet50(cls) -> "ResNetConfig":
        """ResNet-50 (table 1)."""
        return cls(widths=(256, 512, 1024, 2048), depths=(3, 4, 6, 3), bottleneck=True)


class ConvNorm(nn.Module):
    """A convolution without bias, then batch normalisation."""

    def __init__(self, inputs: int, outputs: int, kernel_size: int, stride: int = 1):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel_size, stride, kernel_size // 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Float[Tensor, "B C height width"]) -> Float[Tensor, "B D h w"]:
        return self.norm(self.conv(x))


class Block(nn.Module):
    """relu(F(x) + x)          (He et al., 2015, arXiv:1512.03385, eq. 1)

    Where resolution or width change, the shortcut is a 1x1 convolution (eq. 2).
    """

    def __init__(self, inputs: int, outputs: int, stride: int, bottleneck: bool):
        super().__init__()
        if bottleneck:  # the 3x3 convolution strides, not the first 1x1: "v1.5"
            inner = outputs // 4
            convs = [ConvNorm(inputs, inner, 1), ConvNorm(inner, inner, 3, stride), ConvNorm(inner, outputs, 1)]
        else:
            convs = [ConvNorm(inputs, outputs, 3, stride), ConvNorm(outputs, outputs, 3)]
        self.convs = nn.ModuleList(convs)
        changes = stride != 1 or inputs != outputs
        self.shortcut = ConvNorm(inputs, outputs, 1, stride) if changes else nn.Identity()

    def forward(self, x: Float[Tensor, "B C height width"]) -> Float[Tensor, "B D h w"]:
        inner = x
        for conv in self.convs[:-1]:
            inner = F.relu(conv(inner))
        return F.relu(self.convs[-1](inner) + self.shortcut(x))


class ResNet(nn.Module):
    """Logits of an image's classes from the mean of the last stage's features.

    The twin is `transformers.ResNetForImageClassification`; `from_resnet` loads its weights.

    Args:
        config: the shape.

    Chapter: book/ch08_vision_transformer
    """

    config_class = ResNetConfig

    def __init__(self, config: ResNetConfig):
        super().__init__()
        self.config = config
        kernel_size, stride = (3, 1) if config.small_images else (7, 2)
        self.stem = ConvNorm(config.num_channels, config.stem_width, kernel_size, stride)
        self.stages, inputs = nn.ModuleList(), config.stem_width
        for number, (width, depth) in enumerate(zip(config.widths, config.depths, strict=True)):
            strides = [1 if number == 0 else 2] + [1] * (depth - 1)
            self.stages.append(
                nn.ModuleList(
                    Block(inputs if i == 0 else width, width, stride, config.bottleneck)
                    for i, stride in enumerate(strides)
                )
            )
            inputs = width
        self.classifier = nn.Linear(inputs, config.num_classes)
        self.apply(self._init_weights)

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Float[Tensor, "B C height width"]) -> Float[Tensor, "B classes"]:
        """Logits of each image's classes.

        Args:
            images: normalised pixels, of any size.

        Raises:
            ValueError: the channels are not the model's.
        """
        *_, features = self.features(images)
        return self.classifier(features.mean((2, 3)))

    def features(self, images: Float[Tensor, "B C height width"]) -> Iterator[Float[Tensor, "B D h w"]]:
        """The stem's output, then each stage's: maps of halving resolution."""
        if images.shape[1] != self.config.num_channels:
            raise ValueError(f"images of {images.shape[1]} channels, the model reads {self.config.num_channels}")
        x = F.relu(self.stem(images))
        if not self.config.small_images:
            x = F.max_pool2d(x, 3, 2, 1)
        yield x
        for stage in self.stages:
            for block in stage:  # pyright: ignore[reportGeneralTypeIssues]
                x = block(x)
            yield x


_STAGE = "resnet.encoder.stages.{}.layers.{}"
WEIGHT_NAMES = {  # transformers' -> ours
    "resnet.embedder.embedder.convolution": "stem.conv",
    "resnet.embedder.embedder.normalization": "stem.norm",
    f"{_STAGE}.layer.{{}}.convolution": "stages.{}.{}.convs.{}.conv",
    f"{_STAGE}.layer.{{}}.normalization": "stages.{}.{}.convs.{}.norm",
    f"{_STAGE}.shortcut.convolution": "stages.{}.{}.shortcut.conv",
    f"{_STAGE}.shortcut.normalization": "stages.{}.{}.shortcut.norm",
    "classifier.1": "classifier",
}


def from_resnet(twin: "ResNetForImageClassification") -> ResNet:
    """Copy a `transformers` ResNet into a `ResNet` that gives the same logits.

    Args:
        twin: any `ResNetForImageClassification`, random or pretrained.

    Returns:
        The same model, in evaluation mode, in the dtype of its weights.

    Raises:
        ValueError: the configuration uses what our model does not have.
    """
    theirs: Any = twin.config
    if theirs.hidden_act != "relu" or theirs.downsample_in_first_stage or theirs.downsample_in_bottleneck:
        raise ValueError(
            f"hidden_act {theirs.hidden_act!r} must be 'relu', downsample_in_first_stage "
            f"{theirs.downsample_in_first_stage} and downsample_in_bottleneck {theirs.downsample_in_bottleneck} False"
        )
    config = ResNetConfig(
        stem_width=theirs.embedding_size,
        widths=tuple(theirs.hidden_sizes),
        depths=tuple(theirs.depths),
        bottleneck=theirs.layer_type == "bottleneck",
        num_channels=theirs.num_channels,
        num_classes=theirs.num_labels,
    )
    model = ResNet(config).to(next(twin.parameters()).dtype)
    load_weights(model, renamed(twin.state_dict(), WEIGHT_NAMES))
    return model.eval()
