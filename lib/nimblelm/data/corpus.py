"""Python's own standard library as a corpus of text and code, split by module."""

import hashlib
import json
import sysconfig
from dataclasses import dataclass
from pathlib import Path

MANIFEST = Path(__file__).with_name("stdlib_manifest.json")
HELD_OUT_TEXTS = Path(__file__).with_name("held_out_texts.json")
_SKIPPED = {"site-packages", "test", "tests", "idle_test", "__pycache__"}
_SKIPPED |= {"encodings", "idlelib", "lib2to3", "turtledemo"}  # tables, and what not every build ships


@dataclass(frozen=True)
class Module:
    """One source file of the standard library.

    Chapter: book/ch02_speculative_decoding
    """

    name: str  # path relative to the library, such as "json/decoder.py"
    text: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def held_out(self) -> bool:
        """Whether the whole package that the file belongs to is kept from training (about one in sixteen)."""
        package = self.name.split("/")[0].removesuffix(".py")
        return hashlib.sha256(package.encode()).digest()[0] % 16 == 0


def stdlib_modules() -> list[Module]:
    """Every module of the running interpreter's standard library, without its tests, sorted by name.

    The library differs a little from build to build: `manifest_differences` says by how much.

    Chapter: book/ch02_speculative_decoding
    """
    root = Path(sysconfig.get_paths()["stdlib"])
    files = (f.relative_to(root) for f in root.rglob("*.py"))
    names = sorted(f.as_posix() for f in files if not _SKIPPED & set(f.parts) and "_sysconfigdata" not in f.name)
    return [Module(name, (root / name).read_text(encoding="utf-8", errors="ignore")) for name in names]


def manifest_differences(modules: list[Module]) -> dict[str, list[str]]:
    """Names that the given modules add to, lack from, or change against the committed manifest of the training corpus.

    Chapter: book/ch02_speculative_decoding
    """
    recorded = json.loads(MANIFEST.read_text())["modules"]
    here = {module.name: module.sha256 for module in modules}
    return {
        "added": sorted(here.keys() - recorded.keys()),
        "missing": sorted(recorded.keys() - here.keys()),
        "changed": sorted(name for name in here.keys() & recorded.keys() if here[name] != recorded[name]),
    }


def held_out_texts() -> list[Module]:
    """Committed excerpts of held-out modules: the same on every machine, so figures drawn from them can be compared.

    Chapter: book/ch02_speculative_decoding
    """
    return [Module(**record) for record in json.loads(HELD_OUT_TEXTS.read_text())["texts"]]
