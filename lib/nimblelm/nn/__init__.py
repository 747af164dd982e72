"""Norms, positions, attention and the transformer blocks that every model of the course is made of."""
