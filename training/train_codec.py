"""Train the codecs of chapter 19 on prompts in French, Italian and Russian; an English and Spanish voice is held out.

python training/train_codec.py spectrogram --steps N   log-mel to codes to magnitudes (3 minutes of one CPU core)
python training/train_codec.py waveform --steps N      EnCodec's form with its discriminators; run it again to resume
python training/train_codec.py entropy --steps N       a small language model over the codes
python training/train_codec.py export                  the models in int8, tables beside baselines, the log

The prompts come from Debian's packages asterisk-core-sounds-*-g722; --sounds names where they are unpacked.
"""

import argparse
import json
import math
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codec_data import HELD_OUT, SOUNDS, TRAINED, crops, held_out_sentences, training_sound
from codec_results import demo, low_pass, opus, opus_codec, quality
from language_model import learning_rate
from nimblelm.audio.codec.balancer import Balancer
from nimblelm.audio.codec.code_model import CodeModel, CodeModelConfig, entropy_decode, entropy_encode
from nimblelm.audio.codec.discriminator import DiscriminatorConfig, MultiScaleSTFTDiscriminator
from nimblelm.audio.codec.encodec import EnCodec, EnCodecConfig
from nimblelm.audio.codec.losses import adversarial_loss, discriminator_loss, feature_loss, mel_loss, time_loss
from nimblelm.audio.codec.residual_vq import ResidualVQ
from nimblelm.audio.codec.seanet import SEANetConfig
from nimblelm.audio.codec.spectrogram_codec import FLOOR, SpectrogramCodec, SpectrogramCodecConfig
from nimblelm.audio.features.mel import mel_filters
from nimblelm.nn.checkpoint import load, save
from nimblelm.nn.codebook_update import CodebookUpdate
from train_pair import RUNS

SEED = 19
FOLDER = RUNS / "codec"
OUT = Path(__file__).resolve().parents[1] / "lib/nimblelm/data/checkpoints/codec"
BOOKS = (1, 2, 3, 4, 8)  # how many codebooks a batch is trained with: quantizer dropout
DEAD_BELOW = 0.07  # of the vectors that a code gets on average: EnCodec's 2 a batch would kill most of ours
SAVE_EVERY_S = 30
SENT_BOOKS = 4  # what the checkpoints hold and the language model reads: 2 kbit/s


