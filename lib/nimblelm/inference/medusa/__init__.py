"""Decoding with Medusa heads: the target guesses its own next tokens and checks a tree of guesses in one pass."""
