"""A filter of system calls for workers, written as a classic BPF program (seccomp(2)).

It leaves one process with threads: no fork, no programs, no sockets, no memory outside the worker's own limits, none of
the calls through which sandboxes have been left, and none by which a stopped process has itself woken. What it refuses
fails with EPERM; threads still start, since glibc falls back from clone3, whose flags cannot be seen here, to clone.
"""

import errno
import platform
import struct

ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050000, 0x80000000
LOAD, JUMP_IF_EQUAL, JUMP_IF_GREATER_OR_EQUAL, JUMP_IF_SET, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16  # offsets in seccomp_data (little endian), arguments 8 bytes each
CLONE_THREAD = 0x00010000
CLONE_NAMESPACES = 0x7E020000  # whoever makes a user namespace has every capability in it
F_SETSIG = 10  # which signal a descriptor sends: it could be SIGCONT, too
SIGCONT = 18
X32_BIT = 0x40000000

# name: (x86_64, aarch64), from the kernel's syscall tables; None where the machine has no such call
REFUSED = {
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "socket": (41, 198),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "open_by_handle_at": (304, 265),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "personality": (135, 92),
    "timer_create": (222, 107),  # a timer that sends SIGCONT would wake a frozen worker
}
# name: ((x86_64, aarch64), argument, value), refused with that value of that argument only. A thread that sends SIGCONT
# in the very moment in which its process is stopped wakes it: one that does so all the time cannot be frozen.
REFUSED_WITH = {
    "fcntl": ((72, 25), 1, F_SETSIG),
    "kill": ((62, 129), 1, SIGCONT),
    "tkill": ((200, 130), 1, SIGCONT),
    "tgkill": ((234, 131), 2, SIGCONT),
    "rt_sigqueueinfo": ((129, 138), 1, SIGCONT),
    "rt_tgsigqueueinfo": ((297, 240), 2, SIGCONT),
    "pidfd_send_signal": ((424, 424), 1, SIGCONT),
}
STARTING = ("fork", "vfork", "execve")
MACHINES = {  # machine: (AUDIT_ARCH, column above, clone, clone3, seccomp)
    "x86_64": (0xC000003E, 0, 56, 435, 317),
    "aarch64": (0xC00000B7, 1, 220, 435, 277),
}


class UnknownMachine(Exception):
    """There is no filter for this kind of processor."""


def filter_for_this_machine(programs: bool = False) -> dict[str, object]:
    """What a worker needs to install the filter: {"syscall": number of seccomp, "program": the program in hexadecimal}.

    Args:
        programs: whether it may start other processes and programs, as compilers for a GPU do.

    Raises:
        UnknownMachine: the processor is neither x86_64 nor aarch64.
    """
    machine = platform.machine()
    if machine not in MACHINES:
        raise UnknownMachine(f"there is no system call filter for {machine}, only for {' and '.join(MACHINES)}")
    return {"syscall": MACHINES[machine][-1], "program": program(machine, programs).hex()}


def program(machine: str, programs: bool = False) -> bytes:
    """The filter as an array of struct sock_filter."""
    architecture, column, clone, clone3, _ = MACHINES[machine]
    allowed = STARTING if programs else ()
    refused = [numbers[column] for name, numbers in REFUSED.items() if name not in allowed]
    refused = [number for number in refused if number is not None]
    code = [(LOAD, 0, 0, ARCHITECTURE), (JUMP_IF_EQUAL, 1, 0, architecture), (RETURN, 0, 0, KILL), (LOAD, 0, 0, NUMBER)]
    code += [(JUMP_IF_GREATER_OR_EQUAL, 0, 1, X32_BIT), (RETURN, 0, 0, REFUSE | errno.EPERM)]
    code += [(JUMP_IF_EQUAL, 0, 1, clone3), (RETURN, 0, 0, REFUSE | errno.ENOSYS)]
    for number in refused:
        code += [(JUMP_IF_EQUAL, 0, 1, number), (RETURN, 0, 0, REFUSE | errno.EPERM)]
    for numbers, argument, value in REFUSED_WITH.values():
        code += [(JUMP_IF_EQUAL, 0, 4, numbers[column]), (LOAD, 0, 0, ARGUMENTS + 8 * argument)]
        code += [(JUMP_IF_EQUAL, 0, 1, value), (RETURN, 0, 0, REFUSE | errno.EPERM), (RETURN, 0, 0, ALLOW)]
    code += [(JUMP_IF_EQUAL, 0, 3, clone), (LOAD, 0, 0, ARGUMENTS)]
    code += [(JUMP_IF_SET, 0, 1, CLONE_NAMESPACES) if programs else (JUMP_IF_SET, 1, 0, CLONE_THREAD)]
    code += [(RETURN, 0, 0, REFUSE | errno.EPERM), (RETURN, 0, 0, ALLOW)]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)
