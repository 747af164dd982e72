"""Cuts off towards zero instead of rounding.

kills: codes_are_rounded_to_the_nearest, the_error_is_at_most_half_a_step
"""


# %% quantize
def quantize_rows(x):
    scales = x.abs().amax(-1) / 127
    safe = torch.where(scales > 0, scales, 1.0)
    return (x / safe[..., None]).trunc().clamp(-127, 127).to(torch.int8), scales


def dequantize_rows(codes, scales):
    return codes.float() * scales[..., None]
