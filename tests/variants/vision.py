"""How the functions of `nimblelm.vision` are called with tensors."""

import torch

from nimblelm.data.emoji import pictures
from nimblelm.vision import clip, emoji_clip, hog, preprocessing, resnet, rollout, siglip, vit, zero_shot
from tests.tensor_variants import Arguments, Case, Exempt
from tests.variants.kernels import random
from tests.variants.nn import module

NOT_YET: tuple[str, ...] = ()
BOTH = (torch.float32, torch.bfloat16)
VIT = module(vit.ViT, vit.ViTConfig(8, 4, d_model=12, num_layers=2, num_heads=3, d_ff=10, num_classes=5))


def small_resnet():
    torch.manual_seed(0)
    return resnet.ResNet(resnet.ResNetConfig(4, (4, 8), (1, 1), small_images=True, num_classes=3)).eval()


RESNET = module(small_resnet)


TOWER = clip.TowerConfig(d_model=12, num_layers=2, num_heads=3, d_ff=10)
CLIP = module(
    clip.CLIP,
    clip.CLIPConfig(TOWER, TOWER, 7, image_size=8, patch_size=4, vocab_size=11, max_seq_len=6, end_of_text_id=9),
)
SIGLIP = module(siglip.SigLIP, siglip.SigLIPConfig(TOWER, TOWER, 8, 4, vocab_size=11, max_seq_len=6))
EMOJI_CLIP = module(
    lambda: emoji_clip.EmojiCLIP(
        emoji_clip.EmojiCLIPConfig(
            resnet.ResNetConfig(4, (4, 8), (1, 1), small_images=True, num_classes=3), num_buckets=30, d_text=8
        )
    ).eval()
)


def texts() -> Arguments:
    return {"tokens": torch.tensor([[3, 9, 4, 4], [1, 2, 9, 0], [5, 5, 5, 9]])}


def of_images_and_texts(models, function) -> Case:
    return Case(
        lambda x, tokens: function(models(x.dtype), x, tokens), lambda: images() | texts(), tolerance=8, dtypes=BOTH
    )


def of_texts(function) -> Case:
    return Case(function, texts, dtypes=(torch.float32,))


def images(height: int = 8) -> Arguments:
    return random(x=(2, 3, height, 8))


def of_images(function, height: int = 8, tolerance: float = 8, dtypes=BOTH) -> Case:
    return Case(function, lambda: images(height), tolerance=tolerance, dtypes=dtypes)


def maps() -> Arguments:
    return {name: x.softmax(-1) for name, x in random(a=(2, 3, 4, 4), b=(2, 3, 4, 4)).items()}


def varied(x):
    return preprocessing.augment(x, torch.Generator().manual_seed(1))


def restyled(x):
    return preprocessing.restyle(x, torch.Generator().manual_seed(1))


