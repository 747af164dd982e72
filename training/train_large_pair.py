"""Train a pair for a GPU within some minutes: a target of 360M parameters and a draft of one such layer.

python training/train_large_pair.py --minutes 10       run it again to resume

Both go to _build/training/large_pair, where benchmarks/bench_gpu_decoding.py --large finds them; they are too large to
commit. Tokenizer and held-out modules are those of the committed pair. The standard library's tests and torch's own
Python source join the training text: a target of this size would soon know the library by heart.
"""

import argparse
import copy
import json
import sysconfig
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from tokenizers import Tokenizer

import train_pair
from language_model import Optimizer, random_crops, run, token_stream, track
from nimblelm.data.corpus import stdlib_modules
from nimblelm.inference.batched.autoregressive import AutoregressiveDecoder
from nimblelm.inference.batched.device_sampling import DeviceSampler
from nimblelm.inference.batched.static_model import StaticModel
from nimblelm.inference.decoding.sampling import Sampling
from nimblelm.inference.speculative.pair import PAIR_FOLDER
from nimblelm.language.llama import Llama, LlamaConfig
from nimblelm.nn.checkpoint import save
from train_pair import DEVICE, LENGTH, SEED, VOCAB_SIZE, evaluation_batch, forward, next_token_loss

FOLDER = train_pair.RUNS / "large_pair"
TARGET = LlamaConfig(
    VOCAB_SIZE, d_model=1024, num_layers=32, num_heads=16, num_kv_heads=4, d_ff=2816, max_seq_len=LENGTH
)
DRAFT_LAYERS = 1
TARGET_SHARE = 0.7  # of the time; the rest is the draft's
TOKENS_PER_STEP, PROMPT_TOKENS = 32_768, 64
WRITTEN_BATCHES, WRITTEN_BATCH_SIZE = 8, 256


def streams() -> tuple[torch.Tensor, torch.Tensor]:
    """Training and held-out tokens."""
    modules, library = stdlib_modules(), Path(sysconfig.get_paths()["stdlib"])
    tests = [f for f in library.rglob("*.py") if {"test", "tests"} & set(f.relative_to(library).parts[:-1])]
    more = [f for f in tests if "site-packages" not in f.parts] + list(Path(torch.__file__).parent.rglob("*.py"))
    texts = [m.text for m in modules if not m.held_out]
    texts += [f.read_text(encoding="utf-8", errors="ignore") for f in sorted(more)]
    tokenizer = Tokenizer.from_file(str(PAIR_FOLDER / "tokenizer.json"))
    return token_stream(tokenizer, texts), token_stream(tokenizer, [m.text for m in modules if m.held_out])


