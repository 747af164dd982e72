"""Our LLaVA against its twin, transformers' LlavaForConditionalGeneration."""

import copy

import pytest
import torch
from safetensors.torch import load_file
from transformers import LlavaConfig as TheirConfig
from transformers import LlavaForConditionalGeneration

from nimblelm.language.splice import IGNORED, next_token_labels
from nimblelm.multimodal.llava import Llava, LlavaConfig, from_llava, weights_from_llava
from nimblelm.multimodal.stages import STAGES, train_only
from nimblelm.nn.checkpoint import load, load_weights, save
from tests.language.perturbed import PRECISIONS, perturbed

SHAPES = [  # encoder: heads, width, layers, d_ff, size, patch; decoder: heads, kv heads, width, layers, d_ff
    (3, 24, 3, 20, 12, 4, 4, 2, 24, 2, 13),
    (1, 10, 2, 7, 15, 5, 3, 3, 18, 1, 31),
    (2, 12, 4, 30, 8, 2, 2, 1, 12, 3, 9),
]
IMAGE, VOCABULARY = 30, 31


def twin_of(shape=SHAPES[0], **changes) -> LlavaForConditionalGeneration:
    heads, width, layers, d_ff, size, patch, text_heads, kv_heads, d_model, text_layers, text_ff = shape
    torch.manual_seed(0)
    vision = dict(model_type="clip_vision_model", hidden_size=width, intermediate_size=d_ff, image_size=size)
    vision |= dict(patch_size=patch, num_hidden_layers=layers, num_attention_heads=heads, layer_norm_eps=1e-3)
    text = dict(model_type="llama", vocab_size=VOCABULARY, hidden_size=d_model, intermediate_size=text_ff)
    text |= dict(num_hidden_layers=text_layers, num_attention_heads=text_heads, num_key_value_heads=kv_heads)
    text |= dict(max_position_embeddings=64, rms_norm_eps=1e-3, pad_token_id=0)
    config = TheirConfig(vision_config=vision, text_config=text, image_token_index=IMAGE, **changes)
    return perturbed(LlavaForConditionalGeneration(config))


def conversations(patches: int) -> tuple[list[torch.Tensor], torch.Tensor, torch.Tensor]:
    """Texts with one picture, with two, and with none; and the same for the twin, its placeholders repeated, padded."""
    generator = torch.Generator().manual_seed(1)
    words = [torch.randint(1, IMAGE, (length,), generator=generator) for length in (5, 9, 4)]
    words[0][2] = words[1][0] = words[1][6] = IMAGE
    rows = [torch.cat([w.repeat(patches if w == IMAGE else 1) for w in row.split(1)]) for row in words]
    longest = max(map(len, rows))
    ids, mask = torch.zeros(3, longest, dtype=torch.long), torch.zeros(3, longest, dtype=torch.long)
    for i, row in enumerate(rows):
        ids[i, : len(row)], mask[i, : len(row)] = row, 1
    return words, ids, mask


def pictures_of(twin, dtype=torch.float64) -> torch.Tensor:
    size = twin.config.vision_config.image_size
    return torch.randn(3, 3, size, size, generator=torch.Generator().manual_seed(2), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@torch.no_grad()
def test_logits_agree_with_the_twin_on_several_pictures(shape, dtype, tolerance):
    twin = twin_of(shape).to(dtype)
    words, ids, mask = conversations((shape[4] // shape[5]) ** 2)
    want = twin(input_ids=ids, attention_mask=mask, pixel_values=pictures_of(twin, dtype)).logits
    model = from_llava(twin)
    got, spliced = model(words, pictures_of(twin, dtype))
    assert torch.equal(spliced.visible, mask.bool())
    torch.testing.assert_close(got[mask.bool()], want[mask.bool()], atol=tolerance, rtol=tolerance)
    left, aligned = model(words, pictures_of(twin, dtype), padding_side="left")
    torch.testing.assert_close(left[aligned.visible], got[spliced.visible], atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("layers", [-1, [-2, -1], [1, -3]])
@pytest.mark.parametrize("keep", ["default", "full"])
@torch.no_grad()
def test_layers_and_class_token_agree_with_the_twin(layers, keep):
    twin = twin_of(vision_feature_layer=layers, vision_feature_select_strategy=keep)
    want = torch.stack(list(twin.model.get_image_features(pictures_of(twin)).pooler_output))
    torch.testing.assert_close(from_llava(twin).see(pictures_of(twin)), want, atol=1e-10, rtol=1e-10)


def test_loss_and_gradients_agree_with_the_twin():
    twin = twin_of()
    model = from_llava(copy.deepcopy(twin)).requires_grad_(True)
    words, ids, mask = conversations(9)
    labels = torch.where((mask == 1) & (ids != IMAGE), ids, IGNORED)
    theirs = twin(input_ids=ids, attention_mask=mask, pixel_values=pictures_of(twin), labels=labels).loss
    own = [torch.where(row == IMAGE, IGNORED, row) for row in words]
    logits, spliced = model(words, pictures_of(twin), own)
    assert torch.equal(spliced.labels, labels)
    ours = torch.nn.functional.cross_entropy(logits.flatten(0, 1), next_token_labels(spliced.labels).flatten())
    torch.testing.assert_close(ours.float(), theirs, atol=1e-6, rtol=1e-6)  # theirs is of logits in float32
    theirs.backward()
    ours.backward()
    grads = {name: one.grad for name, one in twin.named_parameters() if one.grad is not None}
    for name, weight in twin.named_parameters():  # the last block and the last norm of the encoder are not used
        grads.setdefault(name, torch.zeros_like(weight))
    want = weights_from_llava(grads)
    for name, parameter in model.named_parameters():
        got = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        torch.testing.assert_close(got, want[name], atol=1e-6, rtol=1e-5)


def test_saved_names_load_and_ours_come_back(tmp_path):
    twin = twin_of()
    twin.save_pretrained(tmp_path)
    model = from_llava(twin)
    other = Llava(model.config).double()
    load_weights(other, weights_from_llava(load_file(tmp_path / "model.safetensors")))
    for name, weight in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], weight), name
    save(model.float(), tmp_path / "ours.safetensors")
    assert load(Llava, tmp_path / "ours.safetensors").config == model.config


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"projector_hidden_act": "relu"}, "must be 'gelu'"), ({"multimodal_projector_bias": False}, "with biases")],
)
def test_what_we_do_not_have_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        from_llava(twin_of(**changes))
    config = from_llava(twin_of()).config
    with pytest.raises(ValueError, match="layers \\(-9,\\) are not among the 4 states"):
        LlavaConfig(config.vision, config.language, layers=(-9,))
    with pytest.raises(ValueError, match="image_id -200 is negative"):
        LlavaConfig(config.vision, config.language, image_id=-200)


def test_a_stage_trains_its_parts_and_leaves_the_others_as_they_are():
    model = from_llava(twin_of())
    for parts in (*STAGES["LLaVA"], *STAGES["Yi-VL"]):
        trained = train_only(model, parts)
        optimizer = torch.optim.AdamW(trained, lr=0.1, weight_decay=0.5)
        before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
        words, _, _ = conversations(9)
        model(words, pictures_of(twin_of()))[0].square().mean().backward()
        optimizer.step()
        changed = {
            name.split(".")[0] for name, weight in model.named_parameters() if not torch.equal(weight, before[name])
        }
        assert changed == set(parts)
        assert {name for name, part in model.named_children() if part.training} == set(parts)
    for parts in ((), ("projector",)):
        with pytest.raises(ValueError, match="not among encoder, connector, language"):
            train_only(model, parts)
