"""Policies that act: a task, learning from demonstrations, and a policy step within a trust region."""
