"""Number words: the irregular ones by name, and no two numbers alike."""

import pytest

from nimblelm.data.number_words import english_number, french_number

FRENCH = {
    0: "zéro",
    16: "seize",
    17: "dix sept",
    21: "vingt et un",
    22: "vingt deux",
    70: "soixante dix",
    71: "soixante et onze",
    79: "soixante dix neuf",
    80: "quatre vingts",
    81: "quatre vingt un",
    91: "quatre vingt onze",
    99: "quatre vingt dix neuf",
    100: "cent",
    200: "deux cents",
    201: "deux cent un",
    280: "deux cent quatre vingts",
    1000: "mille",
    1001: "mille un",
    2000: "deux mille",
    80_000: "quatre vingt mille",
    200_000: "deux cent mille",
    300_200: "trois cent mille deux cents",
    971_071: "neuf cent soixante et onze mille soixante et onze",
}


@pytest.mark.parametrize(("number", "words"), FRENCH.items())
def test_french_numbers_are_written_as_in_france(number, words):
    assert " ".join(french_number(number)) == words


def test_english_numbers():
    assert " ".join(english_number(742)) == "seven hundred forty two"
    assert " ".join(english_number(20_013)) == "twenty thousand thirteen"
    assert english_number(0) == ["zero"]


@pytest.mark.parametrize("language", [english_number, french_number])
def test_no_two_numbers_are_alike(language):
    assert len({tuple(language(number)) for number in range(20_000)}) == 20_000
    for wrong in (-1, 1_000_000):
        with pytest.raises(ValueError, match=str(wrong)):
            language(wrong)
