"""The benchmarks that chapters quote: every row and detail that a page asks for is printed, made tiny here."""

import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import bench_cpu_attention  # noqa: E402
import bench_decoding  # noqa: E402
import bench_prompt_lookup  # noqa: E402

PAGES = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "book").glob("ch*.md")))


def run(module, monkeypatch, capsys) -> dict:
    monkeypatch.setattr(sys, "argv", [module.__name__, "--quick", "--json"])
    module.main()
    record = json.loads(capsys.readouterr().out.splitlines()[-1], parse_constant=pytest.fail)
    assert all(0 < row["low"] <= row["ratio"] <= row["high"] for row in record["rows"])
    assert record["details"]["threads"] >= 1
    return record


def committed(name: str) -> dict:
    return json.loads((ROOT / f"benchmarks/results/cpu/{name}.json").read_text(encoding="utf-8"))


def asked_for(name: str) -> set[str]:
    """The details of a benchmark that the chapters name."""
    return set(re.findall(rf'benchmark_detail\(\s*"{name}",\s*"([^"]+)"', PAGES))


def test_decoding_prints_what_the_committed_result_and_the_pages_name(monkeypatch, capsys, small_pair):
    monkeypatch.setattr(bench_decoding, "load_pair", lambda: small_pair)
    monkeypatch.setattr(bench_decoding, "CONTEXT", 112)
    monkeypatch.setattr(bench_decoding, "BATCHES", (1, 8, 32))
    monkeypatch.setattr(bench_decoding.Bench, "times", fewer_times(bench_decoding.Bench.times))
    record = run(bench_decoding, monkeypatch, capsys)
    known = committed("bench_decoding")
    assert {row["row"] for row in record["rows"]} == {row["row"] for row in known["rows"]}
    assert known["details"].keys() <= record["details"].keys()
    assert asked_for("bench_decoding") <= known["details"].keys()


def fewer_times(times):
    """One repeat: what is looked at is what is printed."""

    def once(self, calls):
        self.repeats = 1
        return times(self, calls)

    return once


def test_lookup_drafts_more_than_a_token_where_it_is_greedy(monkeypatch, capsys, small_pair):
    monkeypatch.setattr(bench_prompt_lookup, "load_pair", lambda: small_pair)
    monkeypatch.setattr(bench_prompt_lookup, "NEW_TOKENS", 24)
    record = run(bench_prompt_lookup, monkeypatch, capsys)
    known = committed("bench_prompt_lookup")
    assert {row["row"] for row in record["rows"]} == {row["row"] for row in known["rows"]}
    assert known["details"].keys() <= record["details"].keys()
    assert record["details"]["tokens a pass, greedy"] >= 1


def test_attention_prints_its_rows_at_any_length(monkeypatch, capsys):
    monkeypatch.setattr(bench_cpu_attention, "LENGTH", 256)
    record = run(bench_cpu_attention, monkeypatch, capsys)
    known = committed("bench_cpu_attention")
    assert {row["row"].replace("256", "2048") for row in record["rows"]} == {row["row"] for row in known["rows"]}
    assert known["details"].keys() <= {name.replace("256", "2048") for name in record["details"]}
    assert asked_for("bench_cpu_attention") <= known["details"].keys()
