"""Chapter 2: a round of draft and verification, its cache, its time, and the two distributions."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from book_tools import draw
from book_tools.draw import Part, Sheet

Kept = Sequence[tuple[int, int]]  # of each round: tokens drafted, tokens kept


def flow(before: Sequence[str], drafted: Sequence[str], num_kept: int, added: str) -> list[Sheet]:
    """One round: the draft writes tokens one by one, the target checks them in one pass, a prefix of them stays."""
    width = max(draw.tile(text).width for text in [*before, *drafted, added])
    prefix = draw.tokens(before, "text", width=width)
    guesses = draw.tokens(drafted, "draft", width=width, gap=18)
    model = draw.box("target model: one pass", role="target", width=prefix.width + guesses.width + 34)
    fates = ["accepted"] * num_kept + ["rejected"] * (num_kept < len(drafted))
    fates += ["unused"] * (len(drafted) - len(fates))
    verdicts = draw.tokens(drafted, fates, width=width, gap=18)
    written = draw.tokens([*before, *drafted[:num_kept], added],
                          ["text"] * len(before) + ["accepted"] * num_kept + ["target"], width=width)  # fmt: skip
    drafting = draw.bracket(guesses, "draft, one after the other")
    first = draw.row(draw.bracket(prefix, "prefix"), drafting, gap=18, align="start")
    verified = draw.row(draw.space(prefix.width), draw.bracket(verdicts, "verdicts"), gap=18, align="start")
    picture = draw.column(first, model, verified, draw.bracket(written, "text after the round"), gap=24, align="start")
    steps = [draw.arrow(a, b, role="draft") for a, b in pairwise(guesses)]
    checks = [draw.arrow(model, token) for token in verdicts.inside[: num_kept + 1]]
    return [Sheet(picture, *steps, *checks)]


def rounds_in_time(rounds: Kept, draft_cost: float, verify_cost: float) -> list[Sheet]:
    """Rounds on a time line whose unit is one plain pass of the target, over plain decoding of the same tokens."""
    draft, target, now = [], [], 0.0
    for length, kept in rounds:
        for i in range(length):
            role = "accepted" if i < kept else "rejected" if i == kept else "unused"
            draft.append((now, now + draft_cost, "", role))
            now += draft_cost
        target.append((now, now + verify_cost, f"+{kept + 1}", "target"))
        now += verify_cost
    plain = [(float(i), i + 1.0, "+1", "target") for i in range(sum(kept + 1 for _, kept in rounds))]
    return [Sheet(draw.lanes({"draft": draft, "target": target, "target alone": plain}, width=444))]


def rollback(before: Sequence[str], drafted: Sequence[str], num_kept: int, added: str, following: str) -> list[Sheet]:
    """The rows of the target's cache after a round, and after the first passes of the next one."""
    after = [("cached", t) for t in before] + [("accepted", t) for t in drafted[:num_kept]]
    left = [("rejected", t) for t in drafted[num_kept:]]
    overwritten = [("now", added), ("now", following)][: len(left)]
    states = {
        "after pass": after + left,
        "next pass": after + overwritten + [("unused", t) for t in drafted[num_kept + len(overwritten) :]],
    }
    width = max(draw.tile(text).width for text in [*before, *drafted, added, following]) + 2
    columns = [str(i) for i in range(len(after) + len(left))]
    table = draw.grid(states.values(), rows=list(states), columns=columns, cell=(width, 26))
    return [Sheet(table)]


def two_distributions(names: Sequence[str], p: Sequence[float], q: Sequence[float]) -> list[Sheet]:
    """What the draft offers, what is kept of it, and what the residual distribution adds."""
    kept = [min(a, b) for a, b in zip(p, q, strict=True)]
    offered = {x: [(k, "accepted"), (b - k, "rejected")] for x, k, b in zip(names, kept, q, strict=True)}
    wanted = {x: [(k, "accepted"), (a - k, "target")] for x, k, a in zip(names, kept, p, strict=True)}
    rest = {x: [((a - k) / (1 - sum(kept)), "target")] for x, k, a in zip(names, kept, p, strict=True)}
    charts = (("draft $q$ = accepted + rejected", offered), ("target $p$ = accepted + resampled", wanted),
              ("residual $p'$: resampled, over its sum", rest))  # fmt: skip
    return [Sheet(draw.titled(_bars(columns), name, gap=6)) for name, columns in charts]


def _bars(columns: dict[str, list[tuple[float, str]]]) -> Part:
    return draw.bars({x: [s for s in segments if s[0] > 1e-6] for x, segments in columns.items()}, width=36)


def decisions() -> list[Sheet]:
    """The rule for one drafted token, and where it leads."""
    token = draw.box("drafted token $x$", role="draft")
    test = draw.box("$u < p(x) / q(x)$ ?", width=140)
    keep, reject = (
        draw.box("keep $x$, go on", role="accepted"),
        draw.box("reject $x$,", "drop the rest", role="rejected"),
    )
    bonus = draw.box("last one? bonus", "token from $p$", role="target")
    residual = draw.box("token from the", "residual $p'$", role="target")
    sides = draw.row(draw.column(keep, bonus, gap=40), draw.column(reject, residual, gap=40), gap=90, align="start")
    arrows = [
        draw.arrow(token, test),
        draw.arrow(test, keep, "yes", leave="left", enter="top"),
        draw.arrow(test, reject, "no", leave="right", enter="top"),
        draw.arrow(keep, bonus),
        draw.arrow(reject, residual),
        draw.arrow(keep, token, leave="left", enter="left", dashed=True),
    ]
    return [Sheet(draw.column(token, test, sides, gap=34), *arrows)]


def looked_up(words: Sequence[str], copied: Sequence[str], match: int) -> list[Sheet]:
    """A text whose last `match` tokens stood in it before: what followed them there is copied as a draft."""
    found = [*words[-match:], *copied]
    start = next(i for i in range(len(words)) if list(words[i : i + len(found)]) == found)
    roles = ["text"] * len(words)
    roles[start : start + match] = roles[-match:] = ["now"] * match
    source = slice(start + match, start + match + len(copied))
    roles[source] = ["cached"] * len(copied)
    text, guess = draw.tokens(words, roles), draw.tokens(copied, "draft")
    across = max(0, text.width - guess.width)
    lower = Part(text.width, guess.height, parts=[(guess, across, 0)])
    sheet = draw.column(text, lower, gap=40, align="end")
    return [
        Sheet(
            sheet,
            *[draw.arrow(a, b, enter="top", dashed=True) for a, b in zip(text.inside[source], guess, strict=True)],
        )
    ]


def ragged_rows(lengths: Sequence[int], grown: Sequence[int], block: int, total: int) -> list[Sheet]:
    """A batch whose rows stand at positions of their own: what lies in the cache, what a round reads, what it kept."""
    rows = []
    for length, kept in zip(lengths, grown, strict=True):
        line: list[Any] = ["cached"] * length + ["accepted"] * kept + ["rejected"] * (block - kept)
        rows.append((line + ["unused"] * (total - len(line)))[:total])
    return [Sheet(draw.grid(rows, rows=[f"sequence {i + 1}" for i in range(len(rows))], cell=(15, 20), mono=False))]
