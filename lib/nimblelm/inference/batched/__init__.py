"""Decoders whose state stays on the device, so that a CUDA graph holds a whole round of a batch."""
