"""Doubling: the checks that a student sees and runs."""

from autograder.checks import check, expect_equal


@check("double")
def doubles_three(call, rng):
    """Twice three is six."""
    expect_equal(call("double", 3), 6, "twice three", hint="add the number to itself")
