"""Our CLIP and SigLIP against their twins, transformers' CLIPModel and SiglipModel."""

import copy

import pytest
import torch
from safetensors.torch import load_file
from transformers import CLIPConfig as TheirConfig
from transformers import CLIPModel, SiglipModel
from transformers import SiglipConfig as TheirSiglipConfig

from nimblelm.nn.checkpoint import load, load_weights, save
from nimblelm.nn.contrastive import clip_loss, siglip_loss
from nimblelm.vision.clip import CLIP, CLIPConfig, TowerConfig, from_clip, weights_from_clip
from nimblelm.vision.siglip import SigLIP, SigLIPConfig, from_siglip, weights_from_siglip
from tests.language.perturbed import PRECISIONS, perturbed

SHAPES = [  # image heads, width, layers, d_ff, size, patch; text heads, width, layers, d_ff; embedding
    (3, 24, 2, 20, 12, 4, 2, 10, 3, 17, 7),
    (1, 10, 3, 7, 15, 5, 5, 35, 1, 64, 12),
    (4, 12, 1, 30, 8, 8, 1, 9, 2, 11, 5),
]
VOCABULARY, END = 31, 29


def twin_of(shape=SHAPES[0], act="quick_gelu", eos=END, **changes) -> CLIPModel:
    heads, width, layers, d_ff, size, patch, text_heads, text_width, text_layers, text_ff, embedding = shape
    torch.manual_seed(0)
    image = dict(hidden_size=width, intermediate_size=d_ff, num_hidden_layers=layers, num_attention_heads=heads)
    image |= dict(image_size=size, patch_size=patch, layer_norm_eps=1e-3, hidden_act=act) | changes
    text = dict(hidden_size=text_width, intermediate_size=text_ff, num_hidden_layers=text_layers)
    text |= dict(num_attention_heads=text_heads, vocab_size=VOCABULARY, max_position_embeddings=9, hidden_act=act)
    text |= dict(layer_norm_eps=1e-3, bos_token_id=0, eos_token_id=eos, pad_token_id=1)
    return perturbed(CLIPModel(TheirConfig(text_config=text, vision_config=image, projection_dim=embedding)))


def siglip_of(shape=SHAPES[0], **changes) -> SiglipModel:
    heads, width, layers, d_ff, size, patch, *_, text_layers, text_ff, _ = shape
    torch.manual_seed(0)
    both = dict(hidden_size=width, num_attention_heads=heads, layer_norm_eps=1e-3)
    image = both | dict(intermediate_size=d_ff, num_hidden_layers=layers, image_size=size, patch_size=patch) | changes
    text = both | dict(intermediate_size=text_ff, num_hidden_layers=text_layers, vocab_size=VOCABULARY)
    text |= dict(max_position_embeddings=9)
    return perturbed(SiglipModel(TheirSiglipConfig(text_config=text, vision_config=image)))


def inputs(size=12, end=END, dtype=torch.float64, texts=4):
    """Images, and texts whose end-of-text token stands at different places, with other tokens behind it."""
    generator = torch.Generator().manual_seed(3)
    images = torch.randn(3, 3, size, size, generator=generator, dtype=torch.float64).to(dtype)
    tokens = torch.randint(2, END - 1, (texts, 8), generator=generator)
    for row, column in enumerate((7, 3, 5, 2)[:texts]):
        tokens[row, column] = end
    return images, tokens


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("act", ["quick_gelu", "gelu"])
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@torch.no_grad()
def test_logits_agree_with_clip(shape, act, dtype, tolerance):
    twin, (images, tokens) = twin_of(shape, act).to(dtype), inputs(shape[4], dtype=dtype)
    want = twin(input_ids=tokens, pixel_values=images)
    model = from_clip(twin)
    torch.testing.assert_close(model(images, tokens), want.logits_per_image, atol=tolerance, rtol=tolerance)
    torch.testing.assert_close(model.image_features(images), want.image_embeds, atol=tolerance, rtol=tolerance)
    torch.testing.assert_close(model.text_features(tokens), want.text_embeds, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@torch.no_grad()
def test_logits_agree_with_siglip(shape, dtype, tolerance):
    twin, (images, tokens) = siglip_of(shape).to(dtype), inputs(shape[4], dtype=dtype)
    want = twin(input_ids=tokens, pixel_values=images).logits_per_image
    torch.testing.assert_close(from_siglip(twin)(images, tokens), want, atol=tolerance, rtol=tolerance)


def test_loss_and_gradients_agree_with_clip():
    twin, (images, tokens) = twin_of(), inputs(texts=3)
    model = from_clip(copy.deepcopy(twin))
    theirs = twin(input_ids=tokens, pixel_values=images, return_loss=True).loss
    ours = clip_loss(model.image_features(images), model.text_features(tokens), model.logit_scale.exp())
    torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=1e-12)
    theirs.backward()
    ours.backward()
    want = weights_from_clip({name: one.grad for name, one in twin.named_parameters()})
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, want[name], atol=1e-10, rtol=1e-8)


