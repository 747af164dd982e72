"""Bring the notebooks of a class from its Git repositories into submitted/, as GitHub Classroom leaves them.

python tools/collect_repositories.py a04_flash_attention class.csv

The list has a line `student,repository` for each; the student is the name of the folder under submitted/. Taken is
<assignment>.ipynb, in the top folder or in one of the assignment's name, as the default branch has it now. Nothing of a
repository is checked out or run: the one file is read from a bare clone, so hooks, links and submodules do nothing. The
variable CLASS_TOKEN, where it is set, opens the repositories of github.com. Exit status 1: some could not be had.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MAX_BYTES = 20 * 2**20
MINUTES = 5


class NotCollected(Exception):
    """Why a notebook could not be had, in plain words."""


def notebook_in(repository: str, assignment: str, token: str = "") -> bytes:
    """The bytes of the assignment's notebook at the head of a repository.

    Raises:
        NotCollected: there is no such repository, or no such file in it.
    """
    with tempfile.TemporaryDirectory() as place:
        environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_LFS_SKIP_SMUDGE": "1"}
        if token and repository.startswith("https://github.com/"):  # in no argument, which others could read
            environment |= {
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": f"url.https://x-access-token:{token}@github.com/.insteadOf",
                "GIT_CONFIG_VALUE_0": "https://github.com/",
            }
        if repository.startswith("-") or "::" in repository:
            raise NotCollected(f"{repository!r} is no address of a repository")
        cloned = _git("clone", "--quiet", "--bare", "--depth", "1", "--", repository, place, environment=environment)
        if cloned is None:
            raise NotCollected(f"{repository} cannot be cloned")
        for path in (f"{assignment}.ipynb", f"{assignment}/{assignment}.ipynb"):
            listed = _git("-C", place, "ls-tree", "--long", "HEAD", "--", path, environment=environment)
            if not listed:
                continue
            mode, kind, name, size = listed.split(b"\t")[0].split()
            if kind != b"blob" or not mode.startswith(b"100"):
                raise NotCollected(f"{path} is a link or a folder there")
            if int(size) > MAX_BYTES:
                raise NotCollected(f"{path} is larger than {MAX_BYTES >> 20} MB")
            content = _git("-C", place, "cat-file", "blob", name.decode(), environment=environment)
            if content is not None:
                return content
        raise NotCollected(f"there is no {assignment}.ipynb in it")


def collect(assignment: str, class_list: Path, submitted: Path, token: str = "") -> dict[str, str]:
    """Collect the class; student -> why there is nothing new of theirs, for those of whom there is not.

    A notebook that was collected before stays where a newer one cannot be had.
    """
    missing = {}
    with open(class_list, newline="", encoding="utf-8") as lines:
        rows = [[cell.strip() for cell in row] for row in csv.reader(lines) if row and not row[0].startswith("#")]
    for row in rows:
        if len(row) != 2 or not row[0] or row[0] in (".", "..") or "/" in row[0]:
            raise SystemExit(f"{class_list}: a line should be student,repository, not {','.join(row)!r}")
    for student, repository in rows:
        try:
            content = notebook_in(repository, assignment, token)
        except NotCollected as error:
            missing[student] = str(error)
            continue
        folder = submitted / student / assignment
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / ".collected"
        temporary.write_bytes(content)
        temporary.replace(folder / f"{assignment}.ipynb")
    print(f"{len(rows) - len(missing)} of {len(rows)} collected")
    return missing


def _git(*arguments: str, environment: dict[str, str]) -> bytes | None:
    try:
        done = subprocess.run(["git", *arguments], env=environment, capture_output=True, timeout=60 * MINUTES)
    except subprocess.TimeoutExpired:
        return None
    return done.stdout if done.returncode == 0 else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("assignment")
    parser.add_argument("class_list", type=Path)
    options = parser.parse_args()
    missing = collect(options.assignment, options.class_list, ROOT / "submitted", os.environ.get("CLASS_TOKEN", ""))
    for student, reason in missing.items():
        print(f"{student}: {reason}", file=sys.stderr)
    sys.exit(1 if missing else 0)


if __name__ == "__main__":
    main()
