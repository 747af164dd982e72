"""The recorded race as a picture: a lane for each decoder, a box for each pass of the target, as wide as it took.

python book/_ext/race_picture.py    writes book/_assets/race.svg, which README shows
"""

import json
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_WIDTH, _LEFT, _LANE, _GAP = 720, 8, 34, 34
_LANES = {"plain": ("#c2570a", "plain decoding"), "speculative": ("#1f6fbf", "speculative decoding")}


def race_svg(recording: dict, background: str = "none") -> str:
    """An SVG of the recording that `bench_race.py` saved; it stands on light and on dark ground.

    Args:
        recording: when each pass ended, in ms, and the tokens.
        background: colour behind the lanes; with "none", text takes the colour of the text around.
    """
    ink = "currentColor" if background == "none" else "#1f2328"
    scale = (_WIDTH - 2 * _LEFT) / max(recording[f"{name}_ms"][-1] for name in _LANES)
    tokens, parts = len(recording["tokens"]), []
    for row, (name, (colour, words)) in enumerate(_LANES.items()):
        ends, top = recording[f"{name}_ms"], 26 + row * (_LANE + _GAP)
        said = f"{words}: {tokens} tokens, {len(ends)} passes, {ends[-1] / 1e3:.2f} s"
        parts.append(f'<text x="{_LEFT}" y="{top - 8}" fill="{ink}">{said}</text>')
        for begin, end in pairwise([0.0, *ends]):
            x, width = _LEFT + scale * begin, scale * (end - begin) - 0.6
            parts.append(f'<rect x="{x:.1f}" y="{top}" width="{width:.1f}" height="{_LANE}" fill="{colour}"/>')
    height = 2 * (_LANE + _GAP) + 4
    label = "The same text by two decoders. " + "; ".join(
        f"{words}: {len(recording[f'{name}_ms'])} passes, {recording[f'{name}_ms'][-1] / 1e3:.2f} s"
        for name, (_, words) in _LANES.items()
    )
    ground = "" if background == "none" else f'<rect width="100%" height="100%" fill="{background}"/>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="race-picture" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="{label}" font-family="system-ui, sans-serif" font-size="15">{ground}{"".join(parts)}</svg>'
    )


def main() -> None:
    recording = json.loads((ROOT / "benchmarks/results/cpu/bench_race.json").read_text(encoding="utf-8"))["recording"]
    (ROOT / "book/_assets/race.svg").write_text(race_svg(recording, "#ffffff") + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
