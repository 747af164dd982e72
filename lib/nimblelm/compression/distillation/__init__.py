"""Distillation: a small model that learns from a large one, by its distribution, its states or its text."""
