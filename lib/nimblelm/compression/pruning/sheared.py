"""The committed sheared model: a fifth of the target of chapter 2, cut out by masks that were learned, trained on."""

from pathlib import Path

from nimblelm import data
from nimblelm.compression.pruning.shearing import Shape
from nimblelm.language.llama import Llama
from nimblelm.nn.checkpoint import load

SHEARED_FOLDER = Path(data.__file__).parent / "checkpoints" / "sheared_target"
TARGET_SHAPE = Shape(layers=6, heads=4, units=448, width=256)
SOURCES = ("network and data formats", "single modules", "other packages")
NETWORK = {
    "asyncio",
    "email",
    "xml",
    "xmlrpc",
    "urllib",
    "html",
    "http",
    "wsgiref",
    "json",
    "tomllib",
    "dbm",
    "sqlite3",
}


def source_of(name: str) -> str:
    """The source, for dynamic batch loading, of a module of the standard library such as "json/decoder.py".

    Chapter: book/ch06_pruning
    """
    package, _, rest = name.partition("/")
    return SOURCES[1] if not rest else SOURCES[0] if package in NETWORK else SOURCES[2]


def load_sheared() -> Llama:
    """The model in float32 and evaluation mode.

    Chapter: book/ch06_pruning
    """
    return load(Llama, SHEARED_FOLDER / "sheared.safetensors")
