"""nbgrader's settings for this course: its folders, and our judge in the place where it would execute notebooks."""

from nbconvert.preprocessors import ClearMetadataPreprocessor
from nbgrader.preprocessors import AssignLatePenalties, CheckCellMetadata, LimitOutput

from autograder.controller.nbgrader_step import JudgeCells, SaveJudgedGrades, SubmissionExporter

c = get_config()  # type: ignore[name-defined]  (traitlets puts it here)

c.CourseDirectory.course_id = "nimblelm"
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "assignments"
# nbgrader copies every other file along with a notebook: none that does not end in "b", so notebooks only.
c.CourseDirectory.ignore = ["*[!b]"]

# timestamp.txt lies in the submission, where a student can write it: it says nothing about lateness, unless a step of
# yours writes it whatever the student hands in. Then: c.SubmissionExporter.believes_timestamps = True

c.Autograde.force = True  # grading again replaces what is there; the default skips it without a word
c.Autograde.exporter_class = SubmissionExporter
c.Autograde.autograde_preprocessors = [
    JudgeCells,
    ClearMetadataPreprocessor,
    LimitOutput,
    SaveJudgedGrades,
    AssignLatePenalties,
    CheckCellMetadata,
]
