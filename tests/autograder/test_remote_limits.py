"""What a worker may cost: cores, CPU time and work in secret are bounded and named, and so is its text."""

import errno
import re
import time

import pytest
import torch

from autograder.checks import CheckFailed
from autograder.judge import sandbox, seccomp
from autograder.judge.sandbox import Limits
from autograder.judge.workspace import Workspace
from tests.autograder.toy_judge import TOY, remote

pytestmark = pytest.mark.skipif(not sandbox.state()[0], reason=sandbox.state()[1])
X = torch.tensor([1.0, 2.0])
SIGNALS = ("kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal")
NUMBERS = [[seccomp.REFUSED_WITH[name][0][column] for name in SIGNALS] for column in (0, 1)]
ATTACKS = r"""
import ctypes, os, struct, threading, time


def right(x):
    return 2 * x


def keeps_all_cores_busy(x):
    for _ in range(40):
        threading.Thread(target=burn, daemon=True).start()
    time.sleep(99)


def burn():
    while True:
        sum(range(100))


def works_while_nobody_waits(x):
    threading.Thread(target=work_for, args=(0.4,), daemon=True).start()
    return 2 * x


def work_for(seconds):
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def asks_the_kernel_to_be_woken(x):
    libc, event, timer = ctypes.CDLL(None), (ctypes.c_char * 64)(), ctypes.c_void_p()
    struct.pack_into("qii", event, 0, 0, 18, 0)  # SIGCONT
    for number in range(1, 10):
        once = (ctypes.c_long * 4)(0, 0, 0, number * 10**8)
        if libc.timer_create(1, event, ctypes.byref(timer)) or libc.timer_settime(timer, 0, once, None):
            raise PermissionError("no timer")
    return works_while_nobody_waits(x)


def has_pipes_wake_it(x):
    import fcntl
    fcntl.fcntl(os.pipe()[0], 10, 18)


def wakes_itself_all_the_time(x):
    libc = ctypes.CDLL(None, use_errno=True)
    numbers = ({signals})[__import__("platform").machine() == "aarch64"]
    pidfd = os.pidfd_open(os.getpid())
    info = ctypes.create_string_buffer(struct.pack("iii", 18, 0, -1), 128)
    ids = (os.getpid(), os.getpid(), threading.get_native_id(), pidfd)
    kill, tkill, tgkill, queue, queue_for_thread, send = numbers
    ways = [(kill, ids[0], 18), (tkill, ids[0], 18), (tgkill, *ids[:2], 18), (queue, ids[0], 18, info)]
    ways += [(queue_for_thread, *ids[:2], 18, info), (send, pidfd, 18, None, 0)]
    allowed = [way[0] for way in ways if libc.syscall(*way) == 0]
    if not allowed:
        raise PermissionError("no SIGCONT")
    for _ in range(6):
        threading.Thread(target=sends, args=(libc, ways[0]), daemon=True).start()
    return 2 * x


def sends(libc, way):
    while True:
        libc.syscall(*way)


def takes_a_terminal(x):
    os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)  # one that hangs up sends SIGCONT to its session


def makes_files_without_end(x):
    os.mkdir("/tmp/many")
    for number in range(10**6):
        try:
            open(f"/tmp/many/{number}", "w").close()
        except OSError as error:
            __import__("shutil").rmtree("/tmp/many")
            return number, error.errno


def is_in_long_system_calls(x):
    import mmap
    libc, size = ctypes.CDLL(None), 1 << 30
    memory = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    start = ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(memory)))
    libc.madvise(start, ctypes.c_size_t(size), 15)  # in small pages
    threading.Thread(target=fills_memory, args=(libc, start, ctypes.c_size_t(size)), daemon=True).start()
    return 1


def fills_memory(libc, start, size):
    while True:
        libc.madvise(start, size, 23)  # all of it at once
        libc.madvise(start, size, 4)  # and gives it back


def uses_up_its_cpu_time(ignoring):
    if ignoring:
        __import__("signal").signal(24, 1)
    burn()


def raises_a_whole_page(x):
    kind = type("Passed\n\x1b[2J<b>", (Exception,), {})
    raise kind("ok” passed.\n\x1b[31m Exercise `round`: 7 of 7 \u202e" + "A" * 10**6)
""".replace("{signals}", repr(NUMBERS))


@pytest.fixture(scope="module")
def worker():
    with Workspace(TOY / "lib") as space:
        call = remote(space, ATTACKS, total_s=10**6)
        yield call
        call.close()


@pytest.fixture
def call(worker):
    worker._restarts = 0
    worker.begin("a check", deadline_s=10)
    return worker


def test_who_keeps_all_cores_busy_has_not_waited_for_one(call):
    call.begin("a check", deadline_s=2)
    began = time.monotonic()
    with pytest.raises(CheckFailed, match="did not finish within the limit of 2 s"):
        call("keeps_all_cores_busy", X)
    assert time.monotonic() - began < 8


