"""Fair timing: noise never lowers a grade, a planted delay is found, the same half point comes out every time."""

import random

import pytest

from autograder.checks import CheckFailed, Trial, fail, load_task
from autograder.judge import sandbox, timing
from autograder.judge.program import Guard, Program
from autograder.judge.remote_call import RemoteCall
from autograder.judge.sandbox import Limits
from autograder.judge.speed import Student, injects, time_check
from autograder.judge.timing import Interval, Plan, Sample, interval, judge_speed
from autograder.judge.worker_process import ForkServer
from autograder.judge.workspace import Workspace
from autograder.wire.points import STEP, points_for, steps
from tests.autograder.toy_judge import ASSIGNMENT, RIGHT, TOY

THRESHOLDS = [(1.0, 0), (1.5, 1), (2.0, 2)]
NOISE = timing.PLAN.noise


class Recorded:
    """A contestant whose calls take a given time, give or take some noise, and longer in planted blocks."""

    def __init__(self, seconds: float, spread: float = 0.0, seed: int = 0, slow_blocks=(), factor: float = 1.0) -> None:
        self.seconds, self.spread, self.slow_blocks, self.factor = seconds, spread, set(slow_blocks), factor
        self.random, self.blocks = random.Random(seed), 0
        self.inputs: list[range] = []

    def block(self, inputs: range) -> list[float]:
        self.inputs.append(inputs)
        self.blocks += 1
        scale = self.seconds * (self.factor if self.blocks in self.slow_blocks else 1.0)
        drift = self.random.gauss(1, self.spread)  # a block's calls share most of their noise
        return [scale * drift * self.random.gauss(1, self.spread) for _ in inputs]


@pytest.mark.parametrize(
    ("speedup", "points"),
    [(0.5, 0), (1.0, 0), (1.2, 0), (1.23, 0.5), (1.49, 0.5), (1.5, 1), (1.73, 1), (1.74, 1.5), (2.0, 2), (9.0, 2)],
)
def test_points_are_linear_in_the_logarithm_and_come_in_half_steps(speedup, points):
    assert points_for(speedup, THRESHOLDS) == points


@pytest.mark.parametrize("thresholds", [THRESHOLDS, [(1.0, 0), (1.5, 3)], [(0.8, 0.5), (1.0, 1.0), (4.0, 1.75)]])
def test_steps_are_where_the_points_rise(thresholds):
    found = steps(thresholds)
    assert found[-1][1] == thresholds[-1][1] // STEP * STEP
    for at, points in found:
        assert points_for(at * (1 + 1e-6), thresholds) == points
        assert points_for(at * (1 - 1e-6), thresholds) == (points - STEP if at > thresholds[0][0] else 0)


def test_points_at_the_first_threshold_are_given():
    assert points_for(1.0, [(1.0, 1), (2.0, 2)]) == 1
    assert points_for(0.99, [(1.0, 1), (2.0, 2)]) == 0


def test_the_interval_holds_the_median_and_is_never_narrower_than_the_noise():
    same = [Sample([1, 1], [0.5, 0.5], [1, 1])] * 5
    found = interval(same, noise=0.08)
    assert found.median == 2
    assert found.low == pytest.approx(2 / (1 + 0.04 / 5**0.5))
    assert found.high == pytest.approx(2 * (1 + 0.04 / 5**0.5))
    with pytest.raises(ValueError, match="0 samples"):
        interval([], 0.08)


def test_the_interval_covers_the_true_ratio_nineteen_times_in_twenty():
    covered = 0
    for seed in range(200):
        rng = random.Random(seed)
        samples = [Sample([rng.gauss(1, 0.03)], [rng.gauss(0.5, 0.015)], [rng.gauss(1, 0.03)]) for _ in range(5)]
        found = interval(samples, NOISE)
        covered += found.low <= 2.0 <= found.high
    assert covered >= 186


def test_the_reference_against_itself_is_one():
    verdict = judge_speed(Recorded(0.1, 0.02), Recorded(0.1, 0.02, seed=1), THRESHOLDS)
    assert verdict.interval.low <= 1.0 <= verdict.interval.high


def test_a_planted_delay_is_recovered_within_five_percent():
    verdict = judge_speed(Recorded(0.1, 0.02), Recorded(0.2, 0.02, seed=1), THRESHOLDS)
    assert verdict.interval.median == pytest.approx(0.5, rel=0.05)
    assert verdict.points == 0


