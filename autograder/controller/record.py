"""The record: what stands about each student's work. Every page, table, export and appeal draws from here alone.

It joins three sources: the submission as it lies there, the ledger (what the judge found, and what of it `grade` put
into the gradebook), and nbgrader's gradebook (marks and comments by a person, lateness). Where they contradict each
other there is no score, but the reason and what to do: an old score never stands for new work.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from autograder.cells.bundle import Bundle
from autograder.cells.released import ReleasedNotebook
from autograder.controller.course import Course
from autograder.controller.entries import Entry, HandMark, Person, read_entries, roster
from autograder.controller.judge_runs import Judging, judging_for
from autograder.controller.ledger import LastGraded
from autograder.controller.names import listed
from autograder.controller.result import ExerciseResult, Result
from autograder.controller.submissions import Stray, strays
from autograder.controller.submitted_notebook import read_submission
from autograder.controller.variation import VARIES
from autograder.wire.text import duration, number

STUDENTS_REASON = "The grader itself failed here, and your teacher can see why."


@dataclass(frozen=True)
class Mark:
    """The points of one exercise: `points` of `max`, and where they come from.

    Args:
        automatic: what the judge gave; None where it graded nothing.
        by_hand: what a person gave; it counts in the place of `automatic`, or holds extra credit on top of it.
        waits: a person has to mark it, and nobody has.
    """

    max: float
    automatic: float | None = None
    by_hand: HandMark | None = None
    waits: bool = False

    @property
    def points(self) -> float:
        return self.by_hand.points if self.by_hand else self.automatic or 0.0

    @property
    def is_outdated(self) -> bool:
        return self.by_hand is not None and self.by_hand.is_outdated

    @property
    def origin(self) -> str:
        """In words where the points come from; empty where they are simply the judge's."""
        if self.waits:
            return "waits for a mark by a person"
        if self.by_hand is None:
            return ""
        if not self.by_hand.replaces:
            return f"automatic {number(self.automatic or 0.0)}, extra credit {number(self.by_hand.extra)}"
        said = f"by a person {number(self.by_hand.points - self.by_hand.extra)}"
        said = f"automatic {number(self.automatic)}, {said}" if self.automatic is not None else said
        return f"{said}, extra credit {number(self.by_hand.extra)}" if self.by_hand.extra else said


