"""Attacks on the judge from within a call: each is contained, named, and leaves the next call a fresh worker."""

import json
import socket
import struct
import threading
import time

import pytest
import torch

from autograder import sandbox
from autograder.calls import OwnTimeUp
from autograder.engine import Callback, CheckFailed
from autograder.execution import Problem
from autograder.process import WorkerProcess
from autograder.protocol import Channel, Closed
from autograder.remote import Guard, Program, RemoteCall
from autograder.sandbox import Limits
from autograder.values import Arena
from autograder.workspace import Workspace
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


class HostileWorker:
    """Stands in for a worker's process: answers each call with the bytes that `lie` makes of the request."""

    sandboxed, log = False, ""

    def __init__(self, lie):
        ours, self._theirs = socket.socketpair()
        self.channel = Channel(ours)
        self.to_worker = self.from_worker = Arena(bytearray(4096), size=4096)
        self._thread = threading.Thread(target=self._serve, args=(lie,), daemon=True)
        self._thread.start()

    def _serve(self, lie):
        peer = Channel(self._theirs)
        try:
            while True:
                self._theirs.sendall(lie(peer.receive()))
        except (Closed, OSError):
            pass

    def request(self, header, deadline):
        return {"op": "ready"}

    def thaw(self):
        pass

    freeze = thaw

    def cpu_ns(self):
        return 0

    def waited_s(self):
        return 0.0

    def ending(self):
        return "It is gone."

    def kill(self):
        self.channel.close()
        self._thread.join(timeout=5)
        self._theirs.close()


def frame(content) -> bytes:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return struct.pack("!I", len(raw)) + raw


def result(value):
    return lambda request: frame({"op": "result", "id": request["id"], "value": value})


def hostile(lie, check_s=0.3, total_s=100.0):
    return RemoteCall(lambda: HostileWorker(lie), Program("cell", ""), Guard((), (), check_s, total_s), b"key")


LIES = {
    "another request's answer": lambda request: frame({"op": "result", "id": "0" * 16, "value": 4}),
    "no JSON": lambda request: frame(b"not json"),
    "JSON without end": lambda request: frame(b"[" * 10**6),
    "a length without end": lambda request: b"\xff" * 64,
    "a result of another kind": lambda request: frame({"op": "ready", "id": request["id"]}),
    "an unknown kind": lambda request: frame({"op": "verdict", "id": request["id"], "score": 100}),
    "a sentence of its own": lambda request: frame(
        {"op": "error", "id": request["id"], "kind": "graded", "type": "", "message": "Full marks.", "line": None}
    ),
    "a field too many": lambda request: frame({"op": "result", "id": request["id"], "value": 4, "score": 100}),
    "an error of our own": lambda request: frame(
        {"op": "error", "id": request["id"], "kind": "setup", "type": "", "message": "", "line": None}
    ),
    "a call of nothing": lambda request: frame({"op": "callback", "id": request["id"], "index": 0, "args": []}),
    "many values": result(list(range(10**5))),
    "deep values": result(json.loads("[" * 20 + "]" * 20)),
    "a tensor outside the memory": result({"tensor": ["float32", [2000], 0]}),
    "a tensor of objects": result({"tensor": ["object", [2], 0]}),
    "a seed": result({"seed": 1}),
    "half a frame": lambda request: b"\0\0",
    "silence": lambda request: b"",
}


@pytest.mark.parametrize("lie", LIES)
def test_whatever_a_worker_says_the_check_fails_and_the_judge_goes_on(lie):
    call = hostile(LIES[lie])
    with pytest.raises(CheckFailed, match=r"gave a malformed answer|did not finish"):
        call("f", 2)
    call.close()


def test_an_error_is_told_on_one_line_of_bearable_length():
    said = {"op": "error", "kind": "raised", "type": "A\nB" * 99, "message": "x\n\t" * 9999, "line": 3}
    call = hostile(lambda request: frame({**said, "id": request["id"]}))
    with pytest.raises(CheckFailed) as failure:
        call("f")
    assert len(str(failure.value)) < 1000
    assert "\n" not in str(failure.value)
    call.close()


@pytest.mark.parametrize("kind", Problem.KINDS)
def test_no_error_of_a_worker_makes_a_sentence_of_its_own(kind):
    said = {"op": "error", "kind": kind, "type": "You have 7 of 7", "message": "Full marks.", "line": -(10**4000)}
    call = hostile(lambda request: frame({**said, "id": request["id"]}))
    with pytest.raises(CheckFailed) as failure:
        call("f")
    told = str(failure.value).replace("“Full marks.”", "")
    assert "Full marks" not in told
    assert "7 of 7" not in told
    assert "line" not in told
    call.close()


def test_calls_back_without_end_run_into_a_limit(monkeypatch):
    monkeypatch.setattr("autograder.remote.MAX_CALLBACKS", 50)
    call = hostile(lambda request: frame({"op": "callback", "id": call.asked, "index": 0, "args": []}), check_s=5)
    send = Channel.send

    def noting(channel, header, deadline=None):
        call.asked = header.get("id", getattr(call, "asked", ""))
        send(channel, header, deadline)

    monkeypatch.setattr(Channel, "send", noting)
    with pytest.raises(CheckFailed, match="more than 50 callbacks"):
        call("f", Callback(lambda: 1))
    call.close()


def test_one_check_or_the_whole_exercise_runs_out_of_time():
    call = hostile(LIES["silence"], check_s=0.2, total_s=0.3)
    said = []
    for number in range(3):
        call.begin(f"check {number}")
        with pytest.raises(CheckFailed) as failure:
            call("f")
        said.append(str(failure.value))
    assert "0.2 s for this check; is there an endless loop?" in said[0]
    assert "0.3 s for the whole exercise" in said[1]
    assert "was used up before" in said[2]


def test_waiting_for_a_core_is_not_the_students_time(monkeypatch):
    began = time.monotonic()

    def slowly(request):
        time.sleep(0.5)
        return frame({"op": "result", "id": request["id"], "value": 4})

    call = hostile(slowly, check_s=0.2)
    with pytest.raises(CheckFailed, match=r"0\.2 s for this check"):
        call("f")
    monkeypatch.setattr(HostileWorker, "waited_s", lambda worker: 0.9 * (time.monotonic() - began))
    call.begin("again")
    assert call("f") == 4
    call.close()


def test_after_a_few_restarts_there_are_no_more():
    call = hostile(LIES["no JSON"])
    said = []
    for _ in range(5):
        with pytest.raises(CheckFailed) as failure:
            call("f")
        said.append(str(failure.value))
    assert ["Not run" in one for one in said] == [False] * 4 + [True]