def trained(
    name: str,
    model: Llama,
    rates: tuple[float, float],
    loss_of: Callable[[Llama, int, int], torch.Tensor],
    evaluate: Callable[[], dict[str, float]],
    minutes: float,
    generator: torch.Generator,
) -> list[dict[str, float]]:
    """Train for as many steps as fit into the minutes by the time of a few steps of a copy; the log.

    The number is kept, so that a resumed run ends where the first was to end.
    """
    folder = FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    saved = folder / "steps.json"
    if not saved.exists():
        trial, state = copy.deepcopy(model), generator.get_state()
        optimizer = Optimizer(trial, *rates)
        for step in range(10):
            if step == 3:  # memory is allocated, kernels are compiled
                _wait()
                began = time.perf_counter()
            optimizer.step(loss_of(trial, 0, 1), 0.0)
        _wait()
        seconds = (time.perf_counter() - began) / 7
        generator.set_state(state)
        saved.write_text(json.dumps(max(int(60 * minutes / seconds), 3)))
    steps = json.loads(saved.read_text())
    loss_at = lambda step: loss_of(model, step, steps)  # noqa: E731
    return run(model, Optimizer(model, *rates), loss_at, evaluate, steps, generator, folder, max(steps // 6, 1))


def _wait() -> None:
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


def train_target(train: torch.Tensor, held_out: torch.Tensor, minutes: float) -> tuple[Llama, list]:
    torch.manual_seed(SEED)
    model, generator = Llama(TARGET).to(DEVICE), torch.Generator().manual_seed(SEED)
    batch = evaluation_batch(held_out)

    def loss_of(one: Llama, step: int, steps: int) -> torch.Tensor:
        return next_token_loss(one, random_crops(train, TOKENS_PER_STEP // LENGTH, LENGTH, generator).to(DEVICE))

    @torch.no_grad()
    def evaluate() -> dict[str, float]:
        return {"held_out_loss": torch.stack([next_token_loss(model, part) for part in batch.split(8)]).mean().item()}

    log = trained("target", model, (2e-3, 2e-3), loss_of, evaluate, minutes, generator)
    return model.eval().requires_grad_(False), log


def written_text(target: Llama, train: torch.Tensor) -> torch.Tensor:
    """(N, LENGTH) sequences that the target wrote at temperature 1 after some training text, by our own decoder."""
    saved = FOLDER / "written.pt"
    if not saved.exists():
        model = StaticModel(copy.deepcopy(target).bfloat16(), WRITTEN_BATCH_SIZE)
        sampler = DeviceSampler(Sampling(), torch.Generator(DEVICE).manual_seed(SEED))
        decoder, rows, crops = AutoregressiveDecoder(model, sampler), [], torch.Generator().manual_seed(SEED)
        for _ in track(range(WRITTEN_BATCHES), "written text"):
            prompts = random_crops(train, WRITTEN_BATCH_SIZE, PROMPT_TOKENS, crops)
            tokens = decoder.generate(list(prompts), LENGTH - PROMPT_TOKENS).tokens
            rows.append(torch.cat([prompts, torch.tensor(tokens)], dim=1))
        torch.save(torch.cat(rows), saved)
    return torch.load(saved, weights_only=True)


def train_draft(target: Llama, train: torch.Tensor, held_out: torch.Tensor, minutes: float):
    """KL(p || q) in the first half, then the rejection rate 1 - sum_x min(p, q), half on text that the target wrote."""
    torch.manual_seed(SEED)
    model, generator = Llama(replace(TARGET, num_layers=DRAFT_LAYERS)).to(DEVICE), torch.Generator()
    model.load_state_dict(target.state_dict(), strict=False)  # the target's embedding, first layers and last norm
    written, batch, rows = written_text(target, train), evaluation_batch(held_out), TOKENS_PER_STEP // LENGTH
    generator.manual_seed(SEED)

    def overlap(one: Llama, tokens: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
        """Mass that both distributions hold: the acceptance rate of one drafted token."""
        return torch.minimum(p, forward(one, tokens).softmax(-1)).sum(-1).mean()

    def distributions(tokens: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return forward(target, tokens).softmax(-1)

    def loss_of(one: Llama, step: int, steps: int) -> torch.Tensor:
        picked = written[torch.randint(len(written), ((rows + 1) // 2,), generator=generator)]
        tokens = torch.cat([picked, random_crops(train, rows // 2, LENGTH, generator)]).to(DEVICE)
        p = distributions(tokens)
        if step >= steps / 2:
            return 1 - overlap(one, tokens, p)
        return -(p * (forward(one, tokens).log_softmax(-1) - p.clamp(min=1e-8).log())).sum(-1).mean()

    @torch.no_grad()
    def evaluate() -> dict[str, float]:
        shares = [overlap(model, part, distributions(part)) for part in batch.split(8)]
        return {"held_out_acceptance": torch.stack(shares).mean().item()}

    log = trained("draft", model, (3e-3, 3e-3), loss_of, evaluate, minutes, generator)
    return model.eval().requires_grad_(False), log


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, required=True, help="for both models together")
    minutes = parser.parse_args().minutes
    FOLDER.mkdir(parents=True, exist_ok=True)
    train, held_out = streams()
    target, target_log = train_target(train, held_out, TARGET_SHARE * minutes)
    draft, draft_log = train_draft(target, train, held_out, (1 - TARGET_SHARE) * minutes)
    save(target.bfloat16(), FOLDER / "target.safetensors")
    save(draft.bfloat16(), FOLDER / "draft.safetensors")
    log = {"training tokens": len(train), "minutes": minutes, "target": target_log, "draft": draft_log}
    (FOLDER / "log.json").write_text(json.dumps(log, indent=1) + "\n")


if __name__ == "__main__":
    main()
