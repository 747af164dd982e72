"""The recorded race: both decoders give one text, the noise makes it a sample, and times add up."""

import json
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import bench_race as bench


def test_the_largest_sum_of_logit_and_noise_is_a_sample_at_the_temperature():
    logits = torch.tensor([1.0, 0.0, -0.5])
    noise = bench.gumbel(40_000, 3, seed=1)
    model = bench.Perturbed(lambda tokens, position: logits.expand(len(tokens), -1), noise)
    counts = model(torch.zeros(40_000, dtype=torch.long), 0).argmax(-1).bincount(minlength=3)
    torch.testing.assert_close(counts / 40_000, (logits / bench.TEMPERATURE).softmax(-1), atol=0.01, rtol=0)


def test_noise_belongs_to_a_position():
    noise = bench.gumbel(8, 3, seed=1)
    model = bench.Perturbed(lambda tokens, position: torch.zeros(len(tokens), 3), noise)
    whole = model(torch.zeros(8, dtype=torch.long), 0)
    assert torch.equal(model(torch.zeros(3, dtype=torch.long), 5), whole[5:])


def test_a_pass_takes_its_median_time():
    assert bench.pass_ends([[1.0, 3.0], [2.0, 3.0], [9.0, 12.0]]) == pytest.approx([2.0, 4.0])


def test_both_write_one_text_and_the_recording_holds_it(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["bench_race", "--quick", "--json"])
    monkeypatch.setattr(bench, "NEW_TOKENS", 12)
    monkeypatch.setattr(bench, "report", lambda *_, recording, **__: print(json.dumps(recording)))
    bench.main()
    played = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert len(played["tokens"]) == len(played["plain_ms"]) == 12
    assert len(played["kept"]) == len(played["speculative_ms"]) <= 12
    assert sum(kept + 1 for kept in played["kept"]) >= 12
    for name in ("plain_ms", "speculative_ms"):
        assert played[name] == sorted(played[name])
