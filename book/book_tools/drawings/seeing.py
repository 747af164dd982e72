"""Chapter 11: four components, who is frozen when, a splice, pooling, the Q-Former, masks, FROMAGe's two passes."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from book_tools import draw
from book_tools.draw import Part, Sheet


def four_components(patches: int, d_vision: int, d_model: int, words: Sequence[str]) -> list[Sheet]:
    """Preprocessing, encoder, connector and decoder, with the shapes between them."""
    image = draw.tensor("image", "(3, H, W)", "picture", width=84)
    cut = draw.box("patches", "preprocessing", role="plain", width=108)
    encoder = draw.box("image encoder", "pretrained", role="frozen", width=108)
    features = draw.tensor("features", f"({patches}, {d_vision})", "picture", width=108)
    connector = draw.box("connector", "from nothing", role="trained", width=108)
    seen = draw.tensor("its tokens", f"({patches}, {d_model})", "picture", width=108)
    text = draw.titled(draw.tokens(words, "text"), f"embedded, ({len(words)}, {d_model})")
    decoder = draw.box("decoder-only language model", "pretrained", role="frozen", width=230)
    left = draw.column(image, cut, encoder, gap=24)
    right = draw.column(seen, connector, features, gap=24)
    upper = draw.row(left, right, gap=54)
    sheet = draw.column(upper, draw.row(text, gap=10), decoder, gap=26)
    return [
        Sheet(
            sheet,
            draw.arrow(image, cut, leave="bottom", enter="top"),
            draw.arrow(cut, encoder, leave="bottom", enter="top"),
            draw.arrow(encoder, features, leave="right", enter="left"),
            draw.arrow(features, connector, leave="top", enter="bottom"),
            draw.arrow(connector, seen, leave="top", enter="bottom"),
            draw.arrow(text, decoder, leave="bottom", enter="top"),
            draw.arrow(seen, decoder, leave="right", enter="right"),
        )
    ]


def stages(of: Mapping[str, Sequence[Sequence[str]]], parts: Sequence[str]) -> list[Sheet]:
    """A row for each stage of each model, a cell for each part: trained or frozen."""
    rows = [(f"{name}, stage {i}", set(trained)) for name, all_ in of.items() for i, trained in enumerate(all_, 1)]
    cells = [[("trained" if part in trained else "frozen", "") for part in parts] for _, trained in rows]
    return [Sheet(draw.grid(cells, [name for name, _ in rows], parts, cell=(86, 22)))]


def windows(side: int, window: int) -> list[Sheet]:
    """A grid of patches in windows; side by side for a matrix, or pooled by attention."""
    roles = ("picture", "text")
    cells = [[(roles[(y // window + x // window) % 2], str(y * side + x)) for x in range(side)] for y in range(side)]
    grid = draw.titled(draw.grid(cells, cell=28), f"{side} x {side} patches")
    first = [str(y * side + x) for y in range(window) for x in range(window)]
    beside = draw.titled(draw.tokens(first, "picture"), "side by side, 4 v wide")
    matrix = draw.box("projector", role="trained", width=76)
    mean = draw.titled(draw.row(draw.tile("mean", "now"), draw.tokens(first, "picture"), gap=8), "query, keys, values")
    attention = draw.box("attention", role="trained", width=76)
    gated = draw.box("SwiGLU", role="trained", width=66)
    tokens = [draw.tensor("a token", "(d,)", "accepted", width=66) for _ in range(2)]
    upper = draw.row(beside, matrix, tokens[0], gap=26)
    lower = draw.row(mean, attention, gated, tokens[1], gap=20)
    return [
        Sheet(grid),
        Sheet(upper, draw.arrow(beside, matrix), draw.arrow(matrix, tokens[0])),
        Sheet(lower, draw.arrow(mean, attention), draw.arrow(attention, gated), draw.arrow(gated, tokens[1])),
    ]


def qformer(num_queries: int, patches: int) -> list[Sheet]:
    """One block: queries and text share self-attention, queries alone ask the image."""
    queries = draw.tensor(f"{num_queries} queries", "learned", "now", width=104)
    text = draw.tensor("text", "where there is one", "text", width=130)
    shared = draw.box("self-attention", "shared, masked by the loss", role="trained", width=260)
    image = draw.tensor("image", f"({patches}, v)", "picture", width=96)
    cross = draw.box("cross-attention", "every second block", role="trained", width=124)
    ff_query = draw.box("MLP", "of queries", role="trained", width=104)
    ff_text = draw.box("MLP", "of text", role="trained", width=104)
    asks = draw.column(cross, ff_query, gap=24)
    lower = draw.row(asks, ff_text, gap=40, align="end")
    sheet = draw.row(image, draw.column(draw.row(queries, text, gap=30), shared, lower, gap=26), gap=30)
    return [
        Sheet(
            sheet,
            draw.arrow(queries, shared, leave="bottom", enter="top"),
            draw.arrow(text, shared, leave="bottom", enter="top"),
            draw.arrow(shared, cross, leave="bottom", enter="top"),
            draw.arrow(shared, ff_text, leave="bottom", enter="top"),
            draw.arrow(image, cross, leave="right", enter="left"),
            draw.arrow(cross, ff_query, leave="bottom", enter="top"),
        )
    ]


def masks(shown: Mapping[str, tuple[Tensor, Sequence[str]]], cell: float = 24) -> list[Sheet]:
    """Masks (T, T) of booleans with the names of their tokens: rows see the filled columns."""

    def view(title: str, mask: Tensor, names: Sequence[str]) -> Part:
        cells = [["accepted" if seen else "masked" for seen in row] for row in mask.tolist()]
        return draw.titled(draw.grid(cells, names, names, cell=cell), title)

    return [Sheet(view(title, mask, names)) for title, (mask, names) in shown.items()]


def two_passes(d_shared: int) -> list[Sheet]:
    """FROMAGe: a picture goes in as one token, and a text that ends in [RET] finds a picture."""
    picture = draw.tensor("a picture", "one vector", "picture", width=84)
    matrix = draw.box("W_c", role="trained", width=44)
    captioning = draw.box("frozen decoder", role="frozen", width=106)
    caption = draw.tokens(["a", "cat", "."], "text")
    first = draw.row(picture, matrix, captioning, caption, gap=18)
    text = draw.tokens(["a", "cat", "[RET]"], ["text", "text", "trained"])
    reading = draw.box("frozen decoder", role="frozen", width=106)
    out = draw.box("W_t", role="trained", width=44)
    space = draw.tensor("compared", f"({d_shared},)", "accepted", width=84)
    into = draw.box("W_i", role="trained", width=44)
    pictures = draw.tensor("pictures", "one vector each", "picture", width=104)
    second = draw.row(text, reading, out, space, gap=18)
    third = draw.row(pictures, into, gap=18)
    sheet = draw.column(first, second, third, gap=30, align="end")
    return [
        Sheet(
            sheet,
            draw.arrow(picture, matrix),
            draw.arrow(matrix, captioning),
            draw.arrow(captioning, caption),
            draw.arrow(text, reading),
            draw.arrow(reading, out),
            draw.arrow(out, space),
            draw.arrow(pictures, into),
            draw.arrow(into, space, leave="top", enter="bottom"),
        )
    ]