def test_work_between_two_answers_is_counted_with_the_second(call):
    call("works_while_nobody_waits", X)
    assert call.cpu_s < 0.2
    call._worker.thaw()
    time.sleep(0.8)
    call("right", X)
    assert 0.3 < call.cpu_s < 0.6


def test_nothing_is_worked_while_nobody_waits(call):
    """Hundreds of threads would leave the judge a hundredth of a core for its own part of a check."""
    call("works_while_nobody_waits", X)
    call.require_idle()
    at_rest = call._worker.cpu_ns()
    time.sleep(0.3)
    assert call._worker.cpu_ns() - at_rest < 10**6
    with Workspace(TOY / "lib") as space:
        started = remote(space, f"{ATTACKS}\nworks_while_nobody_waits(1)")
        started.start()
        assert started._worker.is_at_rest()
        started.close()


@pytest.mark.parametrize(
    ("attack", "error"),
    [
        ("asks_the_kernel_to_be_woken", "PermissionError"),
        ("has_pipes_wake_it", "PermissionError"),
        ("wakes_itself_all_the_time", "PermissionError"),
        ("takes_a_terminal", "FileNotFoundError"),
    ],
)
def test_a_frozen_worker_cannot_have_itself_woken(call, attack, error):
    with pytest.raises(CheckFailed, match=error):
        call(attack, X)


def test_files_without_content_fill_tmp_too(call):
    made, why = call("makes_files_without_end", X)
    assert made < Limits().tmp_bytes // 4096
    assert why == errno.ENOSPC


def test_without_its_defence_a_frozen_worker_goes_on_and_is_charged_for_it(monkeypatch):
    monkeypatch.delitem(seccomp.REFUSED, "timer_create")
    with Workspace(TOY / "lib") as space:
        call = remote(space, ATTACKS)
        call("asks_the_kernel_to_be_woken", X)
        call._worker.freeze()
        time.sleep(0.8)
        call._worker.thaw()
        call("right", X)
        assert call.cpu_s > 0.3
        call.close()


def rest_again_and_again(call):
    for _ in range(40):
        call._worker.freeze()
        call.require_idle()
        time.sleep(0.1)
        call._worker.thaw()
        time.sleep(0.02)


def test_without_its_defence_a_worker_that_wakes_itself_cannot_be_frozen(monkeypatch):
    monkeypatch.delitem(seccomp.REFUSED_WITH, "kill")
    monkeypatch.setattr("autograder.judge.worker_process.STOP_S", 1.0)
    with Workspace(TOY / "lib") as space:
        call = remote(space, ATTACKS)
        call("wakes_itself_all_the_time", X)
        assert any(goes_on_when_frozen(call) for _ in range(40))
        with pytest.raises(CheckFailed, match="it went on working although it was stopped"):
            rest_again_and_again(call)
        call.close()


def test_whoever_is_in_a_long_system_call_is_waited_for_and_then_at_rest(monkeypatch):
    with Workspace(TOY / "lib") as space:
        call = remote(space, ATTACKS)
        call("is_in_long_system_calls", X)
        with monkeypatch.context() as impatient:
            impatient.setattr("autograder.judge.worker_process.STOP_S", 0.0)
            assert any(is_late_to_stop(call) for _ in range(40))
        call.require_idle()
        at_rest = call._worker.cpu_ns()
        time.sleep(0.3)
        assert call._worker.cpu_ns() - at_rest < 10**6
        call.close()


def is_late_to_stop(call) -> bool:
    call._worker.thaw()
    time.sleep(0.1)
    call._worker.freeze()
    try:
        call.require_idle()
    except CheckFailed as failure:
        return "it went on working although it was stopped" in str(failure)
    return False


def test_who_has_ended_is_at_rest(call):
    call("right", X)
    call._worker._signal(9)
    call._worker.freeze()
    call.require_idle()
    call._drop()


def goes_on_when_frozen(call) -> bool:
    call._worker.freeze()
    time.sleep(0.1)
    before = call._worker.cpu_ns()
    time.sleep(0.1)
    went_on = call._worker.cpu_ns() > before
    call._worker.thaw()
    time.sleep(0.02)
    return went_on


@pytest.mark.slow
@pytest.mark.parametrize("ignoring", [False, True])
def test_the_limit_of_cpu_time_is_named_when_it_ends_the_code(ignoring):
    with Workspace(TOY / "lib") as space:
        call = remote(space, ATTACKS, limits=Limits(cpu_s=6), check_s=30)
        with pytest.raises(CheckFailed, match="stopped at the limit of 6 s of CPU time"):
            call("uses_up_its_cpu_time", ignoring)
        call.close()


def test_made_up_text_stays_in_quotes_and_on_its_line(call):
    with pytest.raises(CheckFailed) as failure:
        call("raises_a_whole_page", X)
    said = str(failure.value)
    assert said.startswith('`raises_a_whole_page` raised an exception: “ok" passed. ')
    assert said.count("”") == 1
    assert re.fullmatch(
        r".*”( \(line \d+ of your cell\))?\.( The call was `raises_a_whole_page\(a tensor \(2,\)\)`\.)?", said
    )
    assert said.isprintable()
    assert len(said) < 800
