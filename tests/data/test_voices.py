"""The voice set: every clip lies where the index says, speakers sound like themselves, boundaries are true."""

from collections import Counter
from itertools import pairwise

import pytest
import torch
from scipy.stats import spearmanr

from nimblelm.data.voices import (
    FOLDER,
    LANGUAGES,
    RECORDED,
    SAMPLE_RATE_HZ,
    _everything,
    clip,
    clips,
    sound,
    speakers,
)
from nimblelm.data.voices.splits import held_out_recording, held_out_speaker, held_out_word
from nimblelm.data.voices.strings import joined, number_meanings

DIGITS = [f"number {n}" for n in range(10)]


def level(waveform):
    return float(waveform.square().mean().sqrt()) + 1e-9


def test_every_clip_has_its_word_inside_and_silence_around():
    for speaker in speakers():
        mine = [one for one in clips() if one.speaker == speaker]
        everything = _everything(speaker)
        assert everything.abs().max() <= 1
        assert mine[-1].start + mine[-1].length <= len(everything)
        for one, after in pairwise(mine):
            between = everything[one.start + one.length : after.start]
            assert len(between) == 800
            assert level(between) < 0.05 * level(sound(one, trim=True)), one  # shifted by a tenth of a second it is not
        for one in mine:
            whole, word = sound(one), sound(one, trim=True)
            assert len(whole) == one.length
            assert 0 <= one.onset < one.offset <= one.length
            assert level(word) >= level(whole)
            assert word.square().sum() > 0.98 * whole.square().sum()


def test_everybody_says_the_numbers_and_nothing_twice():
    content = Counter((one.speaker, one.language, one.meaning) for one in clips())
    assert max(content.values()) == 1
    for speaker in speakers():
        for language in {one.language for one in clips() if one.speaker == speaker}:
            assert all(content[speaker, language, f"number {n}"] for n in (*range(21), *range(30, 100, 10), 1000))
    assert {one.language for one in clips() if one.speaker in RECORDED} == set(LANGUAGES)
    assert clip("carlo", "it", "day 1").word == "lunedì"
    assert clip("allison", "en", "number 17").word == "seventeen"


@pytest.mark.parametrize("language", LANGUAGES)
def test_longer_words_take_longer(language):
    """A list of words that is shifted against the recordings, or in another order, does not pass."""
    said = [one for one in clips() if one.language == language and one.speaker in RECORDED and one.word]
    said = [one for one in said if len(one.word) > 1]  # names of letters say nothing of their length
    assert len(said) > 40
    assert spearmanr([len(one.word) for one in said], [one.offset - one.onset for one in said]).statistic > 0.5


def pitch_hz(waveform):
    """The strongest period between 70 and 320 Hz, by autocorrelation of the loudest 60 ms."""
    loudest = int(waveform.unfold(0, 960, 160).square().sum(1).argmax()) * 160
    frame = waveform[loudest : loudest + 960]
    alike = torch.tensor([float(frame[lag:] @ frame[:-lag]) / (960 - lag) for lag in range(50, 229)])
    return SAMPLE_RATE_HZ / (50 + int(alike.argmax()))


def test_the_man_speaks_lower_than_the_women():
    def median(speaker, language):
        heard = [sound(clip(speaker, language, meaning)) for meaning in DIGITS]
        return float(torch.tensor([pitch_hz(waveform) for waveform in heard]).median())

    women = (("allison", "en"), ("allison", "es"), ("june", "fr"), ("ivrvoice", "ru"))
    assert min(median(*who) for who in women) > 1.05 * median("carlo", "it")


def test_joined_words_lie_within_their_boundaries():
    words = [clip("allison", "en", meaning) for meaning in number_meanings(742)]
    spoken = joined(words, [0.1, 0.05, 0.2, 0.0, 0.3])
    assert len(spoken.waveform) == spoken.boundaries[-1][1] + 4800
    outside = torch.ones(len(spoken.waveform), dtype=torch.bool)
    for one, (begins, ends) in zip(words, spoken.boundaries, strict=True):
        assert ends - begins == one.offset - one.onset
        inside = spoken.waveform[begins + 80 : ends - 80]
        torch.testing.assert_close(inside, sound(one, trim=True)[80:-80])
        outside[begins:ends] = False
    assert (spoken.waveform[outside] == 0).all()
    assert [begins for begins, _ in spoken.boundaries][1] - spoken.boundaries[0][1] == 800


def test_a_negative_gap_overlaps_words_by_less_than_half():
    words = [clip("june", "fr", meaning) for meaning in ("number 4", "number 2")]
    spoken = joined(words, [0.0, -0.05, 0.0])
    assert spoken.boundaries[0][1] - spoken.boundaries[1][0] == 800
    with pytest.raises(ValueError, match=r"gap 1 of -2 s overlaps more than half"):
        joined(words, [0.0, -2.0, 0.0])
    with pytest.raises(ValueError, match=r"gap 0 of -0\.1 s"):
        joined(words, [-0.1, 0.0, 0.0])
    with pytest.raises(ValueError, match="2 words need 3 gaps, got 2"):
        joined(words, [0.0, 0.0])


def test_numbers_are_said_so_that_their_parts_give_them_back():
    def value(meanings):
        total = group = 0
        for part in (meaning.split()[1] for meaning in meanings):
            if part == "hundred":
                group *= 100
            elif part == "1000":
                total, group = 1000 * group, 0
            else:
                group += int(part)
        return total + group

    for number in [*range(1200), 19_019, 100_000, 300_020, 742_742, 999_999]:
        assert value(number_meanings(number)) == number
    for number in (-1, 1_000_000):
        with pytest.raises(ValueError, match=rf"{number} is outside of 0 \.\. 999999"):
            number_meanings(number)


def test_splits_leave_enough_on_both_sides():
    words = {one.meaning for one in clips()}
    assert 0.15 < len({one.meaning for one in clips() if held_out_word(one)}) / len(words) < 0.25
    assert 0.15 < sum(map(held_out_recording, clips())) / len(clips()) < 0.25
    held = {one.speaker for one in clips() if held_out_speaker(one)}
    assert {one.language for one in clips() if one.speaker not in held} == set(LANGUAGES)
    assert {"allison"} < held


def test_unknown_content_is_named():
    for asked, said in (
        (("bob", "en", "number 1"), "'bob'; there are allison"),
        (("carlo", "en", "number 1"), "carlo speaks it, not 'en'"),
        (("carlo", "it", "number 101"), "does not say 'number 101'"),
    ):
        with pytest.raises(ValueError, match=said):
            clip(*asked)


def test_the_set_is_small_and_its_licences_are_beside_it():
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) < 4 * 2**20
    notice = (FOLDER / "NOTICE").read_text()
    assert all(f"{speaker}.opus" in notice for speaker in RECORDED)
