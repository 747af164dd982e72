"""The reference of the exercise `double`."""

SECRET = "canary-reference"


def double(x):
    return x + x
