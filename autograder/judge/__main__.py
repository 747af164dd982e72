"""`python -m autograder.judge JOB.json RESULT.json`: the judge as a program."""

import sys

from autograder.judge.judge import main

if __name__ == "__main__":
    sys.exit(main())
