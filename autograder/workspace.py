"""What a worker gets to see of our files: its own code, views of lib with modules masked, packages on an allow list."""

import hashlib
import importlib.metadata
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
IN_SANDBOX = (
    "__init__",
    "text",
    "values",
    "protocol",
    "execution",
    "device",
    "probe",
    "bounds",
    "worker",
    "nursery",
)  # all of the autograder that its process has
DISTRIBUTIONS = ("torch", "numpy", "triton", "einops", "jaxtyping", "safetensors")


class Workspace:
    """The folders that workers see: our worker code, and views of lib with some modules masked. A context manager."""

    def __init__(self, lib: Path) -> None:
        self._lib = lib
        _sweep()
        self.root = Path(tempfile.mkdtemp(prefix=f"nimblelm-worker-{os.getpid()}-"))
        self.grader = self.root / "grader"
        (self.grader / "autograder").mkdir(parents=True)
        for name in IN_SANDBOX:
            shutil.copy(PACKAGE / f"{name}.py", self.grader / "autograder")
        _let_all_read(self.grader)

    def __enter__(self) -> "Workspace":
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.root, ignore_errors=True)

    def all_but(self, shows: Iterable[str]) -> tuple[str, ...]:
        """The modules and packages of lib to mask so that nothing but what is listed can be imported.

        A list of what is shown stays right when lib grows; one of what is masked would not.

        Args:
            shows: dotted names of modules, or of packages with all that is in them.

        Raises:
            ValueError: lib has no such module.
        """
        listed = set(shows)
        for name in listed:
            path = self._lib.joinpath(*name.split("."))
            if not path.is_dir() and not path.with_suffix(".py").is_file():
                raise ValueError(f"the module {name!r} is to be shown, but {self._lib} does not have it")
        return tuple(_others(self._lib, "", listed))

    def view(self, masks: Iterable[str]) -> Path:
        """A copy of lib in which importing a masked module says that this exercise does without.

        Raises:
            ValueError: lib has no such module.
        """
        masks = sorted(masks)
        folder = self.root / f"lib-{hashlib.sha256(' '.join(masks).encode()).hexdigest()[:16]}"
        if not folder.exists():
            shutil.copytree(self._lib, folder, ignore=shutil.ignore_patterns("__pycache__", "*.pyc", "*.egg-info"))
            for module in masks:
                _mask(folder, module)
            _let_all_read(folder)
        return folder


def _sweep() -> None:
    """Remove what judges that were killed have left behind."""
    for folder in Path(tempfile.gettempdir()).glob("nimblelm-worker-*-*"):
        if not os.path.exists(f"/proc/{folder.name.split('-')[2]}"):
            shutil.rmtree(folder, ignore_errors=True)


def _let_all_read(folder: Path) -> None:
    """A worker of root's judge is nobody; the folder above stays closed to everybody else."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _others(folder: Path, prefix: str, listed: set[str]) -> Iterator[str]:
    """What lies in a folder of lib and is neither listed nor around something listed."""
    for path in sorted(folder.iterdir()):
        name = prefix + path.stem
        if (path.suffix == ".py" and path.stem == "__init__") or not (path.suffix == ".py" or _is_package(path)):
            continue
        if name in listed:
            continue
        if path.is_dir() and any(one.startswith(f"{name}.") for one in listed):
            yield from _others(path, f"{name}.", listed)
        else:
            yield name


def _is_package(path: Path) -> bool:
    return path.is_dir() and any(path.rglob("*.py"))


def _mask(lib: Path, module: str) -> None:
    path = lib.joinpath(*module.split("."))
    if path.is_dir():
        shutil.rmtree(path)
    elif path.with_suffix(".py").is_file():
        path.with_suffix(".py").unlink()
    else:
        raise ValueError(f"the module {module!r} is to be masked, but {lib} does not have it")
    sentence = f"{module} cannot be used in this exercise: it does, or may do, what you are to write yourself"
    path.with_suffix(".py").write_text(f"raise ImportError({sentence!r})\n")


@cache
def allowed_packages() -> dict[str, str]:
    """Names and paths of the folders and files of the packages that a worker may import, with what they need."""
    found: dict[str, str] = {}
    for distribution in _closure(DISTRIBUTIONS):
        listed = (distribution.read_text("RECORD") or "").splitlines()
        for name in {line.partition("/")[0].partition(",")[0].strip('"') for line in listed} - {
            "..",
            "__pycache__",
            "",
        }:
            if not name.endswith(".pth"):
                found[name] = str(distribution.locate_file(name))
    return {name: path for name, path in sorted(found.items()) if os.path.exists(path)}


def _closure(roots: Iterable[str]) -> list[importlib.metadata.Distribution]:
    """The installed distributions among the roots and all that they require, extras left out."""
    seen: dict[str, importlib.metadata.Distribution] = {}
    waiting = list(roots)
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in seen:
            continue
        try:
            seen[name] = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # for another platform, or optional
        for requirement in seen[name].requires or ():
            if "extra ==" not in requirement and (match := re.match(r"[A-Za-z0-9._-]+", requirement)):
                waiting.append(match.group())
    return list(seen.values())
