"""Adds a millionth to every scale against division by zero, which small rows do not survive.

kills: the_error_is_at_most_half_a_step, zeros_and_outliers_are_safe
"""


# %% quantize
def quantize_rows(x):
    scales = x.abs().amax(-1) / 127 + 1e-6
    safe = torch.where(scales > 0, scales, 1.0)
    return (x / safe[..., None]).round().clamp(-127, 127).to(torch.int8), scales


def dequantize_rows(codes, scales):
    return codes.float() * scales[..., None]
