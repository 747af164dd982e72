"""Computes the product in torch and launches nothing.

kills: the_kernel_does_the_product
visible: the_kernel_is_what_multiplies
"""


# %% product
@triton.jit
def product_kernel(x, x_scales, values, scales, out, N, K, GROUP: tl.constexpr, BLOCK_N: tl.constexpr):
    pass


def int8_product(x, x_scales, values, scales, group_size, block_n, kernel=product_kernel):
    each = scales.repeat_interleave(group_size, 1)[:, : values.shape[1]]
    return x_scales[:, None] * (x.float() @ (values.float() * each).T)
