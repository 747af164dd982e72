"""What a student's function may ask of the judge within a call: little, a bearable number of times."""

import time

import pytest
import torch

from autograder.checks import Callback, CheckFailed
from autograder.judge import sandbox
from autograder.judge.workspace import Workspace
from tests.autograder.toy_judge import TOY, remote

pytestmark = pytest.mark.skipif(not sandbox.state()[0], reason=sandbox.state()[1])
X = torch.tensor([1.0, 2.0])
ASKING = """
import torch


def right(x):
    return 2 * x


def asks_and_swallows(x, model):
    try:
        model(x)
    except BaseException:
        pass
    return 2 * x


def asks_with_too_much(x, model):
    return model(torch.zeros(2 ** 21, dtype=torch.uint8))


def asks_with_much_again_and_again(x, model):
    while True:
        model(torch.zeros(2 ** 18))  # 1 MB


def asks(x, model):
    return model(x)


def asks_without_end(x, model):
    while True:
        try:
            model(x)
        except Exception:
            pass
"""


@pytest.fixture(scope="module")
def worker():
    with Workspace(TOY / "lib") as space:
        call = remote(space, ASKING, total_s=10**6)
        yield call
        call.close()


@pytest.fixture
def call(worker):
    worker._restarts = 0
    worker.begin("a check", deadline_s=10)
    return worker


def test_a_callback_brings_little_and_comes_a_bearable_number_of_times(call, monkeypatch):
    with pytest.raises(CheckFailed, match=r"tensors of more than the 1 MB that one message may bring"):
        call("asks_with_too_much", X, Callback(lambda x: 1))
    monkeypatch.setattr("autograder.judge.remote_call.MAX_CALLBACKS", 100)
    call.begin("another check")
    with pytest.raises(CheckFailed, match="more than 100 callbacks in one check"):
        call("asks_without_end", X, Callback(lambda x: 1))
    monkeypatch.setattr("autograder.judge.remote_call.MAX_CALLBACK_S", 0.2)
    call.begin("a third check")
    with pytest.raises(CheckFailed, match=r"callbacks that took more than 0\.2 s in all"):
        call("asks_and_swallows", X, Callback(lambda x: time.sleep(0.3)))
    with pytest.raises(CheckFailed, match=r"^Not run: the functions that were passed took more than 0\.2 s before"):
        call("right", X)
    call._hopeless, call._all_ours_s = "", 0.0


def test_what_the_callbacks_of_a_check_bring_is_little_together_too(call):
    kept = []
    with pytest.raises(CheckFailed, match="callbacks that brought more than 4 MB in one check"):
        call("asks_with_much_again_and_again", X, Callback(lambda x: kept.append(x) or 1))
    assert len(kept) == 4


def test_what_a_callback_gives_and_cannot_cross_is_an_error_for_whoever_asked(call):
    too_much = torch.empty(2**28 + 1, dtype=torch.uint8)
    with pytest.raises(CheckFailed, match="`asks` raised RuntimeError: “the tensors take more than the 256 MB"):
        call("asks", X, Callback(lambda x: too_much))
    assert not call.answered
    assert call("right", X).tolist() == [2.0, 4.0]
