"""Chapter 3: heads, the tree of their guesses, its mask, its positions and its rows in the cache."""

from collections.abc import Sequence

from book_tools import draw
from book_tools.draw import Part, Sheet


def architecture(guesses: Sequence[Sequence[str]]) -> list[Sheet]:
    """A frozen target, its last hidden state, and the heads on it with their best guesses.

    Args:
        guesses: the best guess of the language-model head, then the best few of each Medusa head.
    """
    blocks = draw.box("embedding and $L$ layers", role="frozen", width=430)
    state = draw.tensor("$h_t$", "(d,)", "now", width=70)
    heads = [draw.box("LM head:", "$t+1$", role="frozen", width=76)]
    heads += [draw.box(f"head {k}:", f"$t+{k + 1}$", role="trained", width=76) for k in range(1, len(guesses))]
    tiles = [
        draw.tokens(words, "target" if k == 0 else "draft", width=76, down=True) for k, words in enumerate(guesses)
    ]
    columns = [draw.column(head, words, gap=22) for head, words in zip(heads, tiles, strict=True)]
    picture = draw.column(blocks, state, draw.row(*columns, gap=12, align="start"), gap=26)
    arrows = [draw.arrow(blocks, state)] + [draw.arrow(state, head, leave="bottom", enter="top") for head in heads]
    return [Sheet(picture, *arrows, *[draw.arrow(h, w[0]) for h, w in zip(heads, tiles, strict=True)])]


def targets(words: Sequence[str], num_heads: int) -> list[Sheet]:
    """Which token each head learns to predict at one position of a text."""
    text = draw.tokens(words, ["text"] + ["plain"] * (len(words) - 1), width=66, gap=6)
    heads = [draw.box("LM head", role="frozen", width=66)]
    heads += [draw.box(f"head {k}", role="trained", width=66) for k in range(1, num_heads + 1)]
    state = draw.tensor("$h_t$", role="now", width=66)
    below = draw.row(draw.space(66), *heads, gap=6)
    arrows = [draw.arrow(text[0], state), *[draw.arrow(state, h, leave="right", enter="bottom") for h in heads]]
    arrows += [draw.arrow(head, text[k + 1], dashed=True) for k, head in enumerate(heads)]
    return [Sheet(draw.column(text, below, state, gap=30, align="start"), *arrows)]


def tree(
    parents: Sequence[int],
    words: Sequence[str],
    roles: Sequence[str] | None = None,
    notes: Sequence[str] | None = None,
    width: float = 0,
) -> tuple[Part, list]:
    """A tree from left to right, a branch on each line: the part, and the arrows from parent to child."""
    width = max([width, *(draw.tile(word).width for word in words)])
    roles = roles or ["target"] + ["draft"] * (len(parents) - 1)
    nodes = [draw.tile(word, role, width) for word, role in zip(words, roles, strict=True)]
    lines = _lines(parents)
    depths = [0] * len(parents)
    for node, parent in enumerate(parents[1:], 1):
        depths[node] = depths[parent] + 1
    down, across = (46 if notes else 34), width + 40
    placed = [(node, depths[i] * across, lines[i] * down) for i, node in enumerate(nodes)]
    if notes:
        labels = [draw.label(note, muted=True) for note in notes]
        placed += [
            (label, depths[i] * across + (width - label.width) / 2, lines[i] * down + 24)
            for i, label in enumerate(labels)
        ]
    size = max(depths) * across + width, max(lines) * down + (42 if notes else 24)
    arrows = [draw.arrow(nodes[parent], nodes[i], leave="right", enter="left") for i, parent in enumerate(parents) if i]
    return Part(*size, parts=placed), arrows


def _lines(parents: Sequence[int]) -> list[int]:
    """The line of each node: branches one under the other, a node on the line of its first child."""
    lines, free = [0] * len(parents), 0

    def visit(node: int) -> None:
        nonlocal free
        children = [child for child, parent in enumerate(parents) if parent == node]
        for child in children:
            visit(child)
        if children:
            lines[node] = lines[children[0]]
        else:
            lines[node], free = free, free + 1

    visit(0)
    return lines


def tree_to_mask(parents: Sequence[int], words: Sequence[str], mask: Sequence[Sequence[bool]]) -> list[Sheet]:
    """The tree, the same nodes as one row of tokens, and who sees whom among them."""
    part, arrows = tree(parents, words)
    flat = draw.tokens(words, ["target"] + ["draft"] * (len(words) - 1))
    names = [f"{i} {draw.visible(word)}" for i, word in enumerate(words)]
    table = draw.grid(mask, rows=names, columns=[str(i) for i in range(len(words))], role="now")
    one_pass = draw.titled(flat, "the same nodes as one pass", gap=8)
    return [
        Sheet(draw.titled(part, "guesses as a tree", gap=8), *arrows),
        Sheet(draw.column(one_pass, draw.titled(table, "its mask: the row sees the column", gap=8), gap=22)),
    ]


def positions(parents: Sequence[int], words: Sequence[str], depths: Sequence[int], root: int) -> list[Sheet]:
    """Each node with its position in the text and its row in the cache."""
    notes = [f"{root + depth} / {root + node}" for node, depth in enumerate(depths)]
    part, arrows = tree(parents, words, notes=notes, width=74)
    return [Sheet(part, *arrows)]


def kept_path(parents: Sequence[int], words: Sequence[str], path: Sequence[int], chosen: str) -> list[Sheet]:
    """The tree after the verdict: the path that stays, and the token that comes free."""
    roles = ["target", *("accepted" if node in path else "rejected" for node in range(1, len(parents)))]
    part, arrows = tree([*parents, path[-1]], [*words, chosen], [*roles, "target"])
    return [Sheet(part, *arrows)]


def gather(words: Sequence[str], path: Sequence[int], root: int) -> list[Sheet]:
    """The rows of the cache after a pass over a tree, and after the kept path has moved together."""
    before = [draw.tile(w, "accepted" if i in path else "rejected", 54) for i, w in enumerate(words)]
    after = [draw.tile(words[i], "accepted", 54) for i in path]
    after += [draw.tile("", "unused", 54) for _ in range(len(words) - len(path))]
    rows = [str(root + i) for i in range(len(words))]
    numbers = draw.row(*[draw.column(draw.space(54), draw.label(row), gap=0) for row in rows], gap=4)
    upper = draw.column(numbers, draw.row(*before, gap=4), gap=2)
    arrows = [draw.arrow(before[node], after[i], leave="bottom", enter="top") for i, node in enumerate(path)]
    return [Sheet(draw.column(upper, draw.row(*after, gap=4), gap=44), *arrows)]


def three_ways(draft_layers: int, length: int, kept: int, target_layers: int) -> list[Sheet]:
    """The layers that run one after the other in a round of plain decoding, with a draft model and with heads."""
    steps = [(i * draft_layers, (i + 1) * draft_layers, "", "draft") for i in range(length)]
    start = length * draft_layers
    lanes = {
        "plain": [(0, target_layers, "+1", "target")],
        "draft model": [*steps, (start, start + target_layers, f"verify: up to +{length + 1}", "target")],
        "heads": [(0, 1, "", "draft"), (1, 1 + target_layers, f"verify: up to +{kept + 2}", "target")],
    }
    return [Sheet(draw.lanes(lanes, width=444, axis="layers, one after the other"))]