class Codebooks:
    """All codebooks of a quantizer and what moves them; k-means begins them one after the other."""

    def __init__(self, quantizer: ResidualVQ, dead_below: float, generator: torch.Generator):
        self.quantizer = quantizer
        self.updates = [CodebookUpdate(book, dead_below=dead_below, generator=generator) for book in quantizer.books]

    @torch.no_grad()
    def start(self, latents: Tensor) -> None:
        residual = latents.mT.flatten(0, 1)
        for update in self.updates:
            update.start(residual)
            residual = residual - update.codebook.decode(update.codebook.encode(residual.T[None]))[0].T

    def step(self, residuals: Tensor, codes: Tensor) -> int:
        rows = zip(self.updates, residuals.detach(), codes.unbind(1), strict=False)
        return sum(update.step(x.mT.flatten(0, 1), row.flatten()) for update, x, row in rows)

    def state_dict(self) -> dict[str, Any]:
        return {str(i): update.state_dict() for i, update in enumerate(self.updates)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for i, update in enumerate(self.updates):
            update.load_state_dict(state[str(i)])


def run(
    name: str,
    parts: dict[str, Any],
    step_at: Callable[[int], dict[str, float]],
    evaluate: Callable[[], dict[str, Any]],
    steps: int,
    generator: torch.Generator,
    minutes: float = float("inf"),
) -> None:
    """Steps from where the last run was saved; saves about every half minute, evaluates twenty times in all."""
    ends = time.monotonic() + 60 * minutes
    state_file, log, start, cpu_s = FOLDER / f"{name}.pt", [], 0, 0.0
    if state_file.exists():
        state = torch.load(state_file, weights_only=False)
        for key, part in parts.items():
            part.load_state_dict(state[key])
        generator.set_state(state["generator"])
        start, log, cpu_s = state["step"], state["log"], state["cpu_s"]
    began, saved, losses = time.process_time(), time.monotonic(), []
    for step in range(start, steps):
        losses.append(step_at(step))
        last, stopped = step + 1 == steps, time.monotonic() > ends
        if (step + 1) % max(1, steps // 20) == 0 or last:
            mean = {key: round(sum(one[key] for one in losses) / len(losses), 4) for key in losses[-1]}
            cpu_s, began = cpu_s + time.process_time() - began, time.process_time()
            log.append({"step": step + 1, "cpu_s": round(cpu_s, 1), **mean, **evaluate()})
            began, losses = time.process_time(), []
            print(name, json.dumps(log[-1]), flush=True)
        if time.monotonic() - saved > SAVE_EVERY_S or last or stopped:
            cpu_s, began = cpu_s + time.process_time() - began, time.process_time()
            state = {key: part.state_dict() for key, part in parts.items()}
            state |= {"step": step + 1, "generator": generator.get_state(), "log": log, "cpu_s": cpu_s}
            torch.save(state, state_file.with_suffix(".new"))
            state_file.with_suffix(".new").replace(state_file)
            saved, began = time.monotonic(), time.process_time()
            print(f"{name}: saved at step {step + 1}, {cpu_s:.0f} s of CPU", flush=True)
        if stopped:
            return


UNQUANTIZED_STEPS, WAVE_UNQUANTIZED_STEPS = 60, 250  # before k-means begins the codebooks


def train_spectrogram(steps: int, sounds: Path) -> None:
    torch.manual_seed(SEED)
    model, generator = SpectrogramCodec(SpectrogramCodecConfig()), torch.Generator().manual_seed(SEED)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, betas=(0.9, 0.95), weight_decay=0.01)
    books = Codebooks(model.quantizer, DEAD_BELOW * 24 * 64 / 1024, generator)
    stream, config = training_sound(sounds), model.config
    filters = mel_filters(config.num_mels, config.n_fft, 16_000, "slaney", area_norm=True).float()
    held_out = [one[None] for one in held_out_sentences(sounds)]

    def step_at(step: int) -> dict[str, float]:
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * learning_rate(step, steps)
        waveform = crops(stream, 24, 20_480, generator)
        target, features = model.log_magnitudes(waveform), model.features(waveform)
        latents = model.encoder(features)
        if step == UNQUANTIZED_STEPS:
            books.start(latents)
        if step < UNQUANTIZED_STEPS:
            said, revived, commitment = model.decoder(latents), 0, latents.square().mean() * 0
        else:
            count = BOOKS[int(torch.randint(len(BOOKS), (), generator=generator))]
            quantized = model.quantizer(latents, count)
            said, commitment = model.decoder(quantized.latents), quantized.commitment_loss
            revived = books.step(quantized.residuals, quantized.codes)
        difference = (said - target).abs().mean()
        mel = F.l1_loss(log_mel(said, filters), log_mel(target, filters))
        optimizer.zero_grad()
        (difference + mel + 0.25 * commitment).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return {"magnitude": difference.item(), "mel": mel.item(), "revived": float(revived)}

    @torch.inference_mode()
    def evaluate() -> dict[str, Any]:
        found = {}
        for count in (1, 2, 4, 8):
            errors = []
            for one in held_out[:8]:
                said, _ = model(model.features(one), count)
                errors.append(F.l1_loss(log_mel(said, filters), log_mel(model.log_magnitudes(one), filters)))
            found[f"held_out_mel_{count}"] = round(torch.stack(errors).mean().item(), 4)
        return found

    run("spectrogram", {"model": model, "optimizer": optimizer, "books": books}, step_at, evaluate, steps, generator)


def log_mel(log_magnitudes: Tensor, filters: Tensor) -> Tensor:
    """(B, bands, T) of log magnitudes, natural logarithm of energies."""
    return (filters @ (2 * log_magnitudes).exp()).clamp(min=FLOOR**2).log()


SMALL = EnCodecConfig(
    SEANetConfig(num_filters=12, strides=(8, 5, 4, 2), d_latent=64, num_lstm_layers=1, pad_mode="constant"),
    num_codebooks=8,
    sample_rate_hz=16_000,
)
JUDGES = DiscriminatorConfig(n_ffts=(1024, 512, 256), num_filters=8)
JUDGED_FROM = 500  # steps of the two reconstruction losses alone
WEIGHTS = {"time": 0.1, "mel": 1.0, "adversarial": 3.0, "features": 3.0}
WAVE_RATE, WAVE_BATCH, WAVE_SAMPLES = 2e-3, 8, 8_960  # 28 frames each


def normed(model: nn.Module) -> nn.Module:
    """With weight normalization on every convolution, as EnCodec trains."""
    for module in model.modules():
        if isinstance(module, nn.Conv1d | nn.ConvTranspose1d):
            nn.utils.parametrizations.weight_norm(module)
    return model


def train_waveform(steps: int, sounds: Path, minutes: float) -> None:
    torch.manual_seed(SEED)
    model, judges, generator = EnCodec(SMALL), MultiScaleSTFTDiscriminator(JUDGES), torch.Generator().manual_seed(SEED)
    normed(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=WAVE_RATE, betas=(0.5, 0.9), weight_decay=0.0)
    judging = torch.optim.AdamW(judges.parameters(), lr=3e-4, betas=(0.5, 0.9), weight_decay=0.0)
    books = Codebooks(model.quantizer, DEAD_BELOW * WAVE_BATCH * 28 / 1024, generator)
    balancer, stream = Balancer(WEIGHTS), training_sound(sounds)
    held_out = [one[None, None] for one in held_out_sentences(sounds)[:6]]

    def step_at(step: int) -> dict[str, float]:
        for group in optimizer.param_groups:
            group["lr"] = WAVE_RATE * learning_rate(step, steps)
        waveform = crops(stream, WAVE_BATCH, WAVE_SAMPLES, generator)[:, None]
        latents = model.encoder(waveform)
        commitment, revived = latents.new_zeros(()), 0
        if step >= WAVE_UNQUANTIZED_STEPS:
            if step == WAVE_UNQUANTIZED_STEPS:
                many = [model.encoder(crops(stream, 40, WAVE_SAMPLES, generator)[:, None]).detach() for _ in range(2)]
                books.start(torch.cat(many))
            count = BOOKS[int(torch.randint(len(BOOKS), (), generator=generator))]
            quantized = model.quantizer(latents, count)
            latents, commitment = quantized.latents, quantized.commitment_loss
            revived = books.step(quantized.residuals, quantized.codes)
        decoded = model.decoder(latents)
        x, y = waveform[:, 0], decoded[:, 0]
        losses = {"time": time_loss(x, y), "mel": mel_loss(x, y)}
        told = {"time": losses["time"].item(), "mel": losses["mel"].item(), "revived": float(revived), "judges": 0.0}
        if step >= JUDGED_FROM:
            if torch.rand((), generator=generator) < 2 / 3:  # EnCodec's share: judges that learn faster win at once
                judged = discriminator_loss(judges(x), judges(y.detach()))
                judging.zero_grad()
                judged.backward()
                judging.step()
                told["judges"] = judged.item()
            with torch.no_grad():
                real = judges(x)
            fake = judges(y)
            losses |= {"adversarial": adversarial_loss(fake), "features": feature_loss(real, fake)}
        optimizer.zero_grad()
        if step >= WAVE_UNQUANTIZED_STEPS:
            commitment.backward(retain_graph=True)
        balancer.backward(losses, decoded)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return told

    @torch.inference_mode()
    def evaluate() -> dict[str, Any]:
        found = {}
        for count in (1, 8):
            decoded = [model.decode(model.encode(one, count))[..., : one.shape[-1]] for one in held_out]
            errors = [mel_loss(a[0], b[0]) for a, b in zip(held_out, decoded, strict=True)]
            found[f"held_out_mel_{count}"] = round(torch.stack(errors).mean().item(), 4)
        return found

    parts = {"model": model, "judges": judges, "optimizer": optimizer, "judging": judging}
    run("waveform", parts | {"books": books, "balancer": balancer}, step_at, evaluate, steps, generator, minutes)


@torch.inference_mode()
def codes_of(model: SpectrogramCodec, stream: Tensor, num_codebooks: int) -> Tensor:
    """(K, frames) of a long sound, half a minute at a time."""
    pieces = [piece for piece in stream.split(480_000) if len(piece) > 16_000]
    return torch.cat([model.encode(piece[None], num_codebooks)[0] for piece in pieces], dim=-1)


def train_entropy(steps: int, sounds: Path) -> None:
    torch.manual_seed(SEED)
    codec, generator = trained_spectrogram(), torch.Generator().manual_seed(SEED)
    model = CodeModel(CodeModelConfig(SENT_BOOKS, 1024, 48))
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.05)
    codes = codes_of(codec, training_sound(sounds), SENT_BOOKS)
    held_out = codes_of(codec, torch.cat(held_out_sentences(sounds)), SENT_BOOKS)

    def bits(given: Tensor) -> Tensor:
        """Mean bits a code, for each book."""
        return -model(given).gather(-1, given[..., None]).mean((0, 2, 3)) / math.log(2)

    def step_at(step: int) -> dict[str, float]:
        for group in optimizer.param_groups:
            group["lr"] = 4e-3 * learning_rate(step, steps)
        starts = torch.randint(codes.shape[1] - 100, (16,), generator=generator).tolist()
        loss = bits(torch.stack([codes[:, start : start + 100] for start in starts])).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return {"bits_a_code": loss.item()}

    @torch.inference_mode()
    def evaluate() -> dict[str, Any]:
        return {"held_out_bits": [round(one, 3) for one in bits(held_out[None]).tolist()]}

    run("entropy", {"model": model, "optimizer": optimizer}, step_at, evaluate, steps, generator)


