"""Triton kernels, a folder each."""
