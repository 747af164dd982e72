"""Corpora, tokenizers and small trained checkpoints that need no download."""