@dataclass(frozen=True)
class Record:
    """What stands about one student's work in one assignment.

    Args:
        result: what the judge found and the gradebook holds; None where there is none, and `problem` says why.
        problem: for a teacher's eyes where the grader failed, since it may then name files of the grader.
        grader_failed: tells a failure of ours from a submission in which there was nothing to grade.
        judge: the version of the judge that `result` came from.
    """

    student: str
    bundle: Bundle
    result: Result | None
    problem: str = ""
    grader_failed: bool = False
    entry: Entry = field(default_factory=Entry)
    judge: str | None = None

    @cached_property
    def marks(self) -> dict[str, Mark]:
        """exercise -> mark, for each that counts; what could not be graded is in neither points nor maximum.

        Where the notebook could not be read and a person has begun to mark it, all exercises count.
        """
        graded = self.result.graded if self.result else {}
        marks = {name: Mark(one.max, one.score) for name, one in graded.items()}
        for name, by_hand in self.entry.by_hand.items():
            found = marks.get(name)
            if by_hand.replaces or found:
                best = by_hand.of or (found.max if found else 0.0)
                marks[name] = Mark(best, found.automatic if found else None, by_hand)
        if marks and not self.bundle.readable:
            rest = {name: Mark(best, waits=True) for name, best in self.entry.maxima.items() if best}
            marks = {name: marks.get(name) or rest[name] for name in {**rest, **marks}}
        return marks

    @property
    def is_complete(self) -> bool:
        """Whether the marks make up a score: not where some are still to come from the judge."""
        if self.result is not None or not self.bundle.readable:
            return bool(self.marks)
        return bool(self.marks) and all(name in self.marks for name in self.bundle.cells)

    @property
    def score(self) -> float | None:
        """Points less a penalty for lateness; None, never 0, where there is no score."""
        return max(0.0, self.points - self.entry.penalty) if self.is_complete else None

    @property
    def points(self) -> float:
        return sum(mark.points for mark in self.marks.values())

    @property
    def max(self) -> float | None:
        return sum(mark.max for mark in self.marks.values()) if self.is_complete else None

    @property
    def share(self) -> float:
        """Of the points that there are; 0 where there are none."""
        return self.score / self.max if self.score is not None and self.max else 0.0

    @property
    def lateness(self) -> str:
        """In words how late it came and what that costs; empty where it was in time."""
        if not self.entry.late_s:
            return ""
        costs = f": −{number(self.entry.penalty)} points" if self.entry.penalty else ", which costs no points"
        return f"late by {duration(self.entry.late_s)}{costs}"

    @property
    def whole(self) -> dict[str, float]:
        """exercise -> what its checks give together, those that were not graded included: the same for all students."""
        return {name: sum(check.max for check in one.checks) for name, one in self.exercises.items() if one.checks}

    @property
    def exercises(self) -> Mapping[str, ExerciseResult]:
        return self.result.exercises if self.result else {}

    @property
    def reasons(self) -> list[str]:
        """For a teacher: why there is no score, or what is to be known beside it. A dash has its reason here."""
        said = []
        if self.score is None:
            said.append(f"{'the grader failed' if self.grader_failed else 'no score'}: {self.problem}")
        elif self.result is None:
            said.append(f"marked by hand, since: {self.problem}")
        for name, exercise in self.exercises.items():
            said += [f"{name} {why}" for why in _not_graded(exercise)]
        if self.result is not None and self.result.varies:
            said.append(VARIES.format(checks="; ".join(self.result.varies)))
        said += [f"{name}: {mark.origin}" for name, mark in self.marks.items() if mark.origin]
        said += [
            f"{name}: the mark by hand needs another look, code or checks have changed since" for name in self.outdated
        ]
        return [*said, self.lateness] if self.lateness else said

    @property
    def outdated(self) -> list[str]:
        """The exercises whose mark by hand was given for other code, or for other points."""
        return [name for name, mark in self.marks.items() if mark.is_outdated]

    @property
    def reason_for_student(self) -> str:
        """Why there is no score, without anything of the grader's machine."""
        if self.grader_failed:
            return STUDENTS_REASON
        return self.problem

    def json(self) -> dict[str, Any]:
        """One student in `autograder grade --json`."""
        names = {**dict.fromkeys(self.exercises), **self.marks, **self.entry.comments}
        return {
            "exercises": {name: self._exercise_json(name) for name in names},
            "penalty": self.entry.penalty, "late_s": self.entry.late_s, "reasons": self.reasons,
            "notes": list(self.bundle.notes),
        }  # fmt: skip

    def _exercise_json(self, name: str) -> dict[str, Any]:
        mark = self.marks.get(name)
        by_hand = mark.by_hand.points if mark and mark.by_hand else None
        return {
            "score": mark.points if mark else None, "max": mark.max if mark else None,
            "automatic": mark.automatic if mark else None, "by_hand": by_hand,
            "comment": self.entry.comments.get(name, ""), "wants_another_look": bool(mark and mark.is_outdated),
        }  # fmt: skip


