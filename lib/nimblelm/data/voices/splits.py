"""What a model that learns from the voices must not hear: by speaker, by word, by recording.

A speaker is held out whole: strings composed of takes that were trained measure memory, and half of a speaker's words
do not help with the other half.
"""

from nimblelm.data.fraction import fraction
from nimblelm.data.voices import Clip

HELD_OUT_SPEAKERS = ("allison", "flite-slt")  # a person, and a synthesizer that speaks the same language


def held_out_speaker(one: Clip) -> bool:
    """Whether nothing of the clip's speaker is trained on."""
    return one.speaker in HELD_OUT_SPEAKERS


def held_out_word(one: Clip) -> bool:
    """Whether what is said, by anybody and in any language, is kept from training: about a fifth of all meanings."""
    return fraction("word", one.meaning) < 0.2


def held_out_recording(one: Clip) -> bool:
    """Whether this very take is kept from training, while others may say the word: about a fifth of all clips."""
    return fraction("recording", one.speaker, one.language, one.meaning) < 0.2
