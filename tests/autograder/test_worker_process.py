"""Workers of one fork server: their clock, their threads, and nothing that lasts from one to the next."""

import time

import pytest

from autograder.judge.sandbox import Limits, NoSandbox
from autograder.judge.worker_process import ForkServer
from autograder.judge.workspace import Workspace
from tests.autograder.test_sandbox import PROBES, needs_sandbox
from tests.autograder.toy_judge import TOY, remote


@pytest.fixture(scope="module")
def space():
    with Workspace(TOY / "lib") as made:
        yield made


@needs_sandbox
def test_the_clock_counts_threads_and_stops_while_frozen(space):
    source = PROBES + (
        "import threading, time\n\n\ndef burn():\n    until = time.thread_time() + 0.2\n"
        "    while time.thread_time() < until:\n        pass\n\n\n"
        "def both():\n    threads = [threading.Thread(target=burn) for _ in range(2)]\n"
        "    [t.start() for t in threads]\n    [t.join() for t in threads]\n"
    )
    calls = remote(space, source)
    calls("both")
    assert 0.39 < calls.cpu_s < 0.6
    worker = calls._worker
    worker.freeze()
    time.sleep(0.05)
    before = worker.cpu_ns()
    time.sleep(0.05)
    assert worker.cpu_ns() == before
    worker.thaw()
    calls("burn")
    assert calls("searched", "canary-reference") == (["doubling.py"], [])  # not masked in this worker
    calls.close()


@needs_sandbox
def test_nothing_lasts_from_one_worker_to_the_next(space):
    leaves = (
        "def leave():\n    import os\n    torch.left = 1\n    open('/tmp/left', 'w').close()\n"
        "def found():\n    import os\n    return [hasattr(torch, 'left'), os.path.exists('/tmp/left')]\n"
    )
    first, second = remote(space, leaves), remote(space, leaves)
    second.start()
    first("leave")
    assert first("found") == [True, True]
    assert second("found") == [False, False]
    first.close()
    third = remote(space, leaves)
    assert third("found") == [False, False]
    second.close()
    third.close()


@needs_sandbox
def test_no_worker_uses_up_the_threads_of_another(space):
    greedy, other = remote(space, PROBES), remote(space, PROBES)
    for call in (greedy, other):
        assert 400 < call("starts_threads") < Limits().processes
    greedy.close()
    other.close()


@needs_sandbox
def test_a_fork_server_that_ended_is_named(space):
    with ForkServer(space, Limits()) as dying:
        dying.start().kill()
        dying._process.kill()
        dying._process.wait()
        with pytest.raises(NoSandbox, match="the worker did not start"):
            dying.start()