@dataclass(frozen=True)
class ClassRecord:
    """The record of a class.

    Args:
        missing: who is in the roster and has handed nothing in.
        strays: what in `submitted/` was not understood.
    """

    assignment: str
    students: tuple[Record, ...]
    missing: Mapping[str, Person] = field(default_factory=dict)
    strays: tuple[Stray, ...] = ()

    def of(self, students: Collection[str]) -> "ClassRecord":
        """The same for some of the students."""
        return replace(self, students=tuple(one for one in self.students if one.student in students))

    @property
    def grader_failed(self) -> bool:
        """Whether the grader itself failed somewhere: on a submission, or in one exercise of one."""
        return any(one.grader_failed or (one.result and one.result.grader_failed) for one in self.students)

    @property
    def by_other_checks(self) -> list[str]:
        """Who was graded by another version of the judge or its checks than most; nobody, where it was one for all."""
        versions = [one.judge for one in self.students if one.judge]
        usual = max(versions, key=versions.count, default=None)
        return [one.student for one in self.students if one.judge and one.judge != usual]

    @property
    def mixes_maxima(self) -> bool:
        """Whether the checks gave some students other points to reach than others, as after a change of the checks."""
        worth: dict[str, set[float]] = {}
        for one in self.students if self.by_other_checks else ():
            for name, points in one.whole.items():
                worth.setdefault(name, set()).add(points)
        exercises = {frozenset(one.exercises) for one in self.students if one.result}
        return any(len(found) > 1 for found in worth.values()) or (bool(self.by_other_checks) and len(exercises) > 1)

    @property
    def ungraded(self) -> list[str]:
        """Who is to be graded still, so that a command can be given; failures and what cannot be read are not meant."""
        return [
            one.student for one in self.students if one.result is None and one.bundle.readable and not one.grader_failed
        ]

    @property
    def warnings(self) -> list[str]:
        """What a teacher has to know about the class as a whole."""
        return [*self._ungraded_warning(), *self._checks_warning()]

    def _ungraded_warning(self) -> list[str]:
        found = self.ungraded
        who = f"Not graded as {'it is' if len(found) == 1 else 'they are'} now: {listed(found)}"
        return [f"{who}. Run: autograder grade {self.assignment}"] if found else []

    def _checks_warning(self) -> list[str]:
        others = self.by_other_checks
        if not others:
            return []
        points = ", and the points to reach differ" if self.mixes_maxima else ""
        who = "1 student was" if len(others) == 1 else f"{len(others)} students were"
        what = f"graded by other checks than the rest{points}: {listed(others)}"
        return [f"{who} {what}. Run: autograder grade {self.assignment}"]

    def json(self) -> dict[str, Any]:
        """The object of `autograder grade --json`. A student without a score has null, never 0.

        `graded` counts the students with a score, `invalid` those of them with a timing too disturbed to count,
        `not_graded` those without a score. What scripts rely on is in these and in `scores`.
        """
        scored = [one for one in self.students if one.score is not None]
        return {
            "assignment": self.assignment,
            "submissions": len(self.students),
            "graded": len(scored),
            "invalid": sum(one.result is not None and one.result.is_disturbed for one in scored),
            "not_graded": len(self.students) - len(scored),
            "scores": {one.student: {"score": one.score, "max": one.max} for one in self.students},
            "students": {one.student: one.json() for one in self.students},
            "missing": sorted(self.missing),
            "not_understood": [{"path": one.path, "reason": f"{one.reason}. {one.advice}"} for one in self.strays],
            "warnings": self.warnings,
        }


def read_class(course: Course, assignment: str) -> ClassRecord:
    """The record of everybody who submitted something. Nothing is judged.

    Raises:
        UsageError: there is no such assignment.
        CannotGrade: the gradebook or the ledger cannot be read.
    """
    course.require(assignment)
    released = ReleasedNotebook.load(course.student_notebook(assignment))
    people, entries = roster(course), read_entries(course, assignment)
    with judging_for(course, assignment) as judging:
        graded = judging.last_graded()
        found = []
        for student in course.students(assignment):
            bundle = read_submission(course, student, assignment, released)
            found.append(_record(judging, student, bundle, entries.get(student, Entry()), graded.get(student)))
    missing = {student: people[student] for student in sorted(people.keys() - {one.student for one in found})}
    return ClassRecord(assignment, tuple(found), missing, tuple(strays(course, assignment)))


def _record(judging: Judging, student: str, bundle: Bundle, entry: Entry, last: LastGraded | None) -> Record:
    def without(problem: str, grader_failed: bool = False) -> Record:
        return Record(student, bundle, None, problem, grader_failed, entry)

    if last is not None and last.bundle == bundle.sha256 and last.problem:
        return without(last.problem, grader_failed=True)
    if not bundle.readable:
        return without(bundle.notes[0])
    if last is None:
        return without("It was not graded yet.")
    result = judging.result_of(last.key) if last.key and last.bundle == bundle.sha256 else None
    if result is None:
        return without("It was submitted again, and not graded since.")
    if result.grader_failed and not result.graded:
        said = next(exercise.failure for exercise in result.exercises.values() if exercise.grader_failed)
        return without(f"It failed in every exercise: {said}", grader_failed=True)
    if any(entry.automatic.get(name) != one.score for name, one in result.graded.items()):
        return without("It was judged, and nbgrader's gradebook does not hold the outcome yet.")
    return Record(student, bundle, result, "", False, entry, last.judge)


def _not_graded(exercise: ExerciseResult) -> list[str]:
    """Why an exercise, or some checks of it, are not in the score."""
    if exercise.grader_failed:
        return [f"is not graded, the grader failed: {exercise.failure}"]
    if exercise.not_here:
        said = next((check.message for check in exercise.checks if check.message), "it cannot run on this machine")
        return [f"is not graded: {said}"]
    return [f"was too disturbed to be timed: {one.message}" for one in exercise.checks if one.is_disturbed]
