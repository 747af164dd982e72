"""The command line `autograder`. Each command imports what it needs, so that --help answers at once."""

from autograder.cli import grading, results, term, trust
from autograder.cli.common import app

__all__ = ["app", "grading", "results", "term", "trust"]
