"""What the training scripts share: token streams, random crops, the optimizer, the schedule, resumable checkpoints."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor, nn

from nimblelm.data.tokenizer import END_OF_TEXT_ID

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.progress import say, track, update

__all__ = ["DECAY", "Optimizer", "learning_rate", "random_crops", "run", "say", "token_stream", "track", "update"]

WARMUP, DECAY = 0.02, 0.4  # shares of the run: linear warm-up, constant, linear decay to zero


def token_stream(tokenizer, texts: list[str]) -> Tensor:
    """All texts as one line of token ids (N,), each text closed by the end-of-text token."""
    ids = [i for encoding in tokenizer.encode_batch(texts) for i in [*encoding.ids, END_OF_TEXT_ID]]
    return torch.tensor(ids, dtype=torch.int32)


def random_crops(stream: Tensor, batch_size: int, length: int, generator: torch.Generator) -> Tensor:
    """(B, length) crops that start anywhere in the stream."""
    starts = torch.randint(len(stream) - length, (batch_size,), generator=generator)
    return stream[starts[:, None] + torch.arange(length)].long()


def learning_rate(step: int, steps: int) -> float:
    """Share of the peak rate at a step: warm-up, constant, then linear decay (Hu et al., 2024, arXiv:2404.06395)."""
    return min(1.0, (step + 1) / (WARMUP * steps), (steps - step) / (DECAY * steps))


class Optimizer:
    """Muon (Jordan et al., 2024) for the matrices of the blocks, AdamW for embeddings and gains; frozen ones stay.

    Args:
        within: begins the names of the parameters whose matrices are Muon's.
    """

    def __init__(
        self,
        model: nn.Module,
        matrix_rate: float,
        vector_rate: float,
        weight_decay: float = 0.1,
        within: tuple[str, ...] = ("blocks.",),
    ):
        trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        matrices = [p for name, p in trained if p.ndim == 2 and name.startswith(within)]
        chosen = {id(p) for p in matrices}
        others = [p for _, p in trained if id(p) not in chosen]
        self.parts = [
            torch.optim.Muon(
                matrices, lr=matrix_rate, weight_decay=weight_decay, momentum=0.95, adjust_lr_fn="match_rms_adamw"
            ),
            torch.optim.AdamW(others, lr=vector_rate, betas=(0.9, 0.95), weight_decay=0.0),
        ]
        self.peaks = [matrix_rate, vector_rate]

    def step(self, loss: Tensor, share: float) -> None:
        for part, peak in zip(self.parts, self.peaks, strict=True):
            for group in part.param_groups:
                group["lr"] = peak * share
        loss.backward()
        for part in self.parts:
            part.step()
            part.zero_grad()


def run(
    model: nn.Module,
    optimizer: Optimizer,
    loss_at: Callable[[int], Tensor],
    evaluate: Callable[[], dict[str, float]],
    steps: int,
    generator: torch.Generator,
    folder: Path,
    save_every: int = 100,
) -> list[dict[str, float]]:
    """Train for `steps` steps with a progress bar; stop and start again at will: the run goes on where it was saved.

    Args:
        loss_at: gives the loss of step i.
        evaluate: held-out figures, called at each save.
        folder: holds `state.pt`, the last saved state, and `log.jsonl`, a line for each evaluation.

    Returns:
        The lines of the log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state_file, log_file, start, log = folder / "state.pt", folder / "log.jsonl", 0, []
    if state_file.exists():
        state = torch.load(state_file, weights_only=True)
        model.load_state_dict(state["model"])
        for part, saved in zip(optimizer.parts, state["optimizer"], strict=True):
            part.load_state_dict(saved)
        generator.set_state(state["generator"])
        start, log = state["step"], state["log"]
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    say(f"{folder.name}: steps {start} to {steps}")
    with Progress(*columns, TimeRemainingColumn(), speed_estimate_period=300) as progress:
        bar = progress.add_task(folder.name, total=steps, completed=start)
        began = time.monotonic()
        for step in range(start, steps):
            loss = loss_at(step)
            optimizer.step(loss, learning_rate(step, steps))
            progress.update(bar, advance=1, description=f"{folder.name} loss {loss.item():.3f}")
            update(f"{folder.name}: step {step + 1} of {steps}, loss {loss.item():.3f}")
            if (step + 1) % save_every == 0 or step + 1 == steps:
                line = {"step": step + 1, "loss": loss.item(), **evaluate()}
                log.append(line | {"seconds": round(time.monotonic() - began, 1)})
                progress.console.print(json.dumps(log[-1]))
                log_file.write_text("".join(json.dumps(line) + "\n" for line in log))
                _save(state_file, model, optimizer, generator, step + 1, log)
    return log


def _save(state_file: Path, model, optimizer, generator, step: int, log: list) -> None:
    state = {
        "model": model.state_dict(),
        "optimizer": [part.state_dict() for part in optimizer.parts],
        "generator": generator.get_state(),
        "step": step,
        "log": log,
    }
    fresh = state_file.with_suffix(".tmp")
    torch.save(state, fresh)
    fresh.replace(state_file)
