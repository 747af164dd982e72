"""Pack the voice set of `nimblelm.data.voices`: words by four recorded speakers in five languages and by synthesizers.

Only this script needs what it needs, from Debian: asterisk-core-sounds-{en,es,fr,it,ru}-g722, ffmpeg, espeak-ng, flite.

    python tools/make_voices.py      (two minutes; rewrites lib/nimblelm/data/voices)

Each speaker becomes one Opus file of clips laid end to end; the index says where each clip lies and where in it the
word begins and ends.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from voice_words import LANGUAGES, NUMBERS, recorded_words

SOUNDS = Path("/usr/share/asterisk/sounds")
OUT = Path(__file__).parents[1] / "lib/nimblelm/data/voices"
SAMPLE_RATE_HZ = 16_000
FOLDERS = ("digits", "letters", "phonetic")
RECORDED = {  # speaker -> language -> folder of the packages
    "allison": {"en": "en_US_f_Allison", "es": "es_MX_f_Allison"},
    "june": {"fr": "fr_CA_f_June"},
    "carlo": {"it": "it_IT_m_Carlo"},
    "ivrvoice": {"ru": "ru_RU_f_IvrvoiceRU"},
}
SYNTHESIZED = {  # speaker -> language, command without the text and the output
    "flite-slt": ("en", ["flite", "-voice", "slt"]),
    "flite-rms": ("en", ["flite", "-voice", "rms"]),
    "espeak-en": ("en", ["espeak-ng", "-v", "en-us+f3"]),
    "espeak-es": ("es", ["espeak-ng", "-v", "es-419+m3"]),
    "espeak-fr": ("fr", ["espeak-ng", "-v", "fr+f2"]),
    "espeak-it": ("it", ["espeak-ng", "-v", "it+f4"]),
    "espeak-ru": ("ru", ["espeak-ng", "-v", "ru+m5"]),
}
BITRATE = {True: "28k", False: "16k"}  # recorded or not
PEAK = 0.7  # of a speaker's loudest sample; Opus overshoots
GAP_S = 0.05  # of silence between two clips, so that Opus' frames do not smear one into the next
QUIET_DB, FRAME_S = -38.0, 0.01  # a frame this far below the loudest is no speech


def decoded(paths: list[Path]) -> list[np.ndarray]:
    """The recordings at 16 kHz; one run of ffmpeg for all, cut at two samples a byte."""
    joined = b"".join(path.read_bytes() for path in paths)
    command = ["ffmpeg", "-v", "error", "-f", "g722", "-i", "-", "-f", "s16le", "-"]
    sound = np.frombuffer(subprocess.run(command, input=joined, capture_output=True, check=True).stdout, "<i2")
    ends = np.cumsum([2 * path.stat().st_size for path in paths])
    return [part.astype(np.float32) / 32768 for part in np.split(sound, ends[:-1])]


def synthesized(command: list[str], words: list[str]) -> list[np.ndarray]:
    """Each word by a synthesizer, resampled to 16 kHz by ffmpeg."""
    with tempfile.TemporaryDirectory() as folder:
        clips = []
        for i, word in enumerate(words):
            spoken, wav = Path(folder) / f"{i}.wav", Path(folder) / f"{i}.16k.wav"
            text = ["-t", word, "-o", spoken] if command[0] == "flite" else ["-w", spoken, word]
            subprocess.run([*command, *text], check=True)
            subprocess.run(["ffmpeg", "-v", "error", "-i", spoken, "-ar", str(SAMPLE_RATE_HZ), wav], check=True)
            clips.append(soundfile.read(wav, dtype="float32")[0])
    return clips


def spoken_part(clip: np.ndarray) -> tuple[int, int]:
    """First and last sample of what is not silence, to the frame."""
    frame = int(FRAME_S * SAMPLE_RATE_HZ)
    energy = (clip[: len(clip) // frame * frame].reshape(-1, frame) ** 2).mean(1)
    loud = np.flatnonzero(energy > energy.max() * 10 ** (QUIET_DB / 10))
    return int(loud[0] * frame), int((loud[-1] + 1) * frame)


def pack(speaker: str, recorded: bool, clips: list[tuple[dict, np.ndarray]]) -> list[dict]:
    """Write a speaker's Opus file; the index's records."""
    records, parts, at = [], [], 0
    gap = np.zeros(int(GAP_S * SAMPLE_RATE_HZ), np.float32)
    for record, sound in clips:
        begins, ends = spoken_part(sound)
        record = {"speaker": speaker, **record, "start": at, "length": len(sound), "onset": begins, "offset": ends}
        records.append(record)
        parts += [sound, gap]
        at += len(sound) + len(gap)
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "all.wav"
        everything = np.concatenate(parts)
        soundfile.write(wav, everything * (PEAK / np.abs(everything).max()), SAMPLE_RATE_HZ, subtype="PCM_16")
        path = OUT / f"{speaker}.opus"
        options = ["-c:a", "libopus", "-b:a", BITRATE[recorded], "-application", "audio", "-ar", str(SAMPLE_RATE_HZ)]
        strip = ["-map_metadata", "-1", "-fflags", "+bitexact", "-flags:a", "+bitexact"]
        subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", wav, *options, *strip, path], check=True)
    size = path.stat().st_size / 2**20
    print(f"{speaker}: {len(records)} clips, {at / SAMPLE_RATE_HZ:.0f} s, {size:.2f} MB", flush=True)
    return records


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    OUT.mkdir(exist_ok=True)
    index = []
    for speaker, languages in RECORDED.items():
        clips = []
        for language, folder in languages.items():
            files = sorted(file for name in FOLDERS for file in (SOUNDS / folder / name).glob("*.g722"))
            if not files:
                raise SystemExit(f"{SOUNDS / folder} is missing: apt-get install asterisk-core-sounds-{language}-g722")
            words = recorded_words(language, [f"{file.parent.name}/{file.stem}" for file in files])
            records = [{"language": language, **word} for word in words]
            clips += list(zip(records, decoded(files), strict=True))
        index += pack(speaker, True, clips)
    for speaker, (language, command) in SYNTHESIZED.items():
        numbers = dict(zip(NUMBERS, LANGUAGES[language]["numbers"].split(), strict=True))
        records = [{"language": language, "meaning": f"number {n}", "word": word} for n, word in numbers.items()]
        index += pack(speaker, False, list(zip(records, synthesized(command, list(numbers.values())), strict=True)))
    lines = ",\n".join(json.dumps(record, ensure_ascii=False) for record in index)
    (OUT / "clips.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
