"""A worker that says whatever it likes: the check fails in plain words, and the judge goes on."""

import json
import socket
import struct
import threading
import time

import pytest

from autograder.checks import Callback, CheckFailed
from autograder.judge.program import Guard, Program
from autograder.judge.remote_call import RemoteCall
from autograder.runtime.execution import Problem
from autograder.wire.channel import Channel, Closed
from autograder.wire.values import Arena


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
    monkeypatch.setattr("autograder.judge.remote_call.MAX_CALLBACKS", 50)
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
