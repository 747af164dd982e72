"""Train one layer of each long-range method on the recall task, all on the same batches, and write down the accuracy.

python training/train_long_range.py [--steps 150]      (minutes; rewrites what chapter 4 shows)
"""

import argparse
import json
import platform
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from language_model import track
from nimblelm.data.recall import RecallBatch, recall_batch
from nimblelm.nn.long_range.methods import Attend, long_range_methods

RESULTS = Path(__file__).parents[1] / "lib/nimblelm/data/checkpoints/long_range/results.json"
SEED, NUM_PAIRS, NUM_VALUES, D_MODEL, NUM_HEADS, BATCH = 0, 128, 16, 64, 2, 4
BANDS = (32, 64, 128, 256)  # upper ends of the distances by which accuracy is told


class RecallModel(nn.Module):
    """One attention layer over embedded keys, its values the embedded values, and a readout at the questions.

    Queries and keys share a projection, as Reformer demands.
    """

    def __init__(self, attend: Attend, projections: dict[str, Tensor]) -> None:
        super().__init__()
        self.attend = attend
        self.key_embedding = nn.Embedding(NUM_PAIRS, D_MODEL)
        self.value_embedding = nn.Embedding(NUM_VALUES + 1, D_MODEL)
        self.query_key, self.value = (nn.Linear(D_MODEL, D_MODEL, bias=False) for _ in range(2))
        self.sharpness = nn.Parameter(torch.tensor(2.0))
        self.readout = nn.Sequential(nn.LayerNorm(D_MODEL), nn.Linear(D_MODEL, NUM_VALUES))
        self.projections = nn.ParameterList(projections.values())

    def forward(self, batch: RecallBatch) -> Tensor:
        shared = self.query_key(self.key_embedding(batch.keys)).unflatten(-1, (NUM_HEADS, -1)) * self.sharpness
        value = self.value(self.value_embedding(batch.values)).unflatten(-1, (NUM_HEADS, -1))  # (B, L, H, D)
        seen = self.attend(shared, shared, value).flatten(2)
        return self.readout(seen[:, NUM_PAIRS:])  # (B, N, num_values)


def train(name: str, steps: int) -> dict:
    """One method's row: final loss, accuracy in all and by distance, on sequences never seen."""
    torch.manual_seed(SEED)
    methods, projections = long_range_methods(2 * NUM_PAIRS, D_MODEL // NUM_HEADS, torch.Generator().manual_seed(SEED))
    for tensor in projections.values():
        tensor.requires_grad_()
    model = RecallModel(methods[name], projections if name == "Linformer" else {})
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, steps)
    rng = torch.Generator().manual_seed(SEED + 1)
    losses = []
    for _ in range(steps):
        batch = recall_batch(BATCH, NUM_PAIRS, NUM_VALUES, rng)
        loss = F.cross_entropy(model(batch).flatten(0, 1), batch.answers.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    held_out = recall_batch(32, NUM_PAIRS, NUM_VALUES, torch.Generator().manual_seed(SEED + 2))
    with torch.no_grad():
        right = model(held_out).argmax(-1) == held_out.answers
    bands, low = {}, 0
    for high in BANDS:
        inside = (held_out.distances > low) & (held_out.distances <= high)
        bands[f"{low + 1}-{high}"] = round(right[inside].float().mean().item(), 4)
        low = high
    return {
        "method": name,
        "accuracy": round(right.float().mean().item(), 4),
        "accuracy_by_distance": bands,
        "loss_first": round(losses[0], 3),
        "loss_last": round(sum(losses[-20:]) / 20, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=150)
    steps = parser.parse_args().steps
    torch.set_num_threads(1)
    names = list(long_range_methods(2 * NUM_PAIRS, D_MODEL // NUM_HEADS)[0])
    rows = []
    for name in track(names, "methods"):
        began = time.process_time()
        rows.append(train(name, steps))
        print(f"{rows[-1]} in {time.process_time() - began:.0f} s of CPU", flush=True)
    report = {
        "made_by": "training/train_long_range.py",
        "seed": SEED,
        "steps": steps,
        "batch_size": BATCH,
        "num_pairs": NUM_PAIRS,
        "num_values": NUM_VALUES,
        "d_model": D_MODEL,
        "num_heads": NUM_HEADS,
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "rows": rows,
    }
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
