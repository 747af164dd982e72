"""How the functions of `nimblelm.multimodal` are called with tensors."""

import torch

from nimblelm.language.llama import LlamaConfig
from nimblelm.multimodal import blip2, emoji_vlm, fromage, imagebind, llava, molmo, projectors, qformer, spoken_words
from nimblelm.multimodal import qformer_losses as losses
from nimblelm.nn.attend import full
from nimblelm.vision.clip import CLIPConfig, TowerConfig
from tests.tensor_variants import Case, Exempt
from tests.variants.kernels import random
from tests.variants.nn import module

NOT_YET: tuple[str, ...] = ()
TOWER = module(spoken_words.AudioTower, spoken_words.AudioTowerConfig((6, 8), 3, 5))


def one_word():
    return {"x": 0.2 * random(x=(1, 4000))["x"][0]}


LINEAR, MLP = module(projectors.LinearProjector, 5, 4), module(projectors.MLPProjector, 5, 4)
NORMED = module(projectors.NormedProjector, 5, 4)
POOLING = module(molmo.AttentionPooling, 6, 5, 2, 7)
SHAPE = qformer.QFormerConfig(8, num_layers=2, num_heads=2, d_ff=10, d_context=6, norm_eps=1e-5)
QFORMER, QUERIES = module(qformer.QFormer, SHAPE), module(blip2.Queries, blip2.QueriesConfig(SHAPE, 3, 4, 5))
HEADS = module(fromage.RetrievalHeads, 6, 4, 3)
DECODER = LlamaConfig(12, 8, num_layers=1, num_heads=2, num_kv_heads=1, d_ff=6, max_seq_len=96)
SEEING = module(emoji_vlm.EmojiVLM, emoji_vlm.EmojiVLMConfig(DECODER, "molmo"))
LLAVA = module(
    llava.Llava, llava.LlavaConfig(CLIPConfig(image=TowerConfig(6, 2, 2, 7), image_size=4, patch_size=2), DECODER, 11)
)
FLOAT32 = (torch.float32,)


def directions(**shapes):
    return {name: torch.nn.functional.normalize(x, dim=-1) for name, x in random(**shapes).items()}


def numbered():
    return {"annotation": torch.tensor([[0, 0, 1, 1, 2, -1]])}


def texts():
    return {"tokens": torch.tensor([1, 11, 2])} | random(x=(1, 3, 4, 4))


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
    "multimodal.projectors.merge_windows": Case(
        lambda x: projectors.merge_windows(x, (4, 2), 2), lambda: random(x=(2, 8, 3))
    ),
    "multimodal.projectors.LinearProjector.forward": Case(lambda x: LINEAR(x.dtype)(x), lambda: random(x=(2, 3, 5))),
    "multimodal.projectors.MLPProjector.forward": Case(
        lambda x: MLP(x.dtype)(x), lambda: random(x=(2, 3, 5)), tolerance=4
    ),
    "multimodal.projectors.NormedProjector.forward": Case(
        lambda x: NORMED(x.dtype)(x), lambda: random(x=(2, 3, 5)), tolerance=8
    ),
    "multimodal.molmo.AttentionPooling.forward": Case(
        lambda x: POOLING(x.dtype)(x, (4, 2)), lambda: random(x=(2, 8, 6)), dtypes=FLOAT32, tolerance=8
    ),
    "multimodal.molmo.annotations_mask": Case(
        lambda annotation: molmo.annotations_mask(annotation), numbered, fixed=frozenset({"annotation"})
    ),
    "multimodal.qformer.Block.forward": Case(
        lambda x, c: QFORMER(x.dtype).blocks[0](x, 3, c, full, full),
        lambda: random(x=(2, 5, 8), c=(2, 4, 6)),
        dtypes=FLOAT32,
        tolerance=8,
    ),
    "multimodal.qformer.QFormer.forward": Case(
        lambda x, c: QFORMER(x.dtype)(x, c, 3), lambda: random(x=(2, 5, 8), c=(2, 4, 6)), dtypes=FLOAT32, tolerance=8
    ),
    "multimodal.qformer_losses.query_text_similarities": Case(
        lambda q, t: losses.query_text_similarities(q, t), lambda: directions(q=(3, 2, 4), t=(3, 4)), tolerance=2
    ),
    "multimodal.qformer_losses.contrastive_loss": Case(
        lambda s: losses.contrastive_loss(s), lambda: random(s=(4, 4)), tolerance=20
    ),
    "multimodal.qformer_losses.hard_negatives": Exempt("draws at random; its distribution is tested"),
    "multimodal.qformer_losses.matching_loss": Case(
        lambda x, m: losses.matching_loss(x, m),
        lambda: random(x=(4, 3, 2)) | {"m": torch.tensor([True, False, True, False])},
        fixed=frozenset({"m"}),
        tolerance=4,
    ),
    "multimodal.blip2.Queries.forward": Case(
        lambda x: QUERIES(x.dtype)(x), lambda: random(x=(2, 4, 6)), dtypes=FLOAT32, tolerance=8
    ),
    "multimodal.blip2.RepresentationLearning.losses": Exempt("draws hard negatives; each loss has a case of its own"),
    "multimodal.fromage.RetrievalHeads.forward": Case(
        lambda s, v: HEADS(s.dtype)(s, v), lambda: random(s=(3, 6), v=(3, 4)), dtypes=FLOAT32, tolerance=4
    ),
    "multimodal.fromage.fromage_loss": Case(
        lambda c, r, t, v: fromage.fromage_loss(c.sum(), r.sum(), t, v, torch.tensor(4.0)),
        lambda: directions(c=(1,), r=(1,), t=(3, 4), v=(3, 4)),
        dtypes=FLOAT32,
        tolerance=8,
    ),
    "multimodal.emoji_vlm.scene_features": Exempt("reads bytes; `normalize` and `ResNet.features` have cases"),
    "multimodal.emoji_vlm.EmojiVLM.see": Case(
        lambda x: SEEING(x.dtype).see(x), lambda: random(x=(1, 64, 256)), dtypes=FLOAT32, tolerance=8
    ),
    "multimodal.emoji_vlm.EmojiVLM.forward": Case(
        lambda x, t: SEEING(x.dtype)(x, t),
        lambda: random(x=(1, 64, 256)) | {"t": torch.tensor([[1, 2, 3]])},
        dtypes=FLOAT32,
        fixed=frozenset({"t"}),
        tolerance=8,
    ),
    "multimodal.emoji_vlm.answer": Exempt("decodes words, by `EmojiVLM.forward`"),
    "multimodal.emoji_vlm.first_words": Exempt("asks by words; held against `answer` in its test"),
    "multimodal.llava.Llava.see": Case(
        lambda x: LLAVA(x.dtype).see(x), lambda: random(x=(1, 3, 4, 4)), dtypes=FLOAT32, tolerance=8
    ),
    "multimodal.llava.Llava.forward": Case(
        lambda tokens, x: LLAVA(x.dtype)([tokens], x)[0],
        texts,
        dtypes=FLOAT32,
        fixed=frozenset({"tokens"}),
        tolerance=8,
    ),
    "multimodal.llava.weights_from_llava": Exempt("renames; held against the twin"),
}
