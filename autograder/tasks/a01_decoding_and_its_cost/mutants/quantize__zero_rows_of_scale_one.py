"""Reports a scale of 1 for a row of zeros instead of 0.

kills: zeros_and_outliers_are_safe
"""


# %% quantize
def quantize_rows(x):
    scales = x.abs().amax(-1) / 127
    safe = scales = torch.where(scales > 0, scales, 1.0)
    return (x / safe[..., None]).round().clamp(-127, 127).to(torch.int8), scales


def dequantize_rows(codes, scales):
    return codes.float() * scales[..., None]
