"""The benchmark of log-mel: the same numbers everywhere, every row, made tiny."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import bench_log_mel as bench


def test_it_prints_every_row(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["bench_log_mel", "--quick", "--json"])
    monkeypatch.setattr(bench, "SECONDS", 2)
    bench.main()
    record = json.loads(capsys.readouterr().out.splitlines()[-1], parse_constant=pytest.fail)
    assert len(record["rows"]) == 5
    assert all(0 < row["low"] <= row["ratio"] <= row["high"] for row in record["rows"])
    assert record["details"]["multiplications fft"] < record["details"]["multiplications dft"]


def test_other_numbers_are_not_timed(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["bench_log_mel", "--quick"])
    monkeypatch.setattr(bench, "SECONDS", 1)
    monkeypatch.setattr(bench, "whisper_log_mel", lambda waveform: 1.001 * bench.Torchaudio()(waveform))
    with pytest.raises(AssertionError, match="not close"):
        bench.main()


def test_the_committed_result_is_as_fast_as_the_others_or_faster():
    path = Path(__file__).resolve().parents[2] / "benchmarks/results/cpu/bench_log_mel.json"
    rows = {row["row"]: row for row in json.loads(path.read_text())["rows"]}
    for name in ("torchaudio's log-mel / ours", "transformers' log-mel / ours", "torchaudio's kaldi fbank / ours"):
        assert rows[name]["low"] >= rows[name]["goal"] == 1.0