def test_planted_contention_gives_no_verdict_and_takes_no_points():
    noisy = Recorded(0.1, slow_blocks=range(2, 10_000, 2), factor=1.5)  # every second block of the reference
    verdict = judge_speed(noisy, Recorded(0.1), THRESHOLDS)
    assert verdict.points is None
    assert verdict.interval is None
    assert verdict.disturbed == 3 * 2 * timing.PLAN.samples
    assert len(verdict.samples) == verdict.disturbed  # all recorded, for the audit


class Churning(Recorded):
    """A student whose calls slow down the reference that comes after them, by a factor, so and so often."""

    def __init__(self, seconds: float, reference: Recorded, factor: float, share: float = 1.0, seed: int = 5) -> None:
        super().__init__(seconds, 0.01, seed)
        self.reference, self.slowdown, self.share = reference, factor, share

    def block(self, inputs: range) -> list[float]:
        if self.random.random() < self.share:
            self.reference.slow_blocks.add(self.reference.blocks + 1)
            self.reference.factor = self.slowdown
        return super().block(inputs)


@pytest.mark.parametrize(("share", "slowdown"), [(1.0, 1.3), (1.0, 9.0), (0.8, 1.2)])
def test_a_student_who_disturbs_the_reference_does_not_lift_speed_out_of_the_maximum(share, slowdown):
    """The verdict is that of the blocks before: half as fast is worth nothing, twice as fast the same as ever."""
    for seconds, points in ((0.2, 0), (0.1, 0), (0.045, 2)):
        for seed in range(5):
            reference = Recorded(0.1, 0.01, seed)
            verdict = judge_speed(reference, Churning(seconds, reference, slowdown, share, seed), THRESHOLDS)
            assert verdict.points == points
            if verdict.by_student:
                assert verdict.interval.median == pytest.approx(0.1 / seconds, rel=0.05)


@pytest.mark.parametrize("share", [0.5, 0.7, 0.9, 1.0])
def test_noise_of_the_machine_is_not_taken_for_the_students(share):
    """Each block of the reference is slow as often as any other, whoever was there before it."""
    blamed = 0
    for seed in range(60):
        rng = random.Random(seed)
        slow = [block for block in range(1, 1000) if rng.random() < share / 2]
        verdict = judge_speed(Recorded(0.1, 0.01, seed, slow, factor=1.5), Recorded(0.09, 0.01, seed), THRESHOLDS)
        blamed += verdict.by_student
    assert blamed <= 1


