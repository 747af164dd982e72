"""Smaller models: quantization, low-rank adapters."""
