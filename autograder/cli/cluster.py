"""The options that say where judges run: on this machine, or as tasks of Slurm."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autograder.wire.errors import UsageError

if TYPE_CHECKING:
    from autograder.controller.course import Course
    from autograder.controller.executor import Executor


class Where(StrEnum):
    """What runs judges."""

    local = "local"
    slurm = "slurm"


def _option(help_text: str, name: str, **more: Any) -> Any:
    panel = "Slurm, each also from a variable such as AUTOGRADER_PARTITION"
    envvar = f"AUTOGRADER_{name.upper().replace('-', '_')}"
    return typer.Option(f"--{name}", help=help_text, envvar=envvar, rich_help_panel=panel, show_envvar=False, **more)


On = Annotated[Where, _option("Where judges run: this machine, or a cluster's nodes.", "executor")]
Partition = Annotated[str | None, _option("Partition. Default: the cluster's.", "partition")]
Constraint = Annotated[str | None, _option("Only nodes with this feature, for example h200.", "constraint")]
Gpus = Annotated[int, _option("GPUs for each judge: 1 where exercises need one.", "gpus", min=0, max=1)]
Memory = Annotated[float, _option("GB of memory for each judge.", "memory", min=1)]
Minutes = Annotated[int, _option("Minutes after which Slurm ends a judge.", "time", min=1)]
ArraySize = Annotated[int, _option("Judges that wait or run in Slurm at a time.", "array-size", min=1, max=1000)]
NodePython = Annotated[str | None, _option("Python on the nodes. Default: this one.", "node-python")]
Sbatch = Annotated[
    list[str] | None, _option("Another option of sbatch, for example qos=high; may be repeated.", "sbatch")
]


def executor(
    course: "Course", where: Where, partition: str | None, constraint: str | None, gpus: int, memory: float,
    minutes: int, array_size: int, node_python: str | None, sbatch: list[str] | None,
    *, sandbox: bool,
) -> "Executor":  # fmt: skip
    """What the options ask for.

    Raises:
        UsageError: there is no Slurm here, or an option is none.
    """
    if where is Where.local:
        from autograder.controller.executor import ThisMachine

        return ThisMachine()
    from autograder.controller.slurm import Slurm, SlurmOptions
    from autograder.controller.slurm_queue import cluster

    if not (found := cluster())["available"]:
        raise UsageError(f"No Slurm to submit to: {found['state']}")
    unclear = [one for one in sbatch or [] if "=" not in one]
    if unclear:
        raise UsageError(f"--sbatch takes NAME=VALUE, for example qos=high, not {unclear[0]!r}.")
    more = dict(one.lstrip("-").split("=", 1) for one in sbatch or [])
    return Slurm(
        course,
        SlurmOptions(
            partition=partition, constraint=constraint, gpus=gpus, memory_gb=memory, minutes=minutes,
            array_size=array_size, python=node_python, sandbox=sandbox, sbatch=more,
        ),
    )  # fmt: skip
