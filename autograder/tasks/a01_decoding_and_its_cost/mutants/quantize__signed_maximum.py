"""Takes the largest value instead of the largest absolute value.

kills: each_row_has_its_own_scale, zeros_and_outliers_are_safe
"""


# %% quantize
def quantize_rows(x):
    scales = x.amax(-1).abs() / 127
    safe = torch.where(scales > 0, scales, 1.0)
    return (x / safe[..., None]).round().clamp(-127, 127).to(torch.int8), scales


def dequantize_rows(codes, scales):
    return codes.float() * scales[..., None]
