"""Decoding: caches, sampling, batching, autoregressive and speculative decoders."""
