"""The committed recogniser does what its table says, on a person whom it never heard."""

import pytest
import torch

from nimblelm.audio.recognition.ctc import best_path, ctc_align
from nimblelm.audio.recognition.neural_lm import load_letter_model
from nimblelm.audio.recognition.recogniser import (
    FRAME_S,
    Recogniser,
    RecogniserConfig,
    load_recogniser,
    normalised,
    num_outputs,
    recogniser_features,
    training_log,
)
from nimblelm.audio.recognition.rescoring import label_errors, sentence_log_prob
from nimblelm.audio.recognition.vocabulary import (
    INDEX,
    LETTERS,
    NUMBER_WORDS,
    VOCABULARY,
    meaning_of,
    restricted,
    words_of,
)
from nimblelm.data.voices import clip
from nimblelm.data.voices.strings import joined

RESULTS = training_log()


@torch.inference_mode()
def test_an_unseen_person_is_heard_as_well_as_the_table_says():
    model, generator, wrong, count = load_recogniser(), torch.Generator().manual_seed(0), 0, 0
    for _ in range(12):
        digits = torch.randint(10, (5,), generator=generator).tolist()
        said = joined([clip("allison", "en", f"number {d}") for d in digits], [0.1] * 6)
        log_probs = restricted(model.log_probs(said.waveform), NUMBER_WORDS[:10])
        wrong += label_errors(words_of(best_path(log_probs)), [NUMBER_WORDS[d] for d in digits])
        count += 5
        spans = ctc_align(log_probs, [INDEX[NUMBER_WORDS[d]] for d in digits])
        middles = [(a + b) / 2 * FRAME_S * 16_000 for a, b in spans]
        assert all(a - 1600 <= m <= b + 1600 for m, (a, b) in zip(middles, said.boundaries, strict=True))
    row = RESULTS["recognition"]["her digits"]["recogniser"]
    assert wrong / count < row["high"] + 0.1


def test_it_beats_what_knows_less_and_memory_is_shown_as_such():
    rows = RESULTS["recognition"]
    for name in ("her number words", "her digits"):
        ours = rows[name]["recogniser"]
        assert ours["high"] < rows[name]["templates of five synthesizers, cut by hand"]["low"]
        assert ours["high"] < rows[name]["untrained"]["low"]
        assert rows[name]["templates of her own takes, cut by hand"]["wer"] < 0.1
    assert rows["her digits"]["recogniser"]["wer"] < 0.2
    assert rows["espeak's unseen voices"]["recogniser"]["wer"] < 0.15
    half = rows["takes that were trained"]["with half of her takes"]
    assert half["wer"] < rows["takes that were trained"]["recogniser"]["wer"]


def test_the_transformer_knows_how_words_are_spelled():
    model = load_letter_model()

    def log_prob(word):
        return sentence_log_prob(model, tuple(INDEX[letter] for letter in word))

    assert log_prob("voice") > log_prob("boice") + 1
    assert log_prob("thing") > log_prob("tning") + 1
    assert sum(torch.tensor(model(())).exp()) == pytest.approx(1, abs=1e-4)


def test_padding_changes_nothing_and_words_have_names():
    torch.manual_seed(0)
    model = Recogniser(RecogniserConfig(9, 16, 8, 1, 2, 12, 3)).eval()
    short, lengths = torch.randn(1, 16, 21), torch.tensor([21, 40])
    padded = torch.zeros(2, 16, 40)
    padded[0, :, :21], padded[1] = short, torch.randn(16, 40)
    with torch.no_grad():
        alone = model(short, lengths[:1])
        assert alone.shape == (1, int(num_outputs(lengths[0])), 9)
        assert model(padded, lengths).shape == (2, 10, 9)
    torch.testing.assert_close(alone.exp().sum(-1), torch.ones(1, 6))
    named = {"seven": "number 7", "hundred": "digits hundred", "thousand": "number 1000", "q": "letter q"}
    assert {word: meaning_of(word) for word in named} == named
    assert meaning_of("forty") == "number 40"
    assert words_of([0, INDEX["two"], 0]) == ["two"]
    for wrong in ("", "banana"):
        with pytest.raises(ValueError, match="neither"):
            meaning_of(wrong)
    with pytest.raises(ValueError, match="outside of 0"):
        words_of([99])
    with pytest.raises(ValueError, match="banana"):
        restricted(torch.zeros(len(VOCABULARY)), ["banana"])
    only = restricted(torch.zeros(2, len(VOCABULARY)), LETTERS)
    torch.testing.assert_close(only.exp().sum(-1), torch.ones(2))
    assert only[0, INDEX["two"]] == -torch.inf


def test_features_lose_level_and_channel():
    wave = torch.randn(4000, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(recogniser_features(wave), recogniser_features(0.1 * wave), atol=1e-4, rtol=1e-3)
    mel = torch.randn(5, 30)
    torch.testing.assert_close(normalised(mel), normalised(mel + torch.full((5, 1), 2.0)), atol=1e-5, rtol=1e-5)
