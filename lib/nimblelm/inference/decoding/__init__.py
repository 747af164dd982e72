"""A token at a time: sampling, caches, and the loop that every faster decoder is held against."""
