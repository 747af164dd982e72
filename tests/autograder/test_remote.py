"""Attacks on the judge from within a call: each is contained, named, and leaves the next call a fresh worker."""

import time

import pytest
import torch

from autograder.checks import Callback, CheckFailed
from autograder.checks.calls import OwnTimeUp
from autograder.judge import sandbox
from autograder.judge.sandbox import Limits
from autograder.judge.worker_process import WorkerProcess
from autograder.judge.workspace import Workspace
from tests.autograder.toy_judge import TOY, remote

ATTACKS = """
import ctypes, gc, json, math, mmap, os, random, socket, struct, threading, time

kept = []


def right(x):
    return 2 * x


def state():
    return len(kept)


def remembered(x):
    with open("remembered", "a+") as file:
        file.write(x)
        file.seek(0)
        assert file.read() == "".join(kept) + x
    kept.append(x)
    return kept


def ends(x):
    print("bye")
    os._exit(0)


def crashes(x):
    return ctypes.string_at(0)


def loops(x):
    while True:
        pass


def stops_itself(x):
    os.kill(os.getpid(), 19)


def hogs_memory(x):
    return [bytearray(1 << 26) for _ in range(1000)]


def hogs_tensors(x):
    return torch.zeros(10 ** 10)


def hogs_shared_memory(x):
    return mmap.mmap(-1, 10 ** 11)


def returns_a_huge_tensor(x):
    return torch.zeros(1, dtype=torch.uint8).expand(2 ** 29)


def returns_deep_lists(x):
    tree = []
    for _ in range(10 ** 5):
        tree = [tree]
    return tree


def returns_a_long_text(x):
    return "a" * 10 ** 7


class Liar(torch.Tensor):
    def __eq__(self, other):
        return True

    __ne__ = __eq__


def returns_a_liar(x):
    return torch.zeros(2).as_subclass(Liar)


def changes_its_input(x):
    x.mul_(2)
    return x


def prints_100_mb(x):
    for _ in range(100):
        print("x" * 10 ** 6)
    return 2 * x


def starts_threads(x):
    for _ in range(50):
        threading.Thread(target=time.sleep, args=(99,), daemon=True).start()
    return 2 * x


def patches_everything(x):
    time.perf_counter = time.monotonic = time.time = lambda: 0.0
    torch.allclose = torch.equal = lambda *a, **k: True
    math.isfinite = lambda x: True
    return 3 * x


def swallows(x, model):
    try:
        model(x)
    except BaseException:
        pass
    return 2 * x


def draws():
    return [float(torch.rand(())), random.random()]


channel = next(one for one in gc.get_objects() if type(one).__name__ == "Channel")._sock


def frame(raw):
    channel.sendall(struct.pack("!I", len(raw)) + raw)


def forges(kind):
    if kind == "early answer":
        frame(json.dumps({"op": "result", "id": "0" * 16, "value": 4}).encode())
    else:
        channel.sendall(bytes(2))
        time.sleep(99)
    return 4
"""


@pytest.fixture(scope="module")
def worker():
    if not sandbox.state()[0]:
        pytest.skip(sandbox.state()[1])
    with Workspace(TOY / "lib") as space:
        call = remote(space, ATTACKS, limits=Limits(memory_bytes=2**29), total_s=10**6)
        yield call
        call.close()


@pytest.fixture
def call(worker):
    worker._restarts = 0
    worker.begin("a check", deadline_s=10)
    return worker


X = torch.tensor([1.0, 2.0])


@pytest.mark.parametrize(
    ("attack", "said"),
    [
        ("ends", "`ends` did not return. It ended the program (exit code 0)"),
        ("crashes", "It crashed: a segmentation fault (SIGSEGV)."),
        ("loops", "`loops` did not finish within the limit of 1 s for this check; is there an endless loop?"),
        ("stops_itself", "within the limit of 1 s"),
        ("hogs_memory", "raised MemoryError: “(the memory limit)”"),
        ("hogs_tensors", "(the memory limit)"),
        ("hogs_shared_memory", "(the memory limit)"),
        ("returns_a_huge_tensor", "The result of `returns_a_huge_tensor` cannot be used: “the tensors take more than"),
        ("returns_deep_lists", "deep cannot cross"),
        ("returns_a_long_text", "cannot be used: “the values take more than the 4 MB"),
    ],
)
def test_what_ends_hangs_or_overfills_is_named_and_the_next_call_works(call, attack, said):
    call.begin("a check", deadline_s=1 if "1 s" in said else 10)
    with pytest.raises(CheckFailed) as failure:
        call(attack, X)
    assert said in str(failure.value)
    call.begin("another check")
    assert call("right", 2) == 4


def test_the_judges_own_time_may_be_up_while_a_worker_is_dropped(call, monkeypatch):
    kill = WorkerProcess.kill

    def interrupted(worker):
        kill(worker)
        raise OwnTimeUp("looking at it took more than 60 s")

    with monkeypatch.context() as once:
        once.setattr(WorkerProcess, "kill", interrupted)
        with pytest.raises(CheckFailed, match="`ends` kept the grader busy without an answer"):
            call("ends", X)
    call.begin("another check")
    assert call("right", 2) == 4


def test_a_liar_is_seen_as_the_bytes_it_is_made_of(call):
    got = call("returns_a_liar", X)
    assert type(got) is torch.Tensor
    assert not torch.equal(got, 2 * X)


def test_the_judges_inputs_cannot_be_changed(call):
    assert call("changes_its_input", X).tolist() == [2, 4]
    assert X.tolist() == [1, 2]


def test_a_flood_of_output_is_drained_and_cut(call):
    assert torch.equal(call("prints_100_mb", X), 2 * X)
    assert len(call._worker.log) < 20_000
    assert "bytes left out" in call._worker.log


def test_threads_are_allowed_and_end_with_the_worker(call):
    assert torch.equal(call("starts_threads", X), 2 * X)


def test_what_functions_keep_in_memory_or_in_files_can_be_forgotten(call):
    """As often as a check likes: it is no restart that a student is to blame for."""
    for _ in range(5):
        assert call("remembered", "x") == ["x"]
        assert call("remembered", "y") == ["x", "y"]
        call.forget()


def test_patched_clocks_and_comparisons_change_nothing_here(call):
    assert not torch.equal(call("patches_everything", X), 2 * X)
    assert call.wall_s > 0
    call._drop()


@pytest.mark.parametrize("kind", ["early answer", "half a frame"])
def test_frames_forged_on_the_workers_own_socket_gain_nothing(call, kind):
    call.begin("a check", deadline_s=2)
    with pytest.raises(CheckFailed, match=r"malformed answer|did not finish"):
        call("forges", kind)
    call.begin("another check")
    assert call("state") == 0


def test_a_failing_callback_fails_the_check_whatever_the_student_catches(call):
    def refuse(x):
        raise CheckFailed("asked too often")

    with pytest.raises(CheckFailed, match=r"^asked too often$"):
        call("swallows", X, Callback(refuse))
    assert call("right", 2) == 4


def test_time_in_callbacks_is_not_the_students(call):
    call.begin("a check", deadline_s=1)
    used = call._used_s
    assert torch.equal(call("swallows", X, Callback(lambda x: time.sleep(1.2))), 2 * X)
    assert call._used_s - used < 0.5


def test_global_generators_are_seeded_from_the_key_the_check_and_the_call(call):
    call.begin("one")
    first, second = call("draws"), call("draws")
    call.begin("one")
    assert call("draws") == first != second
    call.begin("two")
    assert call("draws") != first
