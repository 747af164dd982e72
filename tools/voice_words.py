"""What the recorded prompts say: from file names to a meaning that is the same in every language, and to a word."""

NUMBERS = (*range(21), *range(30, 100, 10), 1000)
LANGUAGES = {
    "en": {
        "numbers": "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
        "sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety thousand",
        "days": "Sunday Monday Tuesday Wednesday Thursday Friday Saturday",
        "months": "January February March April May June July August September October November December",
    },
    "es": {
        "numbers": "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince "
        "dieciséis diecisiete dieciocho diecinueve veinte treinta cuarenta cincuenta sesenta setenta ochenta "
        "noventa mil",
        "days": "domingo lunes martes miércoles jueves viernes sábado",
        "months": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    },
    "fr": {
        "numbers": "zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize "
        "dix-sept dix-huit dix-neuf vingt trente quarante cinquante soixante soixante-dix quatre-vingts "
        "quatre-vingt-dix mille",
        "days": "dimanche lundi mardi mercredi jeudi vendredi samedi",
        "months": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    },
    "it": {
        "numbers": "zero uno due tre quattro cinque sei sette otto nove dieci undici dodici tredici quattordici "
        "quindici sedici diciassette diciotto diciannove venti trenta quaranta cinquanta sessanta settanta ottanta "
        "novanta mille",
        "days": "domenica lunedì martedì mercoledì giovedì venerdì sabato",
        "months": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    },
    "ru": {
        "numbers": "ноль один два три четыре пять шесть семь восемь девять десять одиннадцать двенадцать тринадцать "
        "четырнадцать пятнадцать шестнадцать семнадцать восемнадцать девятнадцать двадцать тридцать сорок пятьдесят "
        "шестьдесят семьдесят восемьдесят девяносто тысяча",
        "days": "воскресенье понедельник вторник среда четверг пятница суббота",
        "months": "январь февраль март апрель май июнь июль август сентябрь октябрь ноябрь декабрь",
    },
}
ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth "
    "sixteenth seventeenth eighteenth nineteenth twentieth thirtieth fortieth fiftieth sixtieth seventieth eightieth "
    "ninetieth thousandth hundredth millionth billionth"
)
SPELLING = (
    "alpha bravo charlie delta echo foxtrot golf hotel india juliet kilo lima mike november oscar papa quebec romeo "
    "sierra tango uniform victor whiskey x-ray yankee zulu"
)
ALPHABET = "abcdefghijklmnopqrstuvwxyz"


def english_only() -> dict[str, str]:
    """Prompts whose words are spelled out for English alone."""
    plain = "hundred million billion minus today tomorrow yesterday oh at dollars pound star"
    said = {f"digits/{word}": word for word in plain.split()}
    said |= {"digits/a-m": "a.m.", "digits/p-m": "p.m.", "digits/oclock": "o'clock", "letters/zed": "zed"}
    ordinals = (*NUMBERS[1:-1], "thousand", "hundred", "million", "billion")
    said |= {f"digits/h-{n}": word for n, word in zip(ordinals, ORDINALS.split(), strict=True)}
    return said | {f"phonetic/{a}_p": word for a, word in zip(ALPHABET, SPELLING.split(), strict=True)}


def recorded_words(language: str, prompts: list[str]) -> list[dict[str, str]]:
    """For each prompt, such as "digits/day-0", its meaning "day 0" and its word "Sunday", where that is known."""
    others = english_only() if language == "en" else {}
    lists = {key: words.split() for key, words in LANGUAGES[language].items()}
    said = {f"digits/{n}": (f"number {n}", word) for n, word in zip(NUMBERS, lists["numbers"], strict=True)}
    said["digits/thousand"] = said.pop("digits/1000")
    said |= {f"digits/day-{i}": (f"day {i}", word) for i, word in enumerate(lists["days"])}
    said |= {f"digits/mon-{i}": (f"month {i + 1}", word) for i, word in enumerate(lists["months"])}
    said |= {f"letters/{letter}": (f"letter {letter}", letter) for letter in ALPHABET}
    records = []
    for prompt in prompts:
        meaning, word = said.get(prompt, (prompt.replace("/", " "), others.get(prompt)))
        records.append({"meaning": meaning} | ({"word": word} if word else {}))
    return records
