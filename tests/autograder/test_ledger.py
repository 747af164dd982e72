"""Jobs change state as the table says, survive a killed process, and are never done twice."""

import multiprocessing
import os
import signal
import sqlite3
import threading
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from autograder.controller import ledger as module
from autograder.controller.ledger import DONE, FAILED, LEASED, QUEUED, Ledger, job_key


@pytest.fixture
def ledger(tmp_path: Path):
    opened = Ledger(tmp_path / "ledger.db")
    yield opened
    opened.close()


def test_a_job_goes_from_queued_to_done(ledger: Ledger) -> None:
    assert ledger.add("k", "a", "b") == QUEUED
    assert ledger.lease("k")
    assert ledger.state("k") == LEASED
    assert ledger.finish("k", {"score": 1.5})
    assert ledger.state("k") == DONE
    assert ledger.result("k") == {"score": 1.5}


def test_a_replay_changes_nothing(ledger: Ledger) -> None:
    ledger.add("k", "a", "b")
    ledger.lease("k")
    ledger.finish("k", {"score": 1})
    assert ledger.add("k", "a", "b") == DONE
    assert not ledger.lease("k")
    assert not ledger.finish("k", {"score": 2})
    ledger.fail("k", "late")
    assert ledger.result("k") == {"score": 1}


def test_a_leased_job_is_not_leased_again(ledger: Ledger) -> None:
    ledger.add("k", "a", "b")
    assert ledger.lease("k")
    assert not ledger.lease("k")
    assert ledger.beat() == 1


def test_a_lease_without_heartbeat_is_taken_back(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger.add("k", "a", "b")
    ledger.lease("k")
    now = time.time()
    monkeypatch.setattr(module.time, "time", lambda: now + module.STALE_AFTER_S + 1)
    assert ledger.lease("k")


def test_a_failed_job_can_be_leased_again(ledger: Ledger) -> None:
    ledger.add("k", "a", "b")
    ledger.lease("k")
    ledger.fail("k", "no memory")
    assert (ledger.state("k"), ledger.error("k")) == (FAILED, "no memory")
    assert ledger.lease("k")


def test_forgotten_jobs_are_queued_again_unless_in_hand(ledger: Ledger) -> None:
    ledger.add("k", "a", "b")
    ledger.lease("k")
    ledger.forget("k")
    assert ledger.state("k") == LEASED
    ledger.finish("k", {})
    ledger.forget("k")
    assert (ledger.state("k"), ledger.result("k")) == (QUEUED, None)


def test_not_a_number_is_no_result(ledger: Ledger) -> None:
    ledger.add("k", "a", "b")
    ledger.lease("k")
    with pytest.raises(ValueError, match="JSON compliant"):
        ledger.finish("k", {"score": float("nan")})
    assert ledger.state("k") == LEASED


def test_a_transaction_that_fails_is_rolled_back(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger.add("k", "a", "b")
    with monkeypatch.context() as patch:
        patch.setattr(module, "DONE", "NONSENSE")
        with pytest.raises(sqlite3.IntegrityError):
            ledger.finish("k", {})
    assert ledger.state("k") == QUEUED
    assert ledger.lease("k")


def test_one_of_many_threads_gets_the_lease(ledger: Ledger) -> None:
    ledger.add("k", "a", "b")
    won: list[bool] = []
    threads = [threading.Thread(target=lambda: won.append(ledger.lease("k"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False] * 7 + [True]


def _lease_and_hang(path: Path, ready: Event) -> None:
    held = Ledger(path)
    held.add("k", "a", "b")
    held.lease("k")
    ready.set()
    time.sleep(60)


def test_the_lease_of_a_killed_process_is_taken_back_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_lease_and_hang, args=(tmp_path / "ledger.db", ready))
    process.start()
    assert ready.wait(30)
    opened = Ledger(tmp_path / "ledger.db")
    assert not opened.lease("k")
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert opened.lease("k")
    opened.close()


def test_the_key_depends_on_every_part() -> None:
    parts = {"bundle": "b", "judge": "j", "environment": {"python": "3.11"}, "device": "d", "policy": {"sandbox": True}}
    changed = [{**parts, name: "other"} for name in parts]
    assert len({job_key(**one) for one in [parts, *changed]}) == 6
    assert job_key(**parts) == job_key(**dict(reversed(parts.items())))
