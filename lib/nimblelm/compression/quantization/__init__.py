"""Fewer bits a number: absmax and zero-point grids, outliers, NF4, double quantization, GPTQ, packed decoding."""
