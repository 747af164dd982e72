"""The fork_server: one process of ours that has torch imported and forks each worker into the sandbox made for it.

No student's code ever runs in it and it knows nothing of the judge, so a worker is as fresh as a new program, and ready
in the time of a fork. Between it and each worker stands a supervisor, which enters the sandbox, has the worker there as
its child and tells how it ended.
"""

import fcntl
import json
import os
import signal
import socket
import sys
import traceback
from typing import Any, NoReturn

from autograder.worker.main import serve
from autograder.worker.privileges import SET_PARENT_DEATH_SIGNAL, libc

NAMESPACES = 0x10000000 | 0x00020000 | 0x20000000 | 0x40000000 | 0x08000000 | 0x04000000 | 0x02000000
# of setns(2): user, mount, pid, net, ipc, uts, cgroup
REMOUNT = 0x20 | 0x02 | 0x04  # of mount(2), with nosuid and nodev as it is
MAX_REQUEST = 65_536
FREE = 64  # descriptors from here on are nobody's yet


def main() -> None:
    """Fork a worker for each request on the socket that the command line names, until it is closed.

    A request is {"path": where its modules are, "folder": where it works, "tmp_bytes": room in /tmp}; with it come the
    descriptors of its channel, its memory, its log and its status, and that of a process in its sandbox, where there is
    one.
    """
    control = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for supervisors
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, MAX_REQUEST, 5)
        if not message:
            return
        if os.fork() == 0:
            control.close()
            _supervise(json.loads(message), *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _supervise(request: dict[str, Any], channel: int, memory: int, log: int, status: int, *sandbox: int) -> NoReturn:
    """The supervisor: writes the worker's process id, then its exit code (negative: a signal), a line of JSON each."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        os.setsid()
        for inside in sandbox:
            libc("setns", inside, NAMESPACES)
            size = request["tmp_bytes"]  # bubblewrap has no option for the number of files
            libc("mount", None, b"/tmp", None, REMOUNT, f"size={size},nr_inodes={size // 4096}".encode())
        libc("prctl", SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
        worker = os.fork()
    except OSError as error:
        os.write(status, json.dumps(f"a worker could not enter its sandbox: {error}").encode() + b"\n")
        os._exit(1)
    if worker == 0:
        _become(request, channel, memory, log)
    for descriptor in (channel, memory, log):
        os.close(descriptor)
    os.write(status, b"%d\n" % worker)
    os.write(status, b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]))
    os._exit(0)


def _become(request: dict[str, Any], channel: int, memory: int, log: int) -> NoReturn:
    """The worker: nothing of the fork server's is open in it but what it is given."""
    code = 1
    try:
        os.setsid()
        kept = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, FREE) for descriptor in (log, log, channel, memory)]
        for place, descriptor in enumerate(kept, start=1):
            os.dup2(descriptor, place)
        os.closerange(5, os.sysconf("SC_OPEN_MAX"))
        os.chdir(request["folder"])
        sys.path[: len(sys.argv) - 2] = request["path"]
        sys.argv[:] = ["-c"]
        sys.path_importer_cache.clear()
        serve(channel=3, memory=4)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)
