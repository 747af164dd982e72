"""Nimble Language Models: reference implementations behind the course."""

__version__ = "0.1.0"
