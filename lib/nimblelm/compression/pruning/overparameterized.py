"""Du and Lee's network: when is a hidden layer so wide that local search finds the best weights?"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from nimblelm.kernels.shapes import check_dtype_and_device


def sufficient_width(num_points: int) -> int:
    """The smallest width k >= sqrt(2 n), for which no local minimum is worse than the global one.

    (Du and Lee, 2018, arXiv:1803.01206, theorem 3.1): one hidden layer, quadratic activation, smooth convex loss, n
    points, weight decay, and a random tilt of the loss for the width below the input's dimension.

    Raises:
        ValueError: there are no points.

    Chapter: book/ch06_pruning
    """
    if num_points < 1:
        raise ValueError(f"num_points {num_points} must be 1 or more")
    width = math.isqrt(2 * num_points)
    return width if width**2 == 2 * num_points else width + 1


def quadratic_network(x: Float[Tensor, "... n d"], W: Float[Tensor, "... k d"]) -> Float[Tensor, "... n"]:
    """f(x) = sum_j (w_j . x)^2 = x^T W^T W x: k hidden units that square, summed (Du and Lee, 2018, eq. 1).

    Args:
        x: points; leading dimensions are networks side by side.
        W: weights of the hidden units.

    Raises:
        ValueError: their dtypes or devices differ.

    Chapter: book/ch06_pruning
    """
    check_dtype_and_device(x=x, W=W)
    return (x @ W.mT).square().sum(-1)


def fit_quadratic(
    x: Float[Tensor, "... n d"], y: Float[Tensor, "... n"], W: Float[Tensor, "... k d"], steps: int, rate: float
) -> Float[Tensor, "..."]:
    """Mean squared error of each network after `steps` of Adam on all points, from the weights W; float64 advised.

    Args:
        x, y: points and what each network should say of them.
        W: weights to start from; they stay as they are.
        steps: full-batch steps.
        rate: of Adam at first; it falls to 0 in a line.

    Raises:
        ValueError: the rate is not above 0 and finite, or W is in half precision, where squares vanish.

    Chapter: book/ch06_pruning
    """
    if not 0 < rate < math.inf:
        raise ValueError(f"rate {rate} must be above 0 and finite")
    if W.dtype.itemsize < 4:
        raise ValueError(f"W of {W.dtype} must be float32 or float64")
    weights = W.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([weights], lr=rate)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = rate * (1 - step / steps)
        optimizer.zero_grad()
        (quadratic_network(x, weights) - y).square().mean(-1).sum().backward()
        optimizer.step()
    return (quadratic_network(x, weights.detach()) - y).square().mean(-1)