CASES: dict[str, Case | Exempt] = {
    "vision.clip.quick_gelu": of_images(lambda x: clip.quick_gelu(x)),
    "vision.clip.CLIP.forward": of_images_and_texts(CLIP, lambda model, x, tokens: model(x, tokens)),
    "vision.clip.CLIP.image_features": of_images(lambda x: CLIP(x.dtype).image_features(x)),
    "vision.clip.CLIP.text_features": of_texts(lambda tokens: CLIP(torch.float32).text_features(tokens)),
    "vision.clip.ImageEncoder.forward": of_images(lambda x: CLIP(x.dtype).image_encoder(x)),
    "vision.clip.ImageEncoder.states": of_images(lambda x: CLIP(x.dtype).image_encoder.states(x)),
    "vision.clip.ImageEncoder.layers": of_images(lambda x: list(CLIP(x.dtype).image_encoder.layers(x))),
    "vision.clip.TextEncoder.forward": of_texts(lambda tokens: CLIP(torch.float32).text_encoder(tokens)),
    "vision.clip.weights_from_clip": Case(
        lambda a, b: clip.weights_from_clip({"vision_model.embeddings.patch_embedding.weight": a, "logit_scale": b}),
        lambda: random(a=(6, 3, 2, 2), b=()),
    ),
    "vision.siglip.SigLIP.forward": of_images_and_texts(SIGLIP, lambda model, x, tokens: model(x, tokens)),
    "vision.siglip.SigLIP.image_features": of_images(lambda x: SIGLIP(x.dtype).image_features(x)),
    "vision.siglip.SigLIP.text_features": of_texts(lambda tokens: SIGLIP(torch.float32).text_features(tokens)),
    "vision.siglip.AttentionPool.forward": Case(
        lambda x: SIGLIP(x.dtype).pool(x), lambda: random(x=(2, 4, 12)), tolerance=8, dtypes=BOTH
    ),
    "vision.siglip.weights_from_siglip": Case(
        lambda a, b, c, d: siglip.weights_from_siglip(
            {
                "vision_model.embeddings.patch_embedding.weight": a,
                "vision_model.head.probe": b,
                "logit_scale": c,
                "logit_bias": d,
            }
        ),
        lambda: random(a=(6, 3, 2, 2), b=(1, 1, 6), c=(1,), d=(1,)),
    ),
    "vision.emoji_clip.EmojiCLIP.image_features": of_images(lambda x: EMOJI_CLIP(x.dtype).image_features(x)),
    "vision.emoji_clip.EmojiCLIP.features_of_ids": Case(
        lambda ids: EMOJI_CLIP(torch.float32).features_of_ids(ids),
        lambda: {"ids": torch.tensor([[[3, 4, 0], [5, 0, 0]], [[7, 8, 9], [0, 0, 0]]])},
        dtypes=(torch.float32,),
    ),
    "vision.zero_shot.class_embeddings": Case(
        lambda x: zero_shot.class_embeddings(lambda prompts: x[: len(prompts)], ["a", "b", "c"], ["{}", "one {}"]),
        lambda: random(x=(6, 4)),
        tolerance=4,
    ),
    "vision.zero_shot.zero_shot": Case(
        lambda x, y, scale: zero_shot.zero_shot(x, y, scale),
        lambda: random(x=(3, 4), y=(5, 4)) | {"scale": torch.tensor(2.0)},
        tolerance=4,
    ),
    "vision.hog.hog_and_colour": Case(
        lambda x: hog.hog_and_colour(x, 4), images, dtypes=(torch.float32,), tolerance=50
    ),
    "vision.hog.hog": Case(lambda x: hog.hog(x), images, dtypes=(torch.float32,), tolerance=50),
    "vision.preprocessing.normalize": Case(
        lambda x: preprocessing.normalize(x), lambda: {"x": pictures("noto")[:2, :, :6, :8]}, dtypes=(torch.float32,)
    ),
    "vision.preprocessing.resize": of_images(lambda x: preprocessing.resize(x, 5, 3), dtypes=(torch.float32,)),
    "vision.preprocessing.center_crop": of_images(lambda x: preprocessing.center_crop(x, 3)),
    "vision.preprocessing.augment": of_images(varied, dtypes=(torch.float32,), tolerance=20),
    "vision.preprocessing.restyle": of_images(restyled, dtypes=(torch.float32,)),
    "vision.resnet.Block.forward": Case(
        lambda x: RESNET(x.dtype).stages[1][0](x), lambda: random(x=(2, 4, 6, 5)), tolerance=8, dtypes=BOTH
    ),
    "vision.resnet.ConvNorm.forward": of_images(lambda x: RESNET(x.dtype).stem(x)),
    "vision.resnet.ResNet.forward": of_images(lambda x: RESNET(x.dtype)(x)),
    "vision.resnet.ResNet.features": of_images(lambda x: list(RESNET(x.dtype).features(x))),
    "vision.rollout.attention_rollout": Case(lambda a, b: rollout.attention_rollout([a, b]), maps, tolerance=4),
    "vision.rollout.gradient_rollout": Case(
        lambda a, b, c, d: rollout.gradient_rollout([a, b], [c, d]),
        lambda: maps() | random(c=(2, 3, 4, 4), d=(2, 3, 4, 4)),
        tolerance=8,
    ),
    "vision.rollout.class_relevance": of_images(
        lambda x: rollout.class_relevance(VIT(x.dtype), x, [1, 3]), dtypes=(torch.float32,), tolerance=50
    ),
    "vision.vit.ViT.forward": of_images(lambda x: VIT(x.dtype)(x)),
    "vision.vit.ViT.embed": of_images(lambda x: VIT(x.dtype).embed(x), height=12),
    "vision.vit.ViT.states": Case(
        lambda x: VIT(x.dtype).states(x), lambda: random(x=(2, 3, 12)), tolerance=8, dtypes=BOTH
    ),
    "vision.vit.ViT.layers": Case(
        lambda x: list(VIT(x.dtype).layers(x)), lambda: random(x=(2, 3, 12)), tolerance=8, dtypes=BOTH
    ),
    "vision.vit.ViT.head": Case(lambda x: VIT(x.dtype).head(x), lambda: random(x=(2, 3, 12)), tolerance=8, dtypes=BOTH),
    "vision.vit.weights_from_vit": Case(
        lambda a, b, c: vit.weights_from_vit(
            {
                "vit.embeddings.patch_embeddings.projection.weight": a,
                "vit.embeddings.cls_token": b,
                "vit.embeddings.position_embeddings": c,
            }
        ),
        lambda: random(a=(6, 3, 2, 2), b=(1, 1, 6), c=(1, 5, 6)),
    ),
}
