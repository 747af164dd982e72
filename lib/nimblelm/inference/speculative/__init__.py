"""Speculative decoding on the host: a draft proposes a block of tokens, the target verifies it in one pass."""
