"""The few PTX instructions that unpacking is written in, run in Python on 32-bit registers."""

import struct

import torch


def run_ptx(source: str, inputs: dict[str, int]) -> dict[str, int]:
    """Execute one instruction a line; `inputs` names the registers that are set, the result holds all of them."""
    registers = dict(inputs)

    def value(name: str) -> int:
        return registers[name] if name in registers else int(name, 0)

    for line in source.strip(" {}\n").splitlines():
        operation, *operands = line.rstrip(";").replace(",", " ").split()
        if operation.startswith("."):
            continue
        target, *sources = operands
        registers[target] = OPERATIONS[operation](*map(value, sources)) & 0xFFFFFFFF
    return registers


def _prmt(a: int, b: int, selector: int) -> int:
    """Four bytes picked from the eight of (a, b), lowest first; the sign-replicating mode is not used here."""
    pool = struct.pack("<II", a, b)
    picks = [selector >> 4 * i & 15 for i in range(4)]
    assert all(pick < 8 for pick in picks)
    return struct.unpack("<I", bytes(pool[pick] for pick in picks))[0]


def _lop3(a: int, b: int, c: int, table: int) -> int:
    """Bit i of the result is bit (a_i b_i c_i) of the table."""
    return sum((table >> ((a >> i & 1) << 2 | (b >> i & 1) << 1 | (c >> i & 1)) & 1) << i for i in range(32))


def _subtract_pairs(dtype: torch.dtype):
    def subtract(a: int, b: int) -> int:
        left, right = (torch.tensor([x - (x >> 31 << 32)], dtype=torch.int32).view(dtype) for x in (a, b))
        return (left - right).view(torch.int32).item()

    return subtract


OPERATIONS = {
    "prmt.b32": _prmt,
    "lop3.b32": _lop3,
    "shr.u32": lambda a, count: a >> count,
    "mov.b32": lambda a: a,
    "sub.bf16x2": _subtract_pairs(torch.bfloat16),
    "sub.f16x2": _subtract_pairs(torch.float16),
}
