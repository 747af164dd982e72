"""Train the committed pair for speculative decoding: a target on the standard library, then a draft distilled from it.

python training/train_pair.py tokenizer          learn the BPE merges and write the corpus manifest
python training/train_pair.py target --steps N   train the target, round it to int8; run it again to resume
python training/train_pair.py draft --steps N    sample text from the rounded target, distil the draft on it
python training/train_pair.py export             put both and the log of their training beside lib's loader
"""

import argparse
import json
import platform
import shutil
from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

from language_model import DECAY, Optimizer, random_crops, run, token_stream, track
from nimblelm.data.corpus import HELD_OUT_TEXTS, MANIFEST, stdlib_modules
from nimblelm.data.tokenizer import train_tokenizer
from nimblelm.inference.decoding.cache import KVCache
from nimblelm.inference.decoding.sampling import sample
from nimblelm.inference.speculative.pair import PAIR_FOLDER
from nimblelm.language.llama import Llama, LlamaConfig
from nimblelm.nn.checkpoint import load, save

ROOT = Path(__file__).resolve().parents[1]
RUNS = ROOT / "_build" / "training"
VOCAB_SIZE, LENGTH, SEED = 2048, 512, 20261121
TOKENS_PER_STEP, TOP = 4096, 64
FILE = "model.safetensors"  # of a finished run
TARGET = LlamaConfig(VOCAB_SIZE, d_model=384, num_layers=12, num_heads=6, num_kv_heads=2, d_ff=1024, max_seq_len=LENGTH)
DRAFT = LlamaConfig(VOCAB_SIZE, d_model=256, num_layers=1, num_heads=4, num_kv_heads=2, d_ff=512, max_seq_len=LENGTH)
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def streams() -> tuple[torch.Tensor, torch.Tensor]:
    """Training and held-out tokens."""
    tokenizer = Tokenizer.from_file(str(PAIR_FOLDER / "tokenizer.json"))
    modules = stdlib_modules()
    train = token_stream(tokenizer, [m.text for m in modules if not m.held_out])
    held_out = token_stream(tokenizer, [m.text for m in modules if m.held_out])
    return train, held_out


def evaluation_batch(held_out: torch.Tensor) -> torch.Tensor:
    """The same (B, LENGTH) crops of held-out text at every evaluation."""
    return random_crops(held_out, 32, LENGTH, torch.Generator().manual_seed(0)).to(DEVICE)


def forward(model: Llama, tokens: torch.Tensor) -> torch.Tensor:
    """Logits in float32, the products in bfloat16."""
    with torch.autocast(DEVICE.type, torch.bfloat16):
        return model(tokens).float()


