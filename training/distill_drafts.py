"""What distillation does for speculative decoding: four drafts of the committed draft's shape, trained equally long.

python training/distill_drafts.py write                  the target writes text and leaves its distributions beside it
python training/distill_drafts.py text --steps N         next tokens of the training text
python training/distill_drafts.py written --steps N      next tokens of what the target wrote (sequence level)
python training/distill_drafts.py filtered --steps N     the same, of the half that the target found most probable
python training/distill_drafts.py soft --steps N         the target's distributions on what it wrote (token level)
python training/distill_drafts.py measure                speculative decoding with each, in turns; results beside lib

Run one again to resume it. All start from the same weights: the target's embedding, projected, the
rest at random. The drafts are not committed, their results are.
"""

import argparse
import json
import statistics
import time
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from language_model import Optimizer, random_crops, run, track
from nimblelm.compression.distillation.drafts import DRAFTS_FOLDER
from nimblelm.compression.distillation.sequence_level import kept_sequences
from nimblelm.data.corpus import held_out_texts
from nimblelm.inference.decoding.autoregressive import generate
from nimblelm.inference.decoding.cache import CachedModel, KVCache
from nimblelm.inference.decoding.sampling import GREEDY, Sampling, sample
from nimblelm.inference.speculative.acceptance_stats import AcceptanceStats, Round
from nimblelm.inference.speculative.decoder import speculative_generate
from nimblelm.inference.speculative.pair import load_pair, load_pair_tokenizer
from nimblelm.inference.speculative.speedup import predicted_speedup
from nimblelm.language.llama import Llama
from nimblelm.measure.timing import ratio_interval
from nimblelm.nn.checkpoint import load, save
from train_pair import DRAFT, FILE, RUNS, SEED, streams

FOLDER = RUNS / "drafts"
PROMPT, LENGTH, TOP = 32, 128, 64
BATCHES, WRITERS = 2, 96  # batches of rows that are written at once
ROWS, RATES = 8, (5e-3, 5e-3)
KINDS = ("text", "written", "filtered", "soft")
MEASURED = {"prompts": 8, "prompt tokens": 64, "new tokens": 48, "draft length": 4}


@torch.inference_mode()
def write() -> None:
    """Rows that the target wrote at temperature 1 after training text, its TOP probabilities and each token's."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    train, _ = streams()
    target, generator = load_pair().target, torch.Generator().manual_seed(SEED + 7)
    for number in track(range(BATCHES), "written"):
        file = FOLDER / f"written_{number}.pt"
        tokens = random_crops(train, WRITERS, PROMPT, generator)
        cache, kept, scores = KVCache.allocate(target, LENGTH, batch_size=WRITERS), [], []
        logits = target(tokens, cache.at(0, PROMPT))
        while tokens.shape[1] < LENGTH:
            kept.append(logits.softmax(-1).topk(TOP))
            drawn = sample(logits[:, -1].softmax(-1), generator)[:, None]
            scores.append(logits[:, -1].log_softmax(-1).gather(-1, drawn))
            logits = target(drawn, cache.at(tokens.shape[1], 1))
            tokens = torch.cat([tokens, drawn], dim=1)
        values = torch.cat([top.values.half() for top in kept], dim=1)
        indices = torch.cat([top.indices.short() for top in kept], dim=1)
        torch.save((tokens, values, indices, torch.cat(scores, dim=1)), file)


def written() -> list[Tensor]:
    """(N, LENGTH) tokens, TOP probabilities with their tokens after each but the last, and each written one's own."""
    parts = [torch.load(FOLDER / f"written_{i}.pt", weights_only=True) for i in range(BATCHES)]
    return [torch.cat(part) for part in zip(*parts, strict=True)]