def trained_spectrogram() -> SpectrogramCodec:
    model = SpectrogramCodec(SpectrogramCodecConfig())
    model.load_state_dict(torch.load(FOLDER / "spectrogram.pt", weights_only=False)["model"])
    return model.eval()


def export(sounds: Path) -> None:
    """Checkpoints in int8, the sounds of Opus that the page plays, tables and log."""
    OUT.mkdir(parents=True, exist_ok=True)
    spectrogram = stored(first_books(trained_spectrogram(), SENT_BOOKS), "spectrogram")
    waveform = EnCodec(SMALL)
    normed(waveform).load_state_dict(torch.load(FOLDER / "waveform.pt", weights_only=False)["model"])
    for module in waveform.modules():
        if isinstance(module, nn.Conv1d | nn.ConvTranspose1d):
            nn.utils.parametrize.remove_parametrizations(module, "weight")
    waveform = stored(first_books(waveform, SENT_BOOKS), "waveform")
    reader = CodeModel(CodeModelConfig(SENT_BOOKS, 1024, 48))
    reader.load_state_dict(torch.load(FOLDER / "entropy.pt", weights_only=False)["model"])
    reader = stored(reader, "entropy")
    for rate in ("6k", "12k"):
        opus(demo().waveform, rate, OUT / f"opus_{rate}.opus")
    sentences, rows = held_out_sentences(sounds), {}
    rows["Griffin-Lim on the true magnitudes"] = (0.0, lambda x: vocoded(spectrogram, x))
    rows |= {f"low-pass at {hz:.0f} Hz": (0.0, low_pass(hz)) for hz in (1000.0, 500.0)}
    rows |= {f"Opus {kbit} kbit/s": (1000.0 * kbit, opus_codec(f"{kbit}k")) for kbit in (6, 12)}
    for count in range(1, SENT_BOOKS + 1):
        rows[f"spectrogram codec, {count} books"] = (
            spectrogram.bit_rate_bps(count),
            lambda x, count=count: decoded(spectrogram, x, count),
        )
    rows |= {
        f"waveform codec, {count} books": (
            waveform.bit_rate_bps(count),
            lambda x, count=count: waveform.decode(waveform.encode(x[None, None], count))[0, 0],
        )
        for count in (1, SENT_BOOKS)
    }
    table = {name: {"bit_rate_bps": rate} | quality(name, codec, sentences) for name, (rate, codec) in rows.items()}
    entropy = entropy_table(spectrogram, reader, sentences[:3], sounds)
    tables = {"quality": table, "entropy": entropy}
    (OUT / "results.json").write_text(json.dumps(tables, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(tables, indent=1))
    names = ("spectrogram", "waveform", "entropy")
    logs = {name: torch.load(FOLDER / f"{name}.pt", weights_only=False)["log"] for name in names}
    made = {"made_by": "training/train_codec.py", "seed": SEED, "trained": TRAINED, "held_out": HELD_OUT}
    made |= {"minutes_of_sound": round(len(training_sound(sounds)) / 960_000, 1)}
    made |= {"python": platform.python_version(), "torch": torch.__version__}
    (OUT / "log.json").write_text(json.dumps(made | {"log": logs}, indent=1) + "\n", encoding="utf-8")


def first_books(model: Any, count: int) -> Any:
    """The codec with the first codebooks alone: what lower bit rates need."""
    kept = type(model)(replace(model.config, num_codebooks=count))
    own = kept.state_dict()
    kept.load_state_dict({name: weight for name, weight in model.state_dict().items() if name in own})
    return kept


def stored(model: Any, name: str) -> Any:
    """Written in int8, and read again: what is measured is what is in the tree."""
    save(model, OUT / f"{name}.safetensors", int8=True)
    return load(type(model), OUT / f"{name}.safetensors")


def decoded(model: SpectrogramCodec, waveform: Tensor, count: int) -> Tensor:
    return model.decode(model.encode(waveform[None], count), torch.Generator().manual_seed(0))[0]


@torch.inference_mode()
def vocoded(model: SpectrogramCodec, waveform: Tensor) -> Tensor:
    return model.vocode(model.log_magnitudes(waveform[None]), torch.Generator().manual_seed(0))[0]


def entropy_table(
    codec: SpectrogramCodec, reader: CodeModel, sentences: Sequence[Tensor], sounds: Path
) -> dict[str, float]:
    """Bits a code on held-out sentences: as they are, by how often each code occurs, by the model; and bits sent."""
    known = codes_of(codec, training_sound(sounds), SENT_BOOKS)
    counts = torch.stack([torch.bincount(row, minlength=1024) + 0.5 for row in known])
    often = -(counts / counts.sum(1, keepdim=True)).log2()
    held_out = [codec.encode(one[None], SENT_BOOKS)[0] for one in sentences]
    total = sum(codes.numel() for codes in held_out)
    frequency = sum(often.gather(1, codes).sum().item() for codes in held_out)
    with torch.inference_mode():
        worth = sum(-reader(c[None])[0].gather(-1, c[..., None]).sum().item() / math.log(2) for c in held_out)
    sent = 0
    for codes in held_out:
        bits = entropy_encode(reader, codes)
        assert torch.equal(entropy_decode(reader, bits, codes.shape[1]), codes)
        sent += len(bits)
    rates = {"plain": 10.0, "by frequency": frequency / total, "model": worth / total, "sent": sent / total}
    return {name: round(value, 4) for name, value in rates.items()} | {"codes": total, "sentences": len(held_out)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("spectrogram", "waveform", "entropy", "export"))
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--sounds", type=Path, default=SOUNDS, help="the folder with en_US_f_Allison and the others")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop then; the next run goes on")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    FOLDER.mkdir(parents=True, exist_ok=True)
    if chosen.what == "spectrogram":
        train_spectrogram(chosen.steps, chosen.sounds)
    if chosen.what == "export":
        export(chosen.sounds)
    if chosen.what == "entropy":
        train_entropy(chosen.steps, chosen.sounds)
    if chosen.what == "waveform":
        train_waveform(chosen.steps, chosen.sounds, chosen.minutes)


if __name__ == "__main__":
    main()
