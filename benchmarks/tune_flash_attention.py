"""The fastest tiles of each flash attention kernel on this GPU: what the table in `configs.py` should say.

python benchmarks/tune_flash_attention.py [--save]
"""

import argparse
import itertools
import json
import statistics
from dataclasses import replace

import torch
from bench_flash_attention import Cell, gradients
from captured import captured
from report import ROOT, device_name, say

from nimblelm.kernels.flash_attention.configs import Tile, config_for
from nimblelm.kernels.flash_attention.launch import triton_flash_attention
from nimblelm.measure.timing import interleaved_times

STREAMED = {
    "forward": (64, 128),
    "dq": (32, 64, 128),
    "dkv": (32, 64, 128),
}  # rows of the operand that is walked through
KEPT = {
    64: ((64, 4), (128, 4), (128, 8)),
    128: ((64, 4), (128, 8)),
}  # head_dim: rows of one that is kept, and warps
CALLS = 2


def turns_of(name: str, cell: Cell) -> tuple[dict, list[str]]:
    """A function to be timed for each tile that this GPU can launch, and why it cannot launch the others."""
    q, k, v = cell.tensors("cuda", torch.bfloat16)
    shipped = config_for(cell.head_dim, cell.causal, torch.bfloat16)
    tiles, turns, refused = [], {}, []
    for (kept, warps), streamed in itertools.product(KEPT[cell.head_dim], STREAMED[name]):
        shape = (streamed, kept) if name == "dkv" else (kept, streamed)
        tiles += [Tile(*shape, warps, num_stages) for num_stages in (2, 3)]
    for tile in tiles:
        config = replace(shipped, **{name: tile})

        def attend(q, k, v, causal, config=config):
            return triton_flash_attention(q, k, v, causal, config=config)[0]

        try:
            if name == "forward":
                with torch.no_grad():
                    turn = captured([lambda f=attend: f(q, k, v, cell.causal)] * CALLS)
            else:
                turn = gradients(attend, q, k, v, cell.causal, CALLS)
            turn()
            turns[str(tile)] = turn
        except Exception as error:  # more shared memory or registers than there are: the next tile may fit
            refused.append(f"{tile}: {type(error).__name__}")
    return turns, refused


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--save", action="store_true", help="write benchmarks/results/<device>/tune_flash_attention.json"
    )
    options = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("no CUDA device here: tiles are chosen by what a GPU measures")
    torch.manual_seed(0)
    record = []
    for head_dim, causal, name in itertools.product((128, 64), (False, True), STREAMED):
        cell = Cell(8192, head_dim, causal)
        say(f"{name} of {cell}")
        turns, refused = turns_of(name, cell)
        times = {tile: 1e3 * statistics.median(s) / CALLS for tile, s in interleaved_times(turns, 7).items()}
        fastest = {tile: round(times[tile], 4) for tile in sorted(times, key=times.__getitem__)[:8]}
        shipped = str(getattr(config_for(head_dim, causal, torch.bfloat16), name))
        # of a backward kernel the whole backward pass is timed: the others are the same for every tile
        print(f"{cell} {name}: ships {shipped}, {times.get(shipped, float('nan')):.3f} ms; fastest:")
        for tile, milliseconds in fastest.items():
            print(f"  {milliseconds:.3f} ms  {tile}", flush=True)
        record.append({"cell": str(cell), "kernel": name, "ships": shipped, "fastest_ms": fastest, "refused": refused})
    if options.save:
        path = ROOT / "benchmarks" / "results" / device_name() / "tune_flash_attention.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