def next_token_loss(model: Llama, tokens: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(forward(model, tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())


def train_target(steps: int) -> None:
    train, held_out = streams()
    torch.manual_seed(SEED)
    model = Llama(TARGET).to(DEVICE)
    generator = torch.Generator().manual_seed(SEED)
    batch = evaluation_batch(held_out)

    @torch.no_grad()
    def evaluate() -> dict[str, float]:
        losses = [next_token_loss(model, part) for part in batch.split(8)]
        return {"held_out_loss": torch.stack(losses).mean().item()}

    def loss_at(step: int) -> torch.Tensor:
        length = LENGTH // 2 if step < (1 - DECAY) * steps else LENGTH  # short crops first: attention costs less
        return next_token_loss(model, random_crops(train, TOKENS_PER_STEP // length, length, generator).to(DEVICE))

    run(model, Optimizer(model, 3e-3, 6e-3), loss_at, evaluate, steps, generator, RUNS / "target")
    save(model, RUNS / "target" / FILE, int8=True)


@torch.inference_mode()
def sampled_text(target: Llama, train: torch.Tensor, batches: int, generator: torch.Generator) -> torch.Tensor:
    """(N, LENGTH) sequences that the target wrote at temperature 1 after 64 tokens of training text.

    A draft proposes after what the target wrote, so it learns there (Zhou et al., 2023, arXiv:2310.08461).
    """
    saved = RUNS / "sampled_text.pt"
    if saved.exists():
        return torch.load(saved, weights_only=True)
    rows = []
    for _ in track(range(batches), "sampled text"):
        tokens = random_crops(train, 128, 64, generator).to(DEVICE)
        cache = KVCache.allocate(target, LENGTH, batch_size=len(tokens))
        logits = target(tokens, cache.at(0, tokens.shape[1]))[:, -1]
        while tokens.shape[1] < LENGTH:
            drawn = sample(logits.float().softmax(-1).cpu(), generator)[:, None].to(DEVICE)
            logits = target(drawn, cache.at(tokens.shape[1], 1))[:, -1]
            tokens = torch.cat([tokens, drawn], dim=1)
        rows.append(tokens.cpu())
    torch.save(torch.cat(rows), saved)
    return torch.cat(rows)


@torch.inference_mode()
def teacher_rows(target: Llama, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The target's TOP most probable next tokens after each token of (N, LENGTH) rows, and their probabilities.

    The draft learns from these for many epochs, and the target reads every row once.
    """
    saved = RUNS / "teacher.pt"
    if not saved.exists():
        parts = []
        for part in track(tokens.split(8), "teacher"):
            top = forward(target, part.to(DEVICE)).softmax(-1).topk(TOP)
            parts.append((top.values.half().cpu(), top.indices.to(torch.int16).cpu()))
        values, indices = (torch.cat(part) for part in zip(*parts, strict=True))
        torch.save((values, indices), saved)
    return torch.load(saved, weights_only=True)


def train_draft(steps: int) -> None:
    train, held_out = streams()
    target = load(Llama, RUNS / "target" / FILE).to(DEVICE)
    torch.manual_seed(SEED)
    model = Llama(DRAFT).to(DEVICE)
    with torch.no_grad():  # start from the target's embedding in its principal directions
        basis = torch.linalg.svd(target.embedding.weight, full_matrices=False).Vh[: DRAFT.d_model]
        model.embedding.weight.copy_(target.embedding.weight @ basis.T)
    generator = torch.Generator().manual_seed(SEED)
    written = sampled_text(target, train, batches=4, generator=torch.Generator().manual_seed(SEED + 1))
    rows = torch.cat([written, random_crops(train, 4 * len(written), LENGTH, torch.Generator().manual_seed(SEED + 2))])
    values, indices = teacher_rows(target, rows)
    batch = evaluation_batch(held_out)

    @torch.no_grad()
    def evaluate() -> dict[str, float]:
        """Held-out share of mass that both hold, sum_x min(p, q): the acceptance rate of one drafted token."""
        shared = []
        for part in batch.split(8):
            p, q = (forward(one, part).softmax(-1) for one in (target, model))
            shared.append(torch.minimum(p, q).sum(-1).mean())
        return {"held_out_acceptance": torch.stack(shared).mean().item()}

    def loss_at(step: int) -> torch.Tensor:
        """KL(p || q) in the first half, then the rejection rate 1 - sum_x min(p, q); both over the TOP tokens."""
        picked = torch.randint(len(rows), (TOKENS_PER_STEP // LENGTH,), generator=generator)
        p = values[picked].to(DEVICE).float()
        log_q = forward(model, rows[picked].to(DEVICE)).log_softmax(-1).gather(-1, indices[picked].to(DEVICE).long())
        if step < steps / 2:
            return (p * (p.clamp(min=1e-8).log() - log_q)).sum(-1).mean()
        return 1 - torch.minimum(p, log_q.exp()).sum(-1).mean()

    run(model, Optimizer(model, 5e-3, 5e-3, weight_decay=0.0), loss_at, evaluate, steps, generator, RUNS / "draft")
    save(model.half(), RUNS / "draft" / FILE)


def make_tokenizer() -> None:
    modules = stdlib_modules()
    PAIR_FOLDER.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer((m.text for m in modules if not m.held_out), VOCAB_SIZE)
    tokenizer.save(str(PAIR_FOLDER / "tokenizer.json"))
    manifest = {"python": platform.python_version(), "modules": {m.name: m.sha256 for m in modules}}
    MANIFEST.write_text(json.dumps(manifest, indent=1) + "\n")
    texts = [{"name": m.name, "text": _excerpt(m.text)} for m in modules if m.held_out and len(m.text) > 8000]
    licence = "Excerpts of CPython's standard library, PSF License Version 2, (c) Python Software Foundation"
    HELD_OUT_TEXTS.write_text(json.dumps({"licence": licence, "texts": texts}, indent=1) + "\n")


def _excerpt(text: str, start: int = 2000, length: int = 3000) -> str:
    """Whole lines from the inside of a module."""
    begin = text.index("\n", start) + 1
    return text[begin : text.index("\n", begin + length) + 1]


def export() -> None:
    """The weights; the log keeps the losses, the seed and the versions that made them."""
    log = {"seed": SEED, "torch": torch.__version__, "python": platform.python_version(), "device": DEVICE.type}
    for name in ("target", "draft"):
        shutil.copy(RUNS / name / FILE, PAIR_FOLDER / f"{name}.safetensors")
        log[name] = [json.loads(line) for line in (RUNS / name / "log.jsonl").read_text().splitlines()]
    (PAIR_FOLDER / "log.json").write_text(json.dumps(log, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=["tokenizer", "target", "draft", "export"])
    parser.add_argument("--steps", type=int, help="optimizer steps; a resumed run may name another number")
    arguments = parser.parse_args()
    if arguments.stage in ("target", "draft") and not arguments.steps:
        parser.error(f"{arguments.stage} needs --steps")
    match arguments.stage:
        case "tokenizer":
            make_tokenizer()
        case "target":
            train_target(arguments.steps)
        case "draft":
            train_draft(arguments.steps)
        case "export":
            export()


if __name__ == "__main__":
    main()
