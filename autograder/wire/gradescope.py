"""A check as a row of Gradescope's results.json.

The format is Gradescope's (https://gradescope-autograders.readthedocs.io/en/latest/specs/#output-format).
"""

from typing import Any


def row(
    exercise: str, title: str, *, status: str, score: float, most: float, message: str, counts: bool = True
) -> dict[str, Any]:
    """A check's row: visible at once where the notebook has it, else when the grades are published.

    What could not be graded has neither a score nor a max_score.

    Args:
        exercise: the exercise's title.
        most: its points; 0 for a check of the notebook.
        counts: False where a person has marked the exercise.
    """
    visibility = "after_published" if most or status == "not_graded" else "visible"
    about = {"name": f"{exercise}: {title}", "name_format": "text", "output": message, "output_format": "text",
             "visibility": visibility}  # fmt: skip
    if status == "not_graded":
        return {**about, "output": f"Not graded: this costs no points. {message}".strip()}
    points = {"score": score, "max_score": most} if counts else {}
    return {**about, **points, "status": "passed" if status == "passed" and score == most else "failed"}