def train(kind: str, steps: int) -> None:
    stream, held_out = streams()
    target = load_pair().target
    tokens, values, indices, scores = written()
    if kind == "filtered":
        tokens = tokens[kept_sequences(tokens, scores, share=0.5)]
    torch.manual_seed(SEED)
    model, generator = Llama(DRAFT), torch.Generator().manual_seed(SEED)
    with torch.no_grad():  # start from the target's embedding in its principal directions, as the committed draft did
        basis = torch.linalg.svd(target.embedding.weight, full_matrices=False).Vh[: DRAFT.d_model]
        model.embedding.weight.copy_(target.embedding.weight @ basis.T)
    batch = random_crops(held_out, 16, LENGTH, torch.Generator().manual_seed(0))
    with torch.inference_mode():
        p = target(batch[:, :-1]).softmax(-1)

    @torch.no_grad()
    def evaluate() -> dict[str, float]:
        """On held-out text: nats a token, and sum_x min(p, q), the acceptance rate of one drafted token."""
        logits = forward(model, batch[:, :-1])
        shared = torch.minimum(p, logits.softmax(-1)).sum(-1).mean().item()
        loss = F.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten()).item()
        return {"held_out_loss": loss, "held_out_acceptance": shared}

    def loss_at(step: int) -> Tensor:
        if kind == "text":
            rows = random_crops(stream, ROWS, LENGTH, generator)
            return F.cross_entropy(forward(model, rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())
        picked = torch.randint(len(tokens), (ROWS,), generator=generator)
        logits = forward(model, tokens[picked, :-1])
        if kind != "soft":
            return F.cross_entropy(logits.flatten(0, 1), tokens[picked, 1:].flatten())
        wanted = values[picked].float()
        log_q = logits.log_softmax(-1).gather(-1, indices[picked].long())
        return (wanted * (wanted.clamp(min=1e-8).log() - log_q)).sum(-1).mean()

    optimizer = Optimizer(model, *RATES, weight_decay=0.0)
    run(model, optimizer, loss_at, evaluate, steps, generator, FOLDER / kind, save_every=50)
    save(model.eval().half(), FOLDER / kind / FILE)


def forward(model: Llama, tokens: Tensor) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        return model(tokens).float()


def step_costs(target: CachedModel, drafts: dict[str, CachedModel], block: Tensor) -> tuple[float, float]:
    """Processor time of a draft step and of a check, over a target step; all drafts have one shape."""
    draft, seconds = drafts["soft"], {"step": 0.0, "check": 0.0, "draft": 0.0}
    calls = {"step": (target, block[:1]), "check": (target, block), "draft": (draft, block[:1])}
    with torch.inference_mode():
        for turn in range(40):
            for name, (model, tokens) in calls.items():
                began = time.process_time()
                model(tokens, 150)
                seconds[name] += (time.process_time() - began) * (turn >= 5)
    return seconds["draft"] / seconds["step"], seconds["check"] / seconds["step"]


def measure() -> None:
    """Every draft and none, in turns on held-out prompts: processor seconds of one thread, and what was accepted."""
    torch.set_num_threads(1)
    pair, tokenizer = load_pair(), load_pair_tokenizer()
    target = CachedModel(pair.target)
    drafts = {kind: CachedModel(load(Llama, FOLDER / kind / FILE).float()) for kind in KINDS}
    drafts["committed"] = CachedModel(pair.draft)
    texts = [torch.tensor(tokenizer.encode(text.text).ids) for text in held_out_texts()[: MEASURED["prompts"]]]
    new, length = MEASURED["new tokens"], MEASURED["draft length"]
    cost, check = step_costs(target, drafts, texts[0][: length + 1])
    results: dict[str, Any] = {"setting": MEASURED, "draft step": round(cost, 4), "check": round(check, 4)}
    for title, sampling in (("greedy", GREEDY), ("T=1", Sampling())):
        seconds: dict[str, list[float]] = {name: [] for name in ("none", *drafts)}
        rounds: dict[str, list[Round]] = {name: [] for name in drafts}
        for number, text in enumerate(track(texts, title)):
            for name in seconds:
                prompt, generator = text[: MEASURED["prompt tokens"]], torch.Generator().manual_seed(number)
                began = time.process_time()
                if name == "none":
                    generate(target, prompt, new, sampling, generator)
                else:
                    out = speculative_generate(target, drafts[name], prompt, new, length, sampling, generator)
                    rounds[name] += out.rounds
                seconds[name].append(time.process_time() - began)
        for name in drafts:
            stats = AcceptanceStats.from_rounds(rounds[name])
            results.setdefault(name, {})[title] = {
                "acceptance": round(stats.acceptance_rate, 4),
                "tokens a round": round(stats.tokens_per_round, 3),
                "predicted": round(predicted_speedup(stats.acceptance_rate, length, cost, check), 3),
                "speedup": [round(x, 3) for x in ratio_interval(seconds["none"], seconds[name])],
            }
    for kind in KINDS:
        lines = [json.loads(line) for line in (FOLDER / kind / "log.jsonl").read_text().splitlines()]
        results[kind]["log"] = lines
    tokens, _, _, scores = written()
    results["written rows"] = len(tokens)
    results["nats a written token"] = round(-scores.mean().item(), 4)
    results["tokens a step"] = ROWS * (LENGTH - 1)
    results["median seconds without"] = round(statistics.median(seconds["none"]), 3)
    DRAFTS_FOLDER.mkdir(parents=True, exist_ok=True)
    (DRAFTS_FOLDER / "results.json").write_text(json.dumps(results, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=["write", *KINDS, "measure"])
    parser.add_argument("--steps", type=int, help="optimizer steps; a resumed run may name another number")
    arguments = parser.parse_args()
    if arguments.stage in KINDS and not arguments.steps:
        parser.error(f"{arguments.stage} needs --steps")
    match arguments.stage:
        case "write":
            write()
        case "measure":
            measure()
        case kind:
            train(kind, arguments.steps)


if __name__ == "__main__":
    main()
