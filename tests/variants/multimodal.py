"""How the functions of `nimblelm.multimodal` are called with tensors."""

import torch

from nimblelm.multimodal import imagebind, spoken_words
from tests.tensor_variants import Case, Exempt
from tests.variants.kernels import random
from tests.variants.nn import module

NOT_YET: tuple[str, ...] = ()
TOWER = module(spoken_words.AudioTower, spoken_words.AudioTowerConfig((6, 8), 3, 5))


def one_word():
    return {"x": 0.2 * random(x=(1, 4000))["x"][0]}


CASES: dict[str, Case | Exempt] = {
    "multimodal.imagebind.imagebind_audio": Case(
        lambda x: imagebind.imagebind_audio(x), one_word, dtypes=(torch.float32,), tolerance=50
    ),
    "multimodal.spoken_words.AudioTower.forward": Case(
        lambda x: TOWER(x.dtype)(x), lambda: random(x=(2, 128, 12)), dtypes=(torch.float32, torch.bfloat16), tolerance=8
    ),
    "multimodal.spoken_words.AudioTower.audio_features": Case(
        lambda x: TOWER(x.dtype).audio_features(x), one_word, dtypes=(torch.float32,), tolerance=50
    ),
}
