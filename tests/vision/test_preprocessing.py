"""Preprocessing against transformers' image processors, SciPy and what each step promises."""

import numpy as np
import pytest
import torch
from transformers import ViTImageProcessor

from nimblelm.data.emoji import pictures
from nimblelm.vision.preprocessing import IMAGENET_MEAN, IMAGENET_STD, augment, center_crop, normalize, resize, restyle


def test_normalized_pixels_are_those_of_the_processor_of_published_models():
    images = pictures("noto")[:5]
    processor = ViTImageProcessor(do_resize=False)
    want = processor(list(images.permute(0, 2, 3, 1).numpy()), return_tensors="pt").pixel_values
    torch.testing.assert_close(normalize(images), want)
    theirs = ViTImageProcessor(do_resize=False, image_mean=IMAGENET_MEAN, image_std=IMAGENET_STD)
    want = theirs(list(images.permute(0, 2, 3, 1).numpy()), return_tensors="pt").pixel_values
    torch.testing.assert_close(normalize(images, IMAGENET_MEAN, IMAGENET_STD), want)


def test_a_smaller_image_is_made_of_means():
    images = torch.arange(64.0).view(1, 1, 8, 8)
    assert torch.allclose(resize(images, 2, 2).mean(), images.mean())
    assert torch.equal(resize(images, 8, 8), images)
    checkers = (torch.arange(32)[:, None] + torch.arange(32)).remainder(2).float()[None, None]
    assert (resize(checkers, 8, 8) - 0.5).abs().max() < 0.05  # without the mean a pattern would be left


def test_the_crop_is_from_the_middle():
    images = torch.arange(5 * 8).view(1, 1, 5, 8).float()
    assert torch.equal(center_crop(images, 3)[0, 0], images[0, 0, 1:4, 2:5])


def test_variations_come_from_the_generator_and_leave_pictures_recognisable():
    images = normalize(pictures("twemoji")[:64])
    one, same, other = (augment(images, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    varied = np.corrcoef(one.mean(1).flatten(1).numpy(), images.mean(1).flatten(1).numpy())[:64, 64:]
    assert (varied.argmax(1) == np.arange(64)).mean() > 0.3  # chance is 1 in 64


def test_half_of_the_images_are_mirrored_only_if_asked():
    images = torch.zeros(400, 3, 16, 16)
    images[:, :, :, :5] = 1.0  # the left is bright
    for flip, share in ((True, 0.5), (False, 0.0)):
        varied = augment(images, torch.Generator().manual_seed(0), flip)
        mirrored = (varied[..., 11:].mean((1, 2, 3)) > varied[..., :5].mean((1, 2, 3))).float().mean()
        assert abs(mirrored - share) < 0.08


def test_a_larger_scale_shows_the_thing_smaller():
    images = torch.ones(200, 3, 32, 32)
    images[:, :, 12:20, 12:20] = -1.0
    small, large = (augment(images, torch.Generator().manual_seed(0), scale=(s, s)) for s in (1.6, 0.8))
    dark = [(one.mean(1) < 0).float().sum().item() for one in (small, large)]
    assert 3.2 < dark[1] / dark[0] < 4.8  # four times the area


def test_other_styles_keep_what_is_drawn():
    """Some images get a dark line along the dark side of their edges, some fade; white stays white."""
    images = torch.ones(400, 3, 16, 16)
    images[:, :, 4:12, 4:12] = 0.0  # a grey square on white
    one, same = (restyle(images, torch.Generator().manual_seed(0)) for _ in range(2))
    assert torch.equal(one, same)
    assert one.max() <= 1
    assert one.min() >= -1
    border, inside = one[:, :, 4, 4:12].mean((1, 2)), one[:, :, 7:9, 7:9].mean((1, 2, 3))
    outlined = border < inside - 0.3
    assert abs(outlined.float().mean() - 0.4) < 0.08
    faded = inside > 0
    assert abs(faded.float().mean() - 0.5) < 0.08
    assert inside.max() <= 0.5
    assert torch.equal(one[:, :, 0, 0], torch.ones(400, 3))


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="float32"):
        normalize(torch.zeros(1, 3, 4, 4))
    with pytest.raises(ValueError, match=r"std \(0\.0"):
        normalize(pictures("noto")[:1], std=(0.0, 1.0, 1.0))
    with pytest.raises(ValueError, match="0 x 4"):
        resize(torch.zeros(1, 3, 4, 4), 0, 4)
    with pytest.raises(ValueError, match="5 pixels does not fit"):
        center_crop(torch.zeros(1, 3, 4, 8), 5)
    with pytest.raises(ValueError, match="3 channels"):
        augment(torch.zeros(1, 1, 4, 4), torch.Generator())
    with pytest.raises(ValueError, match="3 channels"):
        restyle(torch.zeros(1, 1, 4, 4), torch.Generator())
    with pytest.raises(ValueError, match=r"scale \(1\.3, 0\.9\)"):
        augment(torch.zeros(1, 3, 4, 4), torch.Generator(), scale=(1.3, 0.9))
