"""Numbers in words, English and French: a pair of languages small enough to learn, and not word by word the same."""

ENGLISH = (
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
)
ENGLISH_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
FRENCH = (
    "zéro",
    "un",
    "deux",
    "trois",
    "quatre",
    "cinq",
    "six",
    "sept",
    "huit",
    "neuf",
    "dix",
    "onze",
    "douze",
    "treize",
    "quatorze",
    "quinze",
    "seize",
)
FRENCH_TENS = ("vingt", "trente", "quarante", "cinquante", "soixante")
LIMIT = 1_000_000


def english_number(number: int) -> list[str]:
    """742 is seven hundred forty two.

    Raises:
        ValueError: the number is outside of 0 .. 999,999.

    Chapter: book/ch08_vision_transformer
    """
    _check(number)
    thousands, rest = divmod(number, 1000)
    hundreds, below = divmod(rest, 100)
    words = [*english_number(thousands), "thousand"] if thousands else []
    words += [ENGLISH[hundreds], "hundred"] if hundreds else []
    if below >= 20:
        words += [ENGLISH_TENS[below // 10 - 2]] + ([ENGLISH[below % 10]] if below % 10 else [])
    elif below or not words:
        words.append(ENGLISH[below])
    return words


def french_number(number: int) -> list[str]:
    """As in France: 71 is soixante et onze, 80 quatre vingts, 200 deux cents, 201 deux cent un, 1000 mille.

    Words that are written with hyphens are taken apart.

    Raises:
        ValueError: the number is outside of 0 .. 999,999.

    Chapter: book/ch08_vision_transformer
    """
    _check(number)
    thousands, rest = divmod(number, 1000)
    if thousands:
        words = [*(_french_below_1000(thousands, last=False) if thousands > 1 else []), "mille"]
        return words + (_french_below_1000(rest) if rest else [])
    return _french_below_1000(rest) if rest else [FRENCH[0]]


def _french_below_1000(number: int, last: bool = True) -> list[str]:
    """1 to 999; cents and vingts have an s where they are the last word of the number."""
    hundreds, below = divmod(number, 100)
    words = [FRENCH[hundreds]] if hundreds > 1 else []
    words += ["cents" if hundreds > 1 and not below and last else "cent"] if hundreds else []
    if below == 80:
        return [*words, "quatre", "vingts" if last else "vingt"]
    if below > 80:
        return [*words, "quatre", "vingt", *_french_below_20(below - 80)]
    if below >= 20:
        ten = min(below // 10, 6)
        unit = below - 10 * ten
        words.append(FRENCH_TENS[ten - 2])
        words += ["et"] if unit in (1, 11) else []
        return words + (_french_below_20(unit) if unit else [])
    return words + (_french_below_20(below) if below else [])


def _french_below_20(number: int) -> list[str]:
    return [FRENCH[number]] if number < len(FRENCH) else ["dix", FRENCH[number - 10]]


def _check(number: int) -> None:
    if not 0 <= number < LIMIT:
        raise ValueError(f"the number {number} is outside of 0 .. {LIMIT - 1}")
