"""Checks and what they expect: statistics against SciPy, plain messages, values copied on their way."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest
import scipy.stats
import torch

from autograder.checks import (
    Callback,
    CheckFailed,
    Draws,
    LocalCall,
    Remote,
    Seed,
    check,
    chi_square_test,
    draws_needed,
    expect_close,
    expect_distribution,
    expect_equal,
    expect_parts,
    expect_tensor,
    fail,
    load_task,
    run_check,
    speed_check,
)
from tests.autograder.toy import write_task

PROBS = torch.tensor([0.5, 0.3, 0.15, 0.05])
TASK = 'title = "T"\nchapter = "c"\n[[exercise]]\nid = "one"\ntitle = "One"\nminutes = 1\ndifficulty = 1\n'


def message_of(function, *args, **kwargs) -> str:
    with pytest.raises(CheckFailed) as failure:
        function(*args, **kwargs)
    return str(failure.value)


def test_chi_square_test_agrees_with_scipy():
    counts = torch.tensor([480, 320, 160, 40])
    probs = PROBS.double() / PROBS.double().sum()
    expected = scipy.stats.chisquare(counts.numpy(), (probs * 1000).numpy())
    assert chi_square_test(counts, PROBS) == pytest.approx(expected.pvalue, rel=1e-5)


def test_chi_square_test_keeps_its_size_under_the_right_distribution():
    rng = torch.Generator().manual_seed(0)
    draws = torch.multinomial(PROBS, 400 * 500, replacement=True, generator=rng).reshape(500, 400)
    p_values = [chi_square_test(torch.bincount(row, minlength=4), PROBS) for row in draws]
    assert 0.02 < sum(p < 0.05 for p in p_values) / 500 < 0.09


def test_chi_square_test_pools_rare_outcomes_and_refuses_impossible_ones():
    rare = torch.tensor([0.999, 0.0005, 0.0005])
    pooled = scipy.stats.chisquare([998, 2], [999, 1]).pvalue
    assert chi_square_test(torch.tensor([998, 2, 0]), rare) == pytest.approx(pooled, rel=1e-3)
    assert chi_square_test(torch.tensor([5, 5, 1]), torch.tensor([0.5, 0.5, 0.0])) == 0.0
    with pytest.raises(ValueError, match="do not match"):
        chi_square_test(torch.tensor([1, 2]), PROBS)


@pytest.mark.parametrize("wrong", [[0.45, 0.35, 0.15, 0.05], [0.5, 0.3, 0.2, 0.0]])
def test_draws_needed_gives_the_power_that_scipy_computes(wrong):
    wrong = torch.tensor(wrong)
    n = draws_needed(PROBS, wrong, significance=1e-6, power=0.999)
    noncentrality = n * float(((wrong - PROBS) ** 2 / PROBS).sum())
    power = scipy.stats.ncx2.sf(scipy.stats.chi2.isf(1e-6, 3), 3, noncentrality)
    assert power == pytest.approx(0.999, abs=2e-5)
    with pytest.raises(ValueError, match="equal"):
        draws_needed(PROBS, PROBS)


def test_expect_distribution_takes_the_right_one_and_refuses_a_wrong_one():
    rng = torch.Generator().manual_seed(0)
    wrong = torch.tensor([0.4, 0.4, 0.15, 0.05])
    n = draws_needed(PROBS, wrong)
    expect_distribution(torch.multinomial(PROBS, n, replacement=True, generator=rng), PROBS, "the token")
    draws = torch.multinomial(wrong, n, replacement=True, generator=rng)
    assert "do not follow the right distribution" in message_of(expect_distribution, draws, PROBS, "the token")
    assert "between 0 and 3" in message_of(expect_distribution, torch.tensor([0, 4]), PROBS, "the token")
    assert "dtype int" in message_of(expect_distribution, torch.zeros(4), PROBS, "the token")


@pytest.mark.parametrize(
    ("got", "want"),
    [(True, 1), (1.0, 1), ("1", 1), ([1], (1,)), (torch.tensor([1]), 1), (float("nan"), 1.0)],
)
def test_expect_equal_tells_kinds_apart(got, want):
    assert "wrong: the count" in message_of(expect_equal, got, want, "the count")


def test_a_missing_return_is_named():
    for expect, want in ((expect_equal, 0), (expect_close, 0.5), (expect_close, torch.zeros(2))):
        assert "a `return` missing?" in message_of(expect, None, want, "the count")


def test_messages_show_numbers_as_a_person_would_write_them():
    said = message_of(expect_close, torch.tensor([0.1, float("inf")]), torch.tensor([0.6, 0.4]), "the distribution")
    assert said == "infinity in the distribution in 1 of 2 numbers (at=[1], got=[0.1, inf], want=[0.6, 0.4])"
    assert "(got=[0.1], want=[0.6])" in message_of(
        expect_close, torch.tensor([0.1]), torch.tensor([0.6]), "the distribution"
    )


def test_expect_equal_takes_equal_values():
    for got, want in (
        (3, 3),
        (torch.tensor(3), 3),
        ([1, torch.tensor([2])], [1, torch.tensor([2])]),
        ({"a": 1}, {"a": 1}),
    ):
        expect_equal(got, want, "the value")


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), torch.tensor([1.0]), "1", None, True])
def test_expect_close_refuses_what_is_no_number_close_by(bad):
    assert message_of(expect_close, bad, 1.0, "the ratio")


def test_expect_close_names_nan_and_wrong_shapes():
    want = torch.ones(2)
    assert "NaN" in message_of(expect_close, torch.tensor([1.0, float("nan")]), want, "the distribution")
    assert "wrong shape" in message_of(expect_close, torch.ones(2, 1), want, "the distribution")
    expect_close(torch.tensor([1.0, float("-inf")]), torch.tensor([1.0, float("-inf")]), "the logits")


def test_expect_tensor_checks_shape_and_dtype():
    assert "should be a tensor" in message_of(expect_tensor, [1], "the result")
    assert "dtype float32" in message_of(expect_tensor, torch.ones(2).double(), "the result", dtype=torch.float32)
    assert "wrong shape" in message_of(expect_tensor, torch.ones(2, 3), "the result", shape=(None,))
    assert expect_tensor(torch.ones(2, 3), "the result", shape=(None, 3), dtype="float").shape == (2, 3)


def test_expect_parts_says_what_belongs_together():
    parts = "split", "head", "tail"
    assert "`split` should return (head, tail), it returned None; is a `return`" in message_of(
        expect_parts, None, *parts
    )
    assert message_of(expect_parts, [1, 2, 3], *parts).endswith("it returned a list of 3")
    assert message_of(expect_parts, torch.ones(2), *parts).endswith("it returned a Tensor")
    assert expect_parts([1, 2], *parts) == expect_parts((1, 2), *parts) == (1, 2)


def test_fail_shortens_what_it_shows():
    assert len(message_of(fail, "wrong", got=torch.zeros(10_000))) < 250


class Round(NamedTuple):
    tokens: torch.Tensor
    count: int


@dataclass
class Output:
    rounds: list
    done: bool


def test_local_calls_copy_values_as_a_worker_does():
    given = torch.zeros(3)

    def spoil(x):
        x += 1
        return Output([Round(x, 2)], True)

    got = LocalCall({"spoil": spoil})("spoil", given)
    assert given.sum() == 0
    assert got == {"rounds": [{"tokens": got["rounds"][0]["tokens"], "count": 2}], "done": True}


def test_local_calls_stand_in_for_callbacks_seeds_and_remotes():
    def use(model, rng, counter):
        return model(torch.rand(2, generator=rng)), counter["a"]

    call = LocalCall({"use": use})
    got = call("use", Callback(lambda x: x + 1), Seed(3), Remote("collections:Counter", a=4))
    expected = torch.rand(2, generator=torch.Generator().manual_seed(3)) + 1
    assert torch.equal(got[0], expected)
    assert got[1] == 4


def test_a_callback_can_fail_the_check_even_where_the_student_catches_everything():
    def swallow(model):
        try:
            model(1)
        except Exception:
            return 1

    assert (
        message_of(LocalCall({"swallow": swallow}), "swallow", Callback(lambda x: fail("asked too often")))
        == "asked too often"
    )


def test_many_stacks_results_and_pads_ragged_tokens():
    runs = iter(range(100))

    def run(rng):
        number = next(runs)
        return Round(torch.arange(number % 3), number), rng

    def wrong(rng):
        return 1 if next(runs) % 2 else 1.0

    call = LocalCall({"run": lambda rng: run(rng)[0], "wrong": wrong})
    got = call.many("run", 3, Seed(1))
    assert got["tokens"].tolist() == [[-1, -1], [0, -1], [0, 1]]
    assert got["count"].tolist() == [0, 1, 2]
    assert "different types" in message_of(call.many, "wrong", 2, Seed(1))


def test_one_seed_is_one_generator_for_all_runs():
    draws = LocalCall({"draw": lambda rng: float(torch.rand((), generator=rng))}).many("draw", 4, Seed(1))
    assert len(set(draws.tolist())) == 4


def test_part_leaves_out_what_does_not_stack():
    call = LocalCall({"run": lambda: Round(torch.zeros(2), object())})  # type: ignore[arg-type]
    assert call.many("run", 3, part="tokens").shape == (3, 2)
    assert "has no `other`" in message_of(call.many, "run", 3, part="other")


def raising(error):
    def function():
        raise error

    return function


def test_what_goes_wrong_is_said_in_plain_words():
    call = LocalCall(
        {
            "stub": raising(NotImplementedError()),
            "bug": raising(ValueError("no rows")),
            "ends": raising(SystemExit(0)),
            "odd": object,
            "data": 3,
        }
    )
    assert message_of(call, "absent") == "You did not define `absent`."
    assert "not a function" in message_of(call, "data")
    assert "Not written yet" in message_of(call, "stub")
    assert "raised ValueError: “no rows” (line" in message_of(call, "bug")
    assert "ended the program" in message_of(call, "ends")
    assert "type object cannot cross" in message_of(call, "odd")


def task_of(folder: Path, visible: str = "", checks: str = "") -> Path:
    head = "from autograder.checks import check\n\n\n"
    return write_task(folder, TASK, {"one": head + visible}, {"one": head + checks})


CHECK = '@check("{exercise}", points={points})\ndef {name}(call, rng):\n    """It works.\n\n    Why."""\n\n\n'


def test_load_task_reads_checks_in_order(tmp_path):
    visible = CHECK.format(exercise="one", points=0, name="seen")
    hidden = CHECK.format(exercise="one", points=1.5, name="b") + CHECK.format(exercise="one", points=1, name="a")
    checks = load_task(task_of(tmp_path, visible, hidden)).checks["one"]
    assert [(one.name, one.points, one.visible, one.title) for one in checks] == [
        ("seen", 0, True, "It works."),
        ("b", 1.5, False, "It works."),
        ("a", 1, False, "It works."),
    ]
    assert [one.name for one in load_task(tmp_path, hidden=False).checks["one"]] == ["seen"]


def test_load_task_refuses_unknown_exercises_and_equal_names(tmp_path):
    one = CHECK.format(exercise="one", points=1, name="same")
    with pytest.raises(ValueError, match="more than one check is named 'same'"):
        load_task(task_of(tmp_path, one, one))
    with pytest.raises(ValueError, match=r"'two', which task.toml does not have"):
        load_task(task_of(tmp_path, CHECK.format(exercise="two", points=1, name="other")))


def test_load_task_refuses_what_stands_in_the_wrong_file(tmp_path):
    folder = task_of(tmp_path, "", CHECK.format(exercise="one", points=1, name="a"))
    (folder / "checks" / "one.py").rename(folder / "checks" / "shared.py")
    with pytest.raises(ValueError, match=r"shared\.py: the check 'a' is for 'one': move it to one\.py"):
        load_task(folder)
    (folder / "checks" / "shared.py").unlink()
    (folder / "host_two.py").write_text("def f(): ...")
    with pytest.raises(ValueError, match=r"host_two\.py: task\.toml has no exercise 'two'"):
        load_task(folder)
    (folder / "host_two.py").unlink()
    for code in ('setup = "import torch"\n' + TASK, TASK + 'host = "def f(): ..."\n'):
        (folder / "task.toml").write_text(code)
        with pytest.raises(ValueError, match=r"task\.toml: it holds no code"):
            load_task(folder)


def test_a_task_has_its_setup_and_hosts_from_files(tmp_path):
    folder = task_of(tmp_path)
    (folder / "setup.py").write_bytes(b"import torch\r\n")
    (folder / "host_one.py").write_text("def one(): ...\n")
    task = load_task(folder)
    assert (task.setup, task.exercises["one"].host) == ("import torch\n", "def one(): ...\n")


def test_speed_checks_have_rising_thresholds():
    for thresholds in ([(1.5, 0), (1.0, 1)], [(1.0, 1), (2.0, 0.5)], [(1.0, 0), (2.0, 2)]):
        with pytest.raises(ValueError, match="threshold"):
            speed_check("one", function="f", points=1, thresholds=thresholds, baselines={"ours": "m:f"})


def test_run_check_lets_bugs_of_ours_through():
    @check("one")
    def buggy(call, rng):
        raise KeyError("ours")

    with pytest.raises(KeyError):
        run_check(buggy.check, LocalCall({}), Draws(b"k"))
    assert run_check(check("one")(lambda call, rng: call("f")).check, LocalCall({}), Draws(b"k")).passed is False


def test_a_check_that_stumbles_over_a_result_fails_and_does_not_crash():
    @check("one")
    def arithmetic(call, rng):
        assert call("f") - 1 == 0

    outcome = run_check(arithmetic.check, LocalCall({"f": lambda: "text"}), Draws(b"k"))
    assert not outcome.passed
    assert "`f` returned a str that cannot be used here (TypeError" in outcome.message
    assert "arithmetic" in outcome.log
    outcome = run_check(arithmetic.check, LocalCall({"f": lambda: None}), Draws(b"k"))
    assert outcome.message == "`f` returned None; is a `return` missing?"
