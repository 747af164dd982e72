"""The committed codecs do what their table says, on a voice that they were not trained on."""

import json
from pathlib import Path

import pytest
import torch

import nimblelm
from nimblelm.audio.codec.code_model import CodeModel
from nimblelm.audio.codec.encodec import EnCodec
from nimblelm.audio.codec.metrics import mel_distance
from nimblelm.audio.codec.spectrogram_codec import SpectrogramCodec
from nimblelm.data.voices import clip
from nimblelm.data.voices.strings import joined
from nimblelm.nn.checkpoint import load

FOLDER = Path(nimblelm.__file__).parent / "data/checkpoints/codec"
RESULTS = json.loads((FOLDER / "results.json").read_text())


@pytest.fixture(scope="module")
def voice() -> torch.Tensor:
    said = ("day 3", "month 10", "number 19", "number 7", "number 40")
    return joined([clip("allison", "en", one) for one in said], [0.1] * 6).waveform


def test_more_books_are_nearer_by_the_table_and_anew(voice):
    model, anew = load(SpectrogramCodec, FOLDER / "spectrogram.safetensors"), []
    for count in range(1, 5):
        again = model.decode(model.encode(voice[None], count), torch.Generator().manual_seed(0))[0]
        anew.append(mel_distance(voice[: len(again)], again[: len(voice)]).item())
    table = [RESULTS["quality"][f"spectrogram codec, {count} books"] for count in range(1, 5)]
    told = [row["mel_distance"][0] for row in table]
    assert told == sorted(told, reverse=True)
    assert anew == sorted(anew, reverse=True)
    assert all(abs(a - b) < 0.2 for a, b in zip(anew, told, strict=True))
    assert [row["bit_rate_bps"] for row in table] == [500, 1_000, 1_500, 2_000]


def test_the_codec_beats_what_knows_less():
    quality = RESULTS["quality"]
    ours, low = quality["spectrogram codec, 1 books"], quality["low-pass at 500 Hz"]
    assert ours["mel_distance"][2] < low["mel_distance"][1]
    best = quality["spectrogram codec, 4 books"]
    assert best["mel_distance"][2] < quality["Opus 6 kbit/s"]["mel_distance"][1]
    assert ours["words_right"][1] > quality["waveform codec, 1 books"]["words_right"][2]


def test_codes_are_used_and_cost_less_than_ten_bits(voice):
    codec, reader = (
        load(SpectrogramCodec, FOLDER / "spectrogram.safetensors"),
        load(CodeModel, FOLDER / "entropy.safetensors"),
    )
    codes = codec.encode(voice[None])
    assert all(len(row.unique()) > 60 for row in codes[0])
    log_probs = reader(codes)
    bits = -log_probs.gather(-1, codes[..., None]).mean().item() / torch.log(torch.tensor(2.0)).item()
    assert bits < 9.7
    assert RESULTS["entropy"]["sent"] == pytest.approx(RESULTS["entropy"]["model"], abs=0.05)


def test_the_waveform_codec_streams(voice):
    model, stream = load(EnCodec, FOLDER / "waveform.safetensors"), {}
    x = voice[: 320 * 40].view(1, 1, -1)
    parts = [model.encode(part, stream=stream) for part in x.split(3_200, -1)]
    assert torch.equal(torch.cat(parts, -1), model.encode(x))
