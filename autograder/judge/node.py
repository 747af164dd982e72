"""`python -m autograder.judge.node ARRAY.json`: one task of a Slurm array, on a node that has what a judge needs.

The array file names a folder for each task. What comes back are files in it: `progress.jsonl` while the judge runs, its
`result.json`, and at last `exit.json`, without which the task counts as lost. Started again after a preemption or on
another node, it begins anew, unless the result is there already or the folder has been given to another array.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from autograder.judge.version import device_model, environment
from autograder.wire.files import write_durably

ENDED_FROM_OUTSIDE = 143  # as a shell says of SIGTERM


def main(array_file: str) -> int:
    """Run the judge of this task; 0 where its folder says all there is to say."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(ENDED_FROM_OUTSIDE))  # Slurm ends the judge as well
    array = json.loads(Path(array_file).read_text(encoding="utf-8"))
    index = int(os.environ.get("SLURM_ARRAY_TASK_ID", "0"))
    task = array["tasks"][index]
    folder = Path(task["folder"])
    if not _is_ours(folder, array["name"], index):
        return 0
    here = {"environment": environment(), "device": device_model()}
    wanted = array["versions"]
    if wanted is None:  # the first task of all says what there is, and that torch can be imported
        from autograder.judge.sandbox import state

        works, sentence = state()
        return _leave(folder, 0, {**here, "sandbox": works, "state": sentence})
    if here != wanted:
        said = f"This node is not like the first, {wanted['device']}: it has {here['device']}, {here['environment']}."
        return _leave(folder, 1, {"said": f"{said} Choose nodes of one kind, by --partition or --constraint."})
    if not (folder / "result.json").is_file():
        status = _judge(task["command"], folder, task["cwd"])
        if status < 0:  # by a signal: what Slurm says of the task tells why
            return 128 - status
        return _leave(folder, status, {})
    return _leave(folder, 0, {})


def _is_ours(folder: Path, name: str, index: int) -> bool:
    try:
        return json.loads((folder / "slurm.json").read_text(encoding="utf-8")) == {"name": name, "index": index}
    except (OSError, ValueError):
        return False


def _judge(command: list[str], folder: Path, cwd: str) -> int:
    progress = os.open(folder / "progress.jsonl", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    arguments = [*command, str(folder / "job.json"), str(folder / "result.json"), "--progress", str(progress)]
    with open(folder / "judge.log", "w", encoding="utf-8") as log:
        return subprocess.run(
            arguments, cwd=cwd, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(progress,)
        ).returncode


def _leave(folder: Path, status: int, more: dict[str, Any]) -> int:
    write_durably(folder / "exit.json", json.dumps({"status": status, **more}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
