"""Chapter 9: grounding, two towers, rows and columns, chunks, prompts, what is held out, balancing, what is bound."""

from collections.abc import Mapping, Sequence

from book_tools import draw
from book_tools.draw import Part, Sheet


def grounding(word: str, in_text: Sequence[str], in_pictures: Sequence[str]) -> list[Sheet]:
    """One word between the words that stand near it and what it looks like."""
    middle = draw.tile(word, "now", width=76, height=34)
    words = draw.titled(draw.tokens(in_text, "text", down=True), "what text has near it")
    seen = draw.column(*[draw.tensor(name, role="picture", width=120) for name in in_pictures], gap=6)
    pictures = draw.titled(seen, "what pictures have of it")
    return [
        Sheet(
            draw.row(words, middle, pictures, gap=24),
            draw.arrow(words, middle, leave="right", enter="left"),
            draw.arrow(pictures, middle, leave="left", enter="right"),
        )
    ]


def towers(batch: int, images_width: int, texts_width: int) -> list[Sheet]:
    """Figure 1 of the paper with shapes: two encoders, two projections, one square of logits."""
    lanes = []
    for name, role, inner in (("images", "picture", images_width), ("texts", "text", texts_width)):
        data = draw.tensor(f"{batch} {name}", role=role, width=76)
        encoder = draw.box(f"{name[:-1]}", "encoder", role="trained", width=76)
        features = draw.tensor("features", f"({batch}, {inner})", role)
        projection = draw.box("W, to", "length 1", role="trained", width=70)
        lanes.append(draw.row(data, encoder, features, projection, gap=20))
    cells = [[("accepted" if i == j else "rejected", "") for j in range(batch)] for i in range(batch)]
    square = draw.titled(
        draw.grid(cells, [f"I{i + 1}" for i in range(batch)], [f"T{j + 1}" for j in range(batch)], cell=26),
        f"logits ({batch}, {batch})",
    )
    both = draw.column(*lanes, gap=18)
    sheet = draw.column(both, square, gap=26)
    steps = [draw.arrow(lane[i], lane[i + 1]) for lane in lanes for i in range(3)]
    joins = [draw.arrow(both, square, "times exp(t)", leave="bottom", enter="top")]
    return [Sheet(sheet, *steps, *joins)]


def normalisers(size: int = 4) -> list[Sheet]:
    """Who competes with whom: along a row, along a column, nobody."""

    def view(title: str, below: str, chosen: Mapping[tuple[int, int], str]) -> Part:
        cells = [[(chosen.get((i, j), "unused"), "") for j in range(size)] for i in range(size)]
        return draw.bracket(draw.titled(draw.grid(cells, cell=24), title), below, muted=True)

    line = 1
    rows = {(line, j): "accepted" if j == line else "text" for j in range(size)}
    columns = {(i, line): "accepted" if i == line else "picture" for i in range(size)}
    every = {(i, j): "accepted" if i == j else "rejected" for i in range(size) for j in range(size)}
    return [
        Sheet(view("softmax of a row", "which caption?", rows)),
        Sheet(view("softmax of a column", "which picture?", columns)),
        Sheet(view("sigmoid of each cell", "do these two fit?", every)),
    ]


def chunks(size: int, chunk: int) -> list[Sheet]:
    """The whole square in memory, and a strip of it with what is kept of the others."""
    whole = draw.titled(draw.grid([[True] * size] * size, cell=15, role="draft"), "all at once", "B x B logits")
    now = size // 2 // chunk
    strips = [["now" if i // chunk == now else "unused" for _ in range(size)] for i in range(size)]
    kept = [[("cached", "")] for _ in range(size)]
    rows = draw.titled(draw.grid(kept, cell=15), "rows")
    below = draw.titled(draw.grid([["cached"] * size], cell=15), "columns: one number each")
    strip = draw.titled(draw.column(draw.row(draw.grid(strips, cell=15), rows, gap=10), below), "chunk by chunk")
    return [Sheet(whole), Sheet(strip)]


def classifier(names: Sequence[str], templates: Sequence[str], width: int) -> list[Sheet]:
    """Class names and templates become prompts, prompts the rows of a linear classifier."""
    labels = draw.titled(draw.tokens(names, "text", down=True), "class names")
    prompts = draw.titled(draw.column(*[draw.tile(one, "text") for one in templates], gap=3), "templates")
    encoder = draw.box("text encoder", "mean, length 1", role="frozen", width=120)
    weights = draw.tensor("classifier", f"({len(names)}, {width})", "cached")
    image = draw.tensor("a picture", role="picture", width=90)
    tower = draw.box("image encoder", role="frozen", width=120)
    vector = draw.tensor("its embedding", f"({width},)", "picture")
    upper = draw.row(labels, prompts, gap=16)
    text = draw.row(encoder, weights, gap=20)
    seen = draw.row(image, tower, vector, gap=20)
    answer = draw.box("softmax", role="accepted", width=90)
    return [
        Sheet(
            draw.column(upper, text, answer, seen, gap=26),
            draw.arrow(upper, encoder, leave="bottom", enter="top"),
            draw.arrow(encoder, weights),
            draw.arrow(weights, answer, leave="bottom", enter="top"),
            draw.arrow(image, tower),
            draw.arrow(tower, vector),
            draw.arrow(vector, answer, leave="top", enter="bottom"),
        )
    ]


def compositions(roles: Sequence[str], genders: Sequence[str], held: set[tuple[str, str]]) -> list[Sheet]:
    """Which gender of which role was never trained."""
    cells = [[("masked" if (role, gender) in held else "trained", "") for gender in genders] for role in roles]
    return [Sheet(draw.grid(cells, roles, genders, cell=(76, 22), mono=False))]


def balancing(counts: Mapping[str, int], limit: int) -> list[Sheet]:
    """How many pairs each entry has, and how many it keeps."""
    parts = {name: [(min(n, limit), "accepted"), (max(0, n - limit), "rejected")] for name, n in counts.items()}
    return [Sheet(draw.bars(parts, height=130, width=62))]


def bound() -> list[Sheet]:
    """Three modalities, two kinds of pairs: pictures are in both."""
    text = draw.box("text tower", role="frozen", width=110, height=40)
    image = draw.box("picture tower", role="frozen", width=120, height=40)
    sound = draw.box("sound tower", role="trained", width=110, height=40)
    return [
        Sheet(
            draw.column(draw.row(text, sound, gap=150), image, gap=56),
            draw.arrow(text, image, both=True, leave="bottom", enter="left"),
            draw.arrow(sound, image, both=True, leave="bottom", enter="right"),
            draw.arrow(text, sound, "never paired", both=True, dashed=True, leave="right", enter="left"),
        )
    ]


def spectrum(mels: int, frames: int, patch: int, stride: int) -> list[Sheet]:
    """What ImageBind cuts two seconds of sound into."""
    down, along = (mels - patch) // stride + 1, (frames - patch) // stride + 1
    wave = draw.titled(draw.tensor("2 s at 16 kHz", "(32000,)", "sound"), "three clips, averaged at the end")
    mel = draw.titled(draw.tensor("log-mel", f"({mels}, {frames})", "sound"), "Kaldi's bank, (x + 4.268) / 9.138")
    tokens = draw.tensor("tokens", f"({down} x {along}, d)", "sound")
    tokens = draw.titled(tokens, f"patches of {patch}, {stride} apart")
    line = draw.column(wave, mel, tokens, gap=26)
    return [
        Sheet(
            line,
            draw.arrow(wave, mel),
            draw.arrow(mel, tokens),
        )
    ]
