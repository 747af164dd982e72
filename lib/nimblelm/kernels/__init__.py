"""Triton kernels, a folder each, all laid out alike.

`__init__` dispatches (a GPU's kernel, or torch on a CPU), `reference` is the oracle in float64, `kernels` (or `forward`
and `backward`) holds what runs on the GPU, `configs` how it is cut into tiles, `launch` what the host does around it.
`tile` is the shape of a program, `shapes` the question whether tensors fit each other.
"""
