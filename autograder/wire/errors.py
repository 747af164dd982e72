"""What goes wrong in ways that a person can act on."""


class AutograderError(Exception):
    """Something the person at the keyboard can act on; the command line prints it without a traceback."""


class UsageError(AutograderError):
    """What was asked for does not exist or makes no sense."""


class CannotGrade(AutograderError):
    """The grader itself failed or refused. Never a statement about a student's work, never a score of 0."""
