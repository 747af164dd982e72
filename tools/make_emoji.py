"""Draw the picture set of `nimblelm.data.emoji`: every emoji that four open icon sets share, 32 x 32, with its words.

Only this script needs what it needs: cairosvg==2.9.1 and pillow from PyPI, and Debian's unicode-data.

    for set in noto@1.2.9 twemoji@1.2.5 openmoji@1.2.29 fluent-emoji-flat@1.2.6; do npm pack @iconify-json/$set; done
    python tools/make_emoji.py --packages FOLDER_WITH_THE_TGZ_FILES      (a minute; rewrites lib/nimblelm/data/emoji)

A name in all four sets is a concept, so that each has four independent drawings.
"""

import argparse
import io
import json
import lzma
import re
import tarfile
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path

import cairosvg
import numpy as np
from emoji_words import TONE, TONES, describe
from PIL import Image

OUT = Path(__file__).parents[1] / "lib/nimblelm/data/emoji"
STYLES = {"noto": "noto", "twemoji": "twemoji", "openmoji": "openmoji", "fluent": "fluent-emoji-flat"}
SIDE, OVERSAMPLED, COLOURS = 32, 4, 256
ABBREVIATED_TONE = re.compile(rf"-({'|'.join(TONES)})$")  # Fluent's names leave "skin tone" out


def icons_of(packages: Path, package: str) -> dict:
    """The icons.json of the newest package of that name in the folder."""
    archives = sorted(packages.glob(f"iconify-json-{package}-[0-9]*.tgz"))
    if not archives:
        raise SystemExit(f"{packages} has no iconify-json-{package}-*.tgz: npm pack @iconify-json/{package}")
    with tarfile.open(archives[-1]) as archive:
        content = archive.extractfile("package/icons.json")
        assert content is not None
        return json.load(content)


def named_alike(icons: dict, elsewhere: set[str]) -> dict[str, str]:
    """Common name -> name in this set: a tone is spelled out, unless the name is another thing ("traffic-light")."""
    spelled = {}
    for name in icons["icons"]:
        full = f"{name}-skin-tone" if ABBREVIATED_TONE.search(name) and name not in elsewhere else name
        spelled[full] = name
    return spelled


def drawn(icons: dict, name: str) -> np.ndarray | None:
    """One icon on white, uint8 (32, 32, 3), averaged down; None where cairo cannot draw it or draws nothing."""
    icon = icons["icons"][name]
    width, height = (icon.get(side, icons.get(side, 16)) for side in ("width", "height"))
    box = f"{icon.get('left', 0)} {icon.get('top', 0)} {width} {height}"
    space = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    svg = f'<svg {space} viewBox="{box}">{icon["body"]}</svg>'
    size = {f"output_{side}": OVERSAMPLED * SIDE for side in ("width", "height")}
    try:
        png = cairosvg.svg2png(svg.encode(), background_color="white", **size)
    except Exception as error:  # cairosvg raises whatever its parsers raise
        print(f"{name} is left out: {error!r}")
        return None
    picture = np.asarray(Image.open(io.BytesIO(png)).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX))
    return picture if picture.std() > 1 else None


def write_style(style: str, pictures: np.ndarray) -> None:
    """Quantize a style's pictures to one palette of 256 colours and write both, LZMA around NumPy's format."""
    flat = Image.fromarray(pictures.reshape(-1, SIDE, 3))
    indexed = flat.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    palette = np.array(indexed.getpalette(), np.uint8).reshape(-1, 3)
    pixels = np.asarray(indexed, np.uint8).reshape(-1, SIDE, SIDE)
    buffer = io.BytesIO()
    np.savez(buffer, palette=palette, pixels=pixels)
    path = OUT / f"{style}.npz.xz"
    path.write_bytes(lzma.compress(buffer.getvalue(), preset=9 | lzma.PRESET_EXTREME))
    error = np.abs(palette[pixels].astype(int) - pictures).mean()
    print(f"{style}: {path.stat().st_size / 2**20:.2f} MB, mean colour error {error:.2f} of 255")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, required=True, help="folder with npm's four .tgz files")
    options = parser.parse_args()
    sets = {style: icons_of(options.packages, package) for style, package in STYLES.items()}
    spelled = {style: named_alike(icons, set(sets["noto"]["icons"])) for style, icons in sets.items()}
    shared = set.intersection(*map(set, spelled.values()))
    # a person's tones stand behind the person: neighbours that are nearly equal compress well
    names = sorted(shared, key=lambda name: (TONE.sub("", name), name))
    OUT.mkdir(exist_ok=True)
    with ProcessPoolExecutor() as pool:
        columns = {
            style: list(pool.map(drawn, repeat(icons), (spelled[style][name] for name in names), chunksize=64))
            for style, icons in sets.items()
        }
    kept = [i for i in range(len(names)) if all(column[i] is not None for column in columns.values())]
    for style, column in columns.items():
        write_style(style, np.stack([column[i] for i in kept]))
    lines = ",\n".join(json.dumps(record) for record in describe([names[i] for i in kept]))
    (OUT / "concepts.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    toned = sum(TONE.search(names[i]) is not None for i in kept)
    print(f"{len(kept)} concepts in {len(sets)} styles, {toned} of them with a skin tone")


if __name__ == "__main__":
    main()
