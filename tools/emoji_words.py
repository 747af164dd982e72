"""What the name of an emoji says: caption, category, gender, role, skin tone, hair and colour."""

import re
import unicodedata
from pathlib import Path

UNICODE = Path("/usr/share/unicode/emoji/emoji-test.txt")  # of Debian's unicode-data, version 15.0 (UTS #51)
TONES = ("light", "medium-light", "medium", "medium-dark", "dark")
TONE = re.compile(rf"-({'|'.join(TONES)})-skin-tone$")
HAIR = ("bald", "beard", "curly hair", "red hair", "white hair")
COLOURS = "light-blue|red|orange|yellow|green|blue|purple|brown|black|grey|white|pink"
COLOURED = re.compile(rf"({COLOURS})-(.+)$")
NEWER = {  # than Unicode 15.0: their subgroups in version 15.1
    "broken-chain": "tool", "brown-mushroom": "food-vegetable", "head-shaking-horizontally": "face-neutral-skeptical",
    "head-shaking-vertically": "face-neutral-skeptical", "lime": "food-fruit", "keycap-asterisk": "keycap",
}  # fmt: skip
CATEGORIES = {  # category -> Unicode's subgroups, a trailing hyphen standing for all that begin so
    "face": "face- cat-face monkey-face",
    "person": "person person-",
    "hand": "hand- hands",
    "body": "body-parts",
    "animal": "animal-",
    "plant": "plant-",
    "food": "food- drink dishware",
    "place": "place- hotel",
    "vehicle": "transport-ground transport-water transport-air",
    "sky": "sky&weather",
    "clothing": "clothing",
    "game": "event award-medal sport game arts&crafts",
    "music": "sound music musical-instrument",
    "flag": "flag",
    "heart": "heart",
    "shape": "geometric",
    "letter": "alphanum keycap",
    "sign": "emotion transport-sign warning arrow religion zodiac av-symbol gender math punctuation currency "
    "other-symbol",
    "object": "phone computer light&video book-paper money mail writing office lock tool science medical household "
    "other-object time",
}


def slug(name: str) -> str:
    """The name as icon sets spell it: ASCII, lower case, hyphens."""
    plain = unicodedata.normalize("NFKD", name.lower()).encode("ascii", "ignore").decode().replace("'", "")
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def unicode_names() -> dict[str, tuple[str, str]]:
    """Slug -> (subgroup, name) of every emoji that Unicode recommends."""
    found, subgroup = {}, ""
    for line in UNICODE.read_text(encoding="utf-8").splitlines():
        if line.startswith("# subgroup:"):
            subgroup = line.partition(":")[2].replace(" ", "")
        elif match := re.search(r"; (?:fully-qualified|component)\s+# \S+ E[\d.]+ (.+)$", line):
            found[slug(match[1])] = (subgroup, match[1])
    return found


def describe(names: list[str]) -> list[dict[str, str]]:
    """One record for each name, without the attributes that it does not have."""
    known = unicode_names()
    bases = {TONE.sub("", name) for name in names}
    things: dict[str, set[str]] = {}  # what comes in which colours
    for base in bases:
        if match := COLOURED.match(base):
            things.setdefault(match[2], set()).add(match[1])
    records = []
    for name in names:
        base, tone = TONE.sub("", name), TONE.search(name)
        subgroup, caption = known.get(name, ("", name.replace("-", " ")))
        if not subgroup:
            subgroup = NEWER.get(name) or known[name.removesuffix("-facing-right")][0]
        gender, role = gender_and_role(base, bases)
        colour = COLOURED.match(base)
        record = {"name": name, "caption": plain(caption), "category": category(base, subgroup)}
        record |= {
            "gender": gender,
            "role": role,
            "skin_tone": tone and tone[1],
            "hair": role if role in HAIR else None,
        }
        record["colour"] = colour[1].replace("-", " ") if colour and len(things[colour[2]]) > 2 else None
        records.append({key: value for key, value in record.items() if value})
    return records


def plain(caption: str) -> str:
    """The name as lower-case words: "woman: red hair" -> "woman with red hair", no brackets, quotes or full stops."""
    caption = caption.lower().replace("’", "").replace("-skin-tone", " skin tone")
    who, _, rest = caption.partition(": ")
    if rest and who in {"man", "woman", "person"} and not rest.endswith("skin tone"):
        look, _, tone = rest.partition(", ")
        caption = " ".join([who, {"bald": "bald"}.get(look, f"with {'a ' * (look == 'beard')}{look}"), tone])
    return " ".join(re.findall(r"[a-z0-9#*&!?]+", unicodedata.normalize("NFKD", caption)))


def gender_and_role(base: str, bases: set[str]) -> tuple[str | None, str | None]:
    """Of people that are drawn as man, woman and person; where no gender is named, "person"."""
    match = re.fullmatch(r"(man|woman|person)-(.+)", base)
    gender, role = (match[1], match[2]) if match else ("person", base)
    drawn = {f"man-{role}", f"woman-{role}"} <= bases and bool({f"person-{role}", role} & bases)
    return (gender, role.replace("-", " ")) if drawn else (None, None)


def category(base: str, subgroup: str) -> str:
    """The category of a subgroup; the faces of clocks have one of their own."""
    if re.search(r"-(oclock|thirty)$", base):
        return "clock"
    for found, listed in CATEGORIES.items():
        for one in listed.split():
            if subgroup == one or (one.endswith("-") and subgroup.startswith(one)):
                return found
    raise SystemExit(f"{base}: no category has Unicode's subgroup {subgroup!r}")
