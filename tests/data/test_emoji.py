"""The picture set: names, attributes and drawings belong together, splits leave what they promise, answers are true."""

from collections import Counter

import pytest
import torch
import torch.nn.functional as F

from nimblelm.data.emoji import FOLDER, GENDERS, SKIN_TONES, STYLES, concept, concepts, pictures
from nimblelm.data.emoji.scenes import ask, draw_scene
from nimblelm.data.emoji.splits import has_held_out_pair, held_out_composition, held_out_concept, held_out_pair

HUES = {"red": 0, "orange": 30, "yellow": 50, "green": 120, "blue": 210, "purple": 275}  # degrees
POOL = [one for one in concepts() if one.category in ("food", "animal")][::6]


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def test_every_name_and_caption_stands_once_and_rows_are_indices():
    names, captions = [one.name for one in concepts()], [one.caption for one in concepts()]
    assert len(set(names)) == len(names) == len(set(captions)) > 2800
    assert [one.index for one in concepts()] == list(range(len(names)))
    assert all(len(pictures(style)) == len(names) for style in STYLES)
    assert min(Counter(one.category for one in concepts()).values()) >= 8


def test_attributes_are_those_of_the_name():
    judge = concept("woman-judge-medium-dark-skin-tone")
    assert (judge.gender, judge.role, judge.skin_tone, judge.category) == ("woman", "judge", "medium-dark", "person")
    assert (concept("judge").gender, concept("judge").skin_tone) == ("person", None)
    assert (concept("man-red-hair").hair, concept("blue-heart").colour) == ("red hair", "blue")
    assert concept("vertical-traffic-light").skin_tone is None
    assert concept("red-apple").colour is None  # apples come in two colours
    roles = {one.role for one in concepts() if one.role}
    drawn = {(one.role, one.gender) for one in concepts() if one.role and not one.skin_tone}
    assert drawn == {(role, gender) for role in roles for gender in GENDERS}


def test_a_name_that_is_not_there_is_refused_with_names_that_are_alike():
    with pytest.raises(ValueError, match=r"'red-aple'.*red"):
        concept("red-aple")
    with pytest.raises(ValueError, match=r"'apple'.*noto"):
        pictures("apple")


@pytest.mark.parametrize("style", STYLES)
def test_hearts_and_circles_have_the_colour_that_their_name_says(style):
    for thing in ("heart", "circle"):
        drawn = {colour: pictures(style)[concept(f"{colour}-{thing}").index].float() / 255 for colour in HUES}
        off = {colour: (hue(drawn[colour]) - degrees + 180) % 360 - 180 for colour, degrees in HUES.items()}
        assert max(map(abs, off.values())) < 55, off  # OpenMoji's green is a lime
        around = [HUES[colour] + off[colour] for colour in HUES]
        assert around == sorted(around)


def hue(picture):
    """The mean colour's hue in degrees, of the pixels that have a colour at all."""
    coloured = picture[:, (picture.amax(0) - picture.amin(0)) > 0.2]
    red, green, blue = coloured.mean(1).tolist()
    angle = torch.atan2(torch.tensor(3**0.5 * (green - blue)), torch.tensor(2 * red - green - blue))
    return float(torch.rad2deg(angle))


def test_two_styles_draw_the_same_thing_in_the_same_row():
    base = [one.index for one in concepts() if one.skin_tone is None]
    flat = {style: F.avg_pool2d(pictures(style)[base].float(), 4).flatten(1) for style in STYLES}
    flat = {style: F.normalize(x - x.mean(0), dim=1) for style, x in flat.items()}
    for one, other in (("noto", "twemoji"), ("noto", "fluent"), ("openmoji", "twemoji")):
        alike = flat[one] @ flat[other].T
        rank = (alike > alike.diagonal()[:, None]).float().mean(1)  # share of other rows that look more alike
        assert rank.median() < 0.1, (one, other)


@pytest.mark.parametrize("style", STYLES)
def test_darker_tones_are_darker(style):
    for person in ("waving-hand", "ear", "folded-hands"):
        light = [pictures(style)[concept(f"{person}-{tone}-skin-tone").index].float().mean() for tone in SKIN_TONES]
        assert light == sorted(light, reverse=True), person


