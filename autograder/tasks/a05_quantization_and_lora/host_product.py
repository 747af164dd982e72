def int8_product(x, x_scales, values, scales, group_size, block_n, kernel=None):
    out = torch.full((len(x), len(values)), float("nan"))
    grid = (triton.cdiv(len(values), block_n), len(x))
    (kernel or product_kernel)[grid](
        x, x_scales, values, scales, out, len(values), x.shape[1], GROUP=group_size, BLOCK_N=block_n
    )
    return out
