"""Attention that is cheaper than quadratic, a paper a file: the rows of the Long Range Arena table."""