def test_held_out_parts_are_small_and_leave_every_part_of_a_composition():
    base = [one for one in concepts() if one.skin_tone is None]
    assert 0.12 < sum(map(held_out_concept, base)) / len(base) < 0.18
    assert all(held_out_concept(one) == held_out_concept(concept(toneless(one))) for one in concepts())
    held = [one for one in base if held_out_composition(one)]
    kept = [one for one in base if one.role and not held_out_composition(one)]
    assert 25 <= len(held) <= 45
    for one in held:
        assert {other.gender for other in kept if other.role == one.role} == set(GENDERS) - {one.gender}
        assert sum(other.gender == one.gender for other in kept) > 40
    pairs = [held_out_pair(one, other) for one in POOL for other in POOL if one.index < other.index]
    assert 0.1 < sum(pairs) / len(pairs) < 0.2
    assert held_out_pair(POOL[0], POOL[1]) == held_out_pair(POOL[1], POOL[0])
    assert any(has_held_out_pair(POOL[i : i + 4]) for i in range(20))
    assert not has_held_out_pair(POOL[:1])


def toneless(one):
    return one.name.removesuffix(f"-{one.skin_tone}-skin-tone")


def seen_in(scene):
    """What stands where, read from the picture alone: each cell's best match among the pool at every size and shift."""
    found = {}
    drawn = torch.stack([pictures(scene.style)[one.index] for one in POOL]).float()
    for row in range(2):
        for column in range(2):
            cell = scene.picture[:, 32 * row : 32 * row + 32, 32 * column : 32 * column + 32].float()
            ink = (cell.amin(0) < 250).nonzero()
            if len(ink):
                (top, left), (bottom, right) = ink.amin(0).tolist(), (ink.amax(0) + 1).tolist()
                crop = resized(cell[:, top:bottom, left:right])
                shown = [resized(trimmed(picture)) for picture in drawn]
                errors = torch.stack([(crop - one).abs().mean() for one in shown])
                found[row, column] = POOL[int(errors.argmin())]
    return found


def trimmed(picture):
    ink = (picture.amin(0) < 250).nonzero()
    (top, left), (bottom, right) = ink.amin(0).tolist(), (ink.amax(0) + 1).tolist()
    return picture[:, top:bottom, left:right]


def resized(picture):
    return F.interpolate(picture[None], (16, 16), mode="bilinear", antialias=True)[0]


def test_answers_hold_for_what_can_be_seen_in_the_picture():
    generator, asked = rng(), Counter()
    steps = {"left of": (0, 1), "right of": (0, -1), "above": (1, 0), "below": (-1, 0)}  # from the answer to the asked
    for i in range(60):
        scene = draw_scene(POOL, STYLES[i % 4], generator)
        seen = seen_in(scene)
        assert seen == {(one.row, one.column): one.concept for one in scene.placed}
        names = [one.caption for one in seen.values()]
        for question in ask(scene, POOL, generator):
            asked[question.kind, question.answer if question.kind != "what" else ""] += 1
            if question.kind == "what":
                relation = next(one for one in steps if f"is {one} " in question.text)
                subject = question.text.partition(" the ")[2]
                (at,) = [cell for cell, one in seen.items() if one.caption == question.answer and (
                    (cell[0] + steps[relation][0], cell[1] + steps[relation][1]) in seen
                    and seen[cell[0] + steps[relation][0], cell[1] + steps[relation][1]].caption == subject
                )]  # fmt: skip
                assert names.count(subject) == 1, at
            elif question.kind == "count":
                assert names.count(question.text.removeprefix("how many of ")) == int(question.answer)
            else:
                assert (question.text.removeprefix("is there a ") in names) == (question.answer == "yes")
    assert {("what", ""), ("count", "1"), ("count", "2"), ("exists", "yes"), ("exists", "no")} <= asked.keys()
    assert min(asked["exists", "yes"], asked["exists", "no"]) > 15


def test_a_scene_comes_from_its_seed_and_needs_two_concepts():
    one, other = draw_scene(POOL, "noto", rng(3)), draw_scene(POOL, "noto", rng(3))
    assert torch.equal(one.picture, other.picture)
    assert one.caption == other.caption
    assert len(draw_scene(POOL[:2], "noto", rng(1)).placed) >= 2
    with pytest.raises(ValueError, match="2 concepts or more, got 1"):
        draw_scene(POOL[:1], "noto", rng())


def test_the_set_is_small_and_its_licences_are_beside_it():
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) < 3 * 2**20
    notice = (FOLDER / "NOTICE").read_text()
    assert all(f"{style}.npz.xz" in notice for style in STYLES)
