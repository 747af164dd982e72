"""The two rules of accuracy for every kernel: float64 tells the errors, torch in the same dtype the limit."""

import torch

RMSE_LIMIT = {torch.float16: 0.005, torch.bfloat16: 0.01, torch.float32: 1e-5}
# Units in fp32's last place that the order of summation alone accounts for; torch's own order differs by processor.
ORDER_OF_SUMMATION = 8 * torch.finfo(torch.float32).eps


def errors(out: torch.Tensor, exact: torch.Tensor) -> tuple[float, float]:
    """Largest error, and root mean square error over the exact result's root mean square."""
    difference = out.double() - exact
    return difference.abs().max().item(), (difference.square().mean().sqrt() / exact.square().mean().sqrt()).item()


def assert_accurate(out: torch.Tensor, eager: torch.Tensor, exact: torch.Tensor, name: str = "out") -> None:
    """The largest error is at most twice that of torch in the same dtype, and the error as a whole is small."""
    worst, rmse = errors(out, exact)
    limit = max(2 * errors(eager, exact)[0], ORDER_OF_SUMMATION * exact.abs().max().item())
    assert worst <= limit, f"{name}: largest error {worst:.3g}, at most {limit:.3g} is allowed"
    assert rmse <= RMSE_LIMIT[out.dtype], f"{name}: relative error {rmse:.3g}, limit {RMSE_LIMIT[out.dtype]}"