def test_a_reference_that_is_disturbed_now_and_then_for_long_is_not_blamed_on_the_student():
    for length in (1, 2, 3, 4, 5, 7, 10, 15):
        slow = [block for block in range(2, 2000) if block // length % 2]
        assert not judge_speed(Recorded(0.1, 0.0, 0, slow, factor=1.5), Recorded(0.09), THRESHOLDS).by_student


def test_a_disturbed_sample_is_replaced_and_counts_for_nothing():
    verdict = judge_speed(Recorded(0.2, slow_blocks=[3, 6], factor=3.0), Recorded(0.1), THRESHOLDS)
    assert verdict.disturbed == 2
    assert verdict.points == 2
    assert verdict.interval.median == pytest.approx(2.0)


def test_a_students_slow_block_does_not_move_the_median():
    verdict = judge_speed(Recorded(0.2), Recorded(0.1, slow_blocks=[3], factor=3.0), THRESHOLDS)
    assert verdict.interval.median == pytest.approx(2.0)
    assert verdict.points == 2


def test_an_interval_over_a_step_takes_more_samples_and_then_favours_the_student():
    verdict = judge_speed(Recorded(0.1 * 1.49), Recorded(0.1), THRESHOLDS)
    assert len(verdict.samples) == timing.PLAN.samples + timing.PLAN.extra
    assert verdict.interval.low < 1.5 < verdict.interval.high
    assert verdict.points == 1
    clear = judge_speed(Recorded(0.1 * 1.6), Recorded(0.1), THRESHOLDS)
    assert len(clear.samples) == timing.PLAN.samples


def test_no_input_is_used_twice_by_the_student_and_both_sides_get_the_same():
    reference, student = Recorded(0.2), Recorded(0.1)
    judge_speed(reference, student, THRESHOLDS)
    seen = [index for block in student.inputs for index in block]
    assert len(seen) == len(set(seen))
    samples = student.inputs[1:]
    assert reference.inputs[1:] == [block for block in samples for _ in range(2)]


def test_blocks_are_sized_by_time():
    for seconds, calls in ((0.5, 3), (0.05, 10), (0.001, 20)):
        student = Recorded(seconds)
        verdict = judge_speed(Recorded(seconds), student, THRESHOLDS)
        assert verdict.calls == calls
        assert len(student.inputs[1]) == calls


def test_what_a_contestant_raises_goes_through():
    class Wrong(Recorded):
        def block(self, inputs):
            raise RuntimeError("wrong output")

    with pytest.raises(RuntimeError, match="wrong output"):
        judge_speed(Recorded(0.1), Wrong(0.1), THRESHOLDS)


def test_the_same_half_point_comes_out_99_times_in_100():
    """At the noise of two busy cores, 2.5 % a block, and as far from a step as the interval is wide."""
    points = [
        judge_speed(Recorded(0.16, 0.025, seed=n), Recorded(0.1, 0.025, seed=1000 + n), THRESHOLDS).points
        for n in range(100)
    ]
    assert points.count(1.0) >= 99


class Answers:
    """Stands in for calls of a worker: answers every input with itself, except for one."""

    decisive_s = wall_s = 0.1

    def __init__(self, wrong: int | None = None) -> None:
        self.wrong, self.asked = wrong, []

    def __call__(self, function, number):
        self.asked.append(number)
        return "text" if number == self.wrong else number

    def grant(self, deadline_s): ...
    def require_idle(self): ...


def numbers(index: int) -> Trial:
    """A trial whose input is its own index, with a result that allows for arithmetic."""

    def verify(got):
        if got - index != 0:
            fail("wrong number")

    return Trial(args=(index,), verify=verify)


@pytest.mark.parametrize("wrong", [1000, 1002, 1004])
def test_each_output_of_a_block_is_checked_and_never_before_all_were_captured(wrong):
    trials = {index: numbers(index) for index in range(1000, 1005)}
    right = Answers()
    assert Student(trials, "f", right).block(range(1000, 1005)) == [0.1] * 5  # type: ignore[arg-type]
    answers = Answers(wrong)
    with pytest.raises(CheckFailed, match="cannot be used here"):
        Student(trials, "f", answers).block(range(1000, 1005))  # type: ignore[arg-type]
    assert answers.asked == right.asked == list(range(1000, 1005))


FAST = Plan(samples=3, extra=0, block_s=0.1, noise=0.2)
TWICE = """
def mix(x, rounds):
    for _ in range(2):
        y = x
        for _ in range(rounds):
            y = torch.tanh(y @ y)
    return y
"""
IN_THREADS = """
import threading


def mix(x, rounds):
    results = []

    def work():
        y = x
        for _ in range(rounds):
            y = torch.tanh(y @ y)
        results.append(y)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results[0]
"""


@pytest.fixture
def timed():
    """Times a cell's `mix` against ours in two workers."""
    if not sandbox.state()[0]:
        pytest.skip(sandbox.state()[1])
    task = load_task(TOY / "tasks" / ASSIGNMENT)
    check = task.checks["mix"][-1]
    assert check.speed is not None
    with Workspace(TOY / "lib") as space, ForkServer(space, Limits()) as fork_server:

        def call(source, names):
            program, guard = Program("mix", task.setup, names, source), Guard((), (), 60, 600)
            return RemoteCall(fork_server.start, program, guard, b"key")

        ours = call(None, injects(check))

        def run(source, plan=FAST):
            student = call(source, {})
            try:
                return time_check(check, b"key", student, ours, plan)
            finally:
                student.close()

        yield run
        ours.close()


def test_live_workers_are_timed_and_wrong_outputs_void_it(timed):
    outcome = timed(TWICE)
    found = outcome.details["interval"]
    assert Interval(**found).median == pytest.approx(0.5, rel=0.2)
    assert outcome.points == 0
    assert "times as fast as ours (95 % interval" in outcome.sentence
    assert outcome.details["others"]["ours twice over"] == pytest.approx(1.0, rel=0.3)
    assert outcome.details["round_trip_us"] > 0
    with pytest.raises(CheckFailed, match="wrong: the mixture"):
        timed("def mix(x, rounds):\n    return x\n")


@pytest.mark.slow
def test_live_reference_against_itself_holds_one(timed):
    outcome = timed(RIGHT["mix"], timing.PLAN)
    found = Interval(**outcome.details["interval"])
    assert found.low <= 1.0 <= found.high
    assert outcome.points in (1.0, 1.5)


@pytest.mark.slow
def test_live_planted_delay_is_recovered_within_five_percent(timed):
    many = Plan(samples=15)  # five, on two busy cores, miss five percent now and then
    found = Interval(**timed(TWICE, many).details["interval"])
    assert found.median == pytest.approx(0.5, rel=0.05)


@pytest.mark.slow
def test_live_work_in_other_threads_is_counted(timed):
    """Work that a thread did unseen would give 1. Threads that share a cache may cost each other more than twice."""
    found = Interval(**timed(IN_THREADS, timing.PLAN).details["interval"])
    assert found.high < 0.6