def test_loss_and_gradients_agree_with_siglip():
    twin, (images, tokens) = siglip_of(), inputs(texts=3)
    model = from_siglip(copy.deepcopy(twin))
    theirs = twin(input_ids=tokens, pixel_values=images, return_loss=True).loss
    features = model.image_features(images), model.text_features(tokens)
    ours = siglip_loss(*features, model.logit_scale.exp(), model.logit_bias)
    torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=1e-12)
    theirs.backward()
    ours.backward()
    want = weights_from_siglip({name: one.grad for name, one in twin.named_parameters()})
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, want[name], atol=1e-10, rtol=1e-8)


@torch.no_grad()
def test_old_configurations_end_a_text_with_the_largest_id():
    twin, (images, tokens) = twin_of(eos=2), inputs(end=VOCABULARY - 1)
    want = twin(input_ids=tokens, pixel_values=images).logits_per_image
    torch.testing.assert_close(from_clip(twin)(images, tokens), want, atol=1e-10, rtol=1e-10)


@torch.no_grad()
def test_weights_are_read_from_the_files_that_the_twins_save(tmp_path):
    images, tokens = inputs()
    for twin, convert, empty, rename in (
        (twin_of(), from_clip, CLIP, weights_from_clip),
        (siglip_of(), from_siglip, SigLIP, weights_from_siglip),
    ):
        twin.save_pretrained(tmp_path / empty.__name__)
        model = empty(convert(twin).config).double().eval()
        load_weights(model, rename(load_file(tmp_path / empty.__name__ / "model.safetensors")))
        want = twin(input_ids=tokens, pixel_values=images).logits_per_image
        torch.testing.assert_close(model(images, tokens), want, atol=1e-10, rtol=1e-10)


@torch.no_grad()
def test_what_was_saved_is_what_is_loaded(tmp_path):
    images, tokens = inputs(dtype=torch.float32)
    for model in (from_clip(twin_of().float()), from_siglip(siglip_of().float())):
        save(model, tmp_path / "model.safetensors")
        again = load(type(model), tmp_path / "model.safetensors")
        torch.testing.assert_close(again(images, tokens), model(images, tokens), atol=1e-6, rtol=1e-6)


def test_the_presets_have_the_parameters_of_the_published_models():
    for kind, config, millions in ((CLIP, CLIPConfig(), 151.3), (SigLIP, SigLIPConfig(), 203.2)):
        with torch.device("meta"):
            count = sum(weight.numel() for weight in kind(config).parameters())
        assert abs(count / 1e6 - millions) < 0.1, count


def test_what_we_do_not_have_is_refused():
    with pytest.raises(ValueError, match="relu"):
        from_clip(twin_of(act="relu"))
    with pytest.raises(ValueError, match="'relu'"):
        from_siglip(siglip_of(hidden_act="relu"))
    with pytest.raises(ValueError, match="num_channels 1"):
        from_clip(twin_of(num_channels=1))
    images, tokens = inputs()
    for model in (from_clip(twin_of()), from_siglip(siglip_of())):
        with pytest.raises(ValueError, match=r"\(B, 3, 12, 12\)"):
            model(images[..., :8], tokens)
        with pytest.raises(ValueError, match="10 tokens, the limit is 9"):
            model(images, torch.full((2, 10), END))
    with pytest.raises(ValueError, match="no end-of-text token, 29"):
        from_clip(twin_of()).text_features(torch.full((1, 4), 3))
    with pytest.raises(ValueError, match="widths 8 and 9"):
        SigLIPConfig(image=TowerConfig(8, 1, 1, 8), text=TowerConfig(9, 1, 1, 8))
    for kind in (CLIPConfig, SigLIPConfig):
        with pytest.raises(ValueError, match="norm_eps nan"):
            kind(norm_eps=float("nan"))
        with pytest.raises(ValueError, match="30 x 30 pixels is not divisible into patches of 8"):
            kind(image_size=30, patch_size=8)
