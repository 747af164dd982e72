"""How one program of a kernel is cut out and what it may use."""

from typing import NamedTuple

REGISTERS = 65_536  # of a multiprocessor


class Tile(NamedTuple):
    """Shape and resources of one program, in every kernel of ours."""

    block_m: int  # rows of the output: queries, tokens
    block_n: int  # what a step takes beside them: keys, channels of the output
    num_warps: int
    num_stages: int  # steps whose loads are in flight
    block_k: int = 0  # columns that a step of a product sums over, where that is chosen
    resident: int = 1  # programs that one multiprocessor is to hold at a time

    def options(self) -> dict[str, int]:
        """As a launch takes them."""
        return {
            "BLOCK_M": self.block_m,
            "BLOCK_N": self.block_n,
            "num_warps": self.num_warps,
            "num_stages": self.num_stages,
        }

    @property
    def registers(self) -> int:
        """What a thread may use for so many programs to fit; 255 is the most that there are."""
        return min(REGISTERS // (self.resident * 32 * self.num_warps), 255)
