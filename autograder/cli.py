"""The command line `autograder`. Each command imports what it needs, so that --help answers at once."""

from autograder import cli_grading, cli_results, cli_trust
from autograder.cli_parts import app

__all__ = ["app", "cli_grading", "cli_results", "cli_trust"]
