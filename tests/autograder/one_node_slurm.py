"""A real Slurm of one node on this machine, from Debian's packages, with declared GPUs: started and ended by a test."""

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

PR_SET_PDEATHSIG = 1
NEEDS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol")
CONFIG = """
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmdPort={node_port}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=12
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SlurmUser=root
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
GresTypes=gpu
MpiDefault=none
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,sched_min_interval=0,bf_interval=1,batch_sched_delay=0
KillWait=2
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=4000 Gres=gpu:2 State=UNKNOWN
PartitionName=grading Nodes={host} Default=YES MaxTime=60 State=UP
"""
DEVICES = "Name=gpu File=/dev/null\nName=gpu File=/dev/zero\n"  # two files stand for two GPUs


def lacking() -> str:
    """Why there can be no Slurm here; empty where there can."""
    if os.geteuid() != 0:
        return "starting a Slurm takes root"
    missing = [name for name in NEEDS if shutil.which(name) is None]
    return f"no {', '.join(missing)}: apt-get install slurm-wlm munge" if missing else ""


class OneNodeSlurm:
    """Its daemons, as children of this process, and what a test does to them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.host = folder, socket.gethostname().split(".")[0]
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        for name in ("state", "spool"):
            (folder / name).mkdir()
        (folder / "munge.key").write_bytes(os.urandom(1024))
        (folder / "munge.key").chmod(0o400)
        config = CONFIG.format(host=self.host, folder=folder, port=_free_port(), node_port=_free_port())
        (folder / "slurm.conf").write_text(config)
        (folder / "gres.conf").write_text(DEVICES)
        self.environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}

    def start(self) -> None:
        places = {"socket": "socket", "key-file": "key", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        options = [f"--{name}={self.folder}/munge.{end}" for name, end in places.items()]
        self._daemon("munged", "--foreground", "--force", *options)
        until((self.folder / "munge.socket").exists, "munged")
        self.start_controller()
        self.start_node()
        until(lambda: "idle" in self("sinfo", "-h", "-o", "%T"), "the node")

    def start_controller(self) -> None:
        self._daemon("slurmctld", "-D")

    def start_node(self) -> None:
        self._daemon("slurmd", "-D")

    def kill(self, name: str) -> None:
        """SIGKILL to a daemon, and to whatever runs under it."""
        daemon = self.daemons.pop(name)
        daemon.kill()
        daemon.wait()

    def kill_controller(self) -> None:
        """SIGKILL to Slurm's controller, once it has saved what it knows: before that, Slurm itself loses jobs."""
        saved, began = self.folder / "state" / "job_state", time.time()
        for number in self("squeue", "--noheader", "--array", "--states=RUNNING", "--format=%i").split():
            self("scontrol", "update", f"JobId={number}", "Comment=seen")  # a change, so that it saves
        until(lambda: saved.exists() and saved.stat().st_mtime > began, "Slurm's saving")
        self.kill("slurmctld")

    def kill_node(self) -> None:
        """The node loses power: its daemon, the jobs' supervisors and the jobs are gone at once, and Slurm is told."""
        steps = [pid for pid, line in _processes() if "slurmstepd" in line and str(self.folder) in _environ(pid)]
        self.kill("slurmd")
        for pid in [one for step in steps for one in [step, *_below(step)]]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self("scontrol", "update", f"NodeName={self.host}", "State=DOWN", "Reason=lost")

    def __call__(self, *command: str) -> str:
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=30)
        return done.stdout

    def stop(self) -> None:
        self("scancel", "--user=root", "--signal=KILL")
        for name in ("slurmd", "slurmctld", "munged"):
            if daemon := self.daemons.pop(name, None):
                daemon.terminate()
                try:
                    daemon.wait(10)
                except subprocess.TimeoutExpired:
                    daemon.kill()
                    daemon.wait()

    def _daemon(self, name: str, *options: str) -> None:
        with open(self.folder / f"{name}.log", "ab") as log:
            self.daemons[name] = subprocess.Popen(
                [name, *options], env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, preexec_fn=_ends_with_us,
            )  # fmt: skip


def _ends_with_us() -> None:
    """Have the kernel end a daemon when this process is gone, however it went."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def until(condition: Callable[[], object], what: str, seconds: float = 150) -> None:
    """Wait for something that comes by itself."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} took longer than {seconds} s")
        time.sleep(0.1)


def _processes() -> list[tuple[int, str]]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
            found.append((int(folder.name), line.decode(errors="replace")))
    return found


def _environ(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
    return ""


def _below(pid: int) -> list[int]:
    """All processes that descend from one."""
    parents: dict[int, list[int]] = {}
    for one, _ in _processes():
        with contextlib.suppress(OSError):
            parent = int(Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()[1])
            parents.setdefault(parent, []).append(one)
    found, waiting = [], [pid]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found += children
        waiting += children
    return found
