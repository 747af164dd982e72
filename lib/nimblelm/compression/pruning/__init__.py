"""Pruning: which weights, units, heads and layers a model can do without."""
