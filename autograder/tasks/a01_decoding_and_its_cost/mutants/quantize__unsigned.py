"""Keeps magnitudes and loses the signs.

kills: codes_are_rounded_to_the_nearest, zeros_and_outliers_are_safe
"""


# %% quantize
def quantize_rows(x):
    scales = x.abs().amax(-1) / 127
    safe = torch.where(scales > 0, scales, 1.0)
    return (x.abs() / safe[..., None]).round().clamp(-127, 127).to(torch.int8), scales


def dequantize_rows(codes, scales):
    return codes.float() * scales[..., None]
