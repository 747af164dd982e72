"""What a worker gets to see of our files: its own code, views of lib with modules masked."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from autograder import SANDBOX, rooms_in
from autograder.cells.packages import hidden_sentence

PACKAGE = Path(__file__).resolve().parents[1]
COMPILED = shutil.ignore_patterns("__pycache__", "*.pyc", "*.egg-info")


class Workspace:
    """The folders that workers see: our worker code, and views of lib with some modules masked. A context manager."""

    def __init__(self, lib: Path) -> None:
        self._lib = lib
        _sweep()
        self.root = Path(tempfile.mkdtemp(prefix=f"nimblelm-worker-{os.getpid()}-"))
        self.grader = self.root / "grader"
        (self.grader / "autograder").mkdir(parents=True)
        shutil.copy(PACKAGE / "__init__.py", self.grader / "autograder")
        for name in rooms_in(SANDBOX):
            shutil.copytree(PACKAGE / name, self.grader / "autograder" / name, ignore=COMPILED)
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
            shutil.copytree(self._lib, folder, ignore=COMPILED)
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
    path.with_suffix(".py").write_text(f"raise ImportError({hidden_sentence(module)!r})\n")
