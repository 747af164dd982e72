"""`python -m autograder`: the same as the command `autograder`."""

from autograder.cli import app

if __name__ == "__main__":
    app()
