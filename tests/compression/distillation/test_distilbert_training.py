"""A student cut out of its teacher, BERT's masks, and three losses beside padding."""

import pytest
import torch
import torch.nn.functional as F

from nimblelm.compression.distillation.distilbert import LAYERS, WEIGHTS, student_of, triple_loss
from nimblelm.compression.distillation.masking import mask_tokens
from nimblelm.language.bert import Bert, BertConfig
from nimblelm.nn.attend import masked
from tests.language.perturbed import padding, perturbed, tokens_of

SHAPE = BertConfig(vocab_size=40, d_model=12, num_layers=12, num_heads=3, d_ff=10, max_seq_len=16)


def a_teacher() -> Bert:
    torch.manual_seed(0)
    model = perturbed(Bert(SHAPE))
    assert isinstance(model, Bert)
    return model


@torch.no_grad()
def test_a_student_of_all_layers_is_the_teacher():
    teacher, tokens = a_teacher(), tokens_of(40, 2, 9)
    student = student_of(teacher, range(12))
    torch.testing.assert_close(student(tokens), teacher(tokens), atol=1e-10, rtol=1e-10)
    assert student.head.weight is student.embedding.weight


@torch.no_grad()
def test_the_six_layers_are_those_of_the_authors_script_and_copies():
    teacher = a_teacher()
    student = student_of(teacher)
    assert LAYERS == (0, 2, 4, 7, 9, 11)
    assert WEIGHTS == (5.0, 2.0, 1.0)
    x = torch.randn(1, 5, 12, dtype=torch.float64)
    want = x
    for i in (0, 2, 4, 7, 9, 11):
        want = teacher.blocks[i](want, masked(torch.ones(5, 5, dtype=torch.bool)))
    torch.testing.assert_close(student.states(x), want, atol=1e-10, rtol=1e-10)
    before = teacher(tokens_of(40, 1, 5))
    for parameter in student.parameters():
        parameter.zero_()
    assert torch.equal(teacher(tokens_of(40, 1, 5)), before)


@pytest.mark.parametrize("layers", [(), (0, 12), (2, 1), (1, 1), (-1, 2)])
def test_layers_that_are_not_there_are_refused(layers):
    with pytest.raises(ValueError, match="12"):
        student_of(a_teacher(), layers)


def test_four_fifths_of_what_is_asked_become_masks_and_nothing_else_changes():
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(5, 40, (64, 128), generator=generator)
    may_mask = padding([*range(65, 129)], 128, "right")
    read, labels = mask_tokens(tokens, may_mask, 4, 40, generator, 0.2)
    asked = labels != -100
    assert not asked[~may_mask].any()
    assert torch.equal(labels[asked], tokens[asked])
    assert torch.equal(read[~asked], tokens[~asked])
    assert asked.sum() / may_mask.sum() == pytest.approx(0.2, abs=0.02)
    kinds = [(read[asked] == 4), (read[asked] == tokens[asked])]
    shares = [kind.float().mean().item() for kind in kinds]
    assert shares == pytest.approx([0.8 + 0.1 / 40, 0.1 + 0.1 / 40], abs=0.02)
    assert mask_tokens(tokens, may_mask, 4, 40, generator, 0.0).labels.eq(-100).all()


def test_masking_refuses_what_does_not_fit():
    tokens, generator = tokens_of(40, 2, 5), torch.Generator()
    seen = torch.ones(2, 5, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"rate 1\.5"):
        mask_tokens(tokens, seen, 4, 40, generator, 1.5)
    with pytest.raises(ValueError, match="mask_token 40"):
        mask_tokens(tokens, seen, 40, 40, generator)
    with pytest.raises(ValueError, match="int8"):
        mask_tokens(tokens.to(torch.int8), seen, 4, 400, generator)


def three(batch: int = 3, length: int = 6, classes: int = 11, width: int = 5) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    draw = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    is_token = padding([6, 2, 4], length, "right")
    labels = torch.full((batch, length), -100)
    labels[0, 1], labels[1, 0], labels[2, 3] = 4, 10, 0
    return {
        "student_logits": draw(batch, length, classes),
        "teacher_logits": draw(batch, length, classes),
        "student_states": draw(batch, length, width),
        "teacher_states": draw(batch, length, width),
        "labels": labels,
        "is_token": is_token,
    }


def test_each_of_three_losses_is_counted_row_by_row():
    given = three()
    soft, cosine, hard = [], [], []
    for b, t in given["is_token"].nonzero().tolist():
        p = (given["teacher_logits"][b, t] / 2).softmax(-1)
        log_q = (given["student_logits"][b, t] / 2).log_softmax(-1)
        soft.append(4 * F.kl_div(log_q, p, reduction="sum"))
        cosine.append(1 - torch.cosine_similarity(given["student_states"][b, t], given["teacher_states"][b, t], dim=0))
    for b, t in (given["labels"] != -100).nonzero().tolist():
        hard.append(-given["student_logits"][b, t].log_softmax(-1)[given["labels"][b, t]])
    got = triple_loss(**given)
    want = [torch.stack(each).mean() for each in (soft, hard, cosine)]
    torch.testing.assert_close(list(got), want)
    torch.testing.assert_close(got.total(), 5 * want[0] + 2 * want[1] + want[2])


def test_what_stands_at_padding_changes_nothing():
    given = three()
    want = triple_loss(**given)
    for name in ("student_logits", "teacher_logits", "student_states", "teacher_states"):
        given[name][~given["is_token"]] = torch.nan
    torch.testing.assert_close(triple_loss(**given), want)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": torch.full((3, 6), -100)}, "0 have a label"),
        ({"is_token": torch.zeros(3, 6, dtype=torch.bool)}, "0 positions are text"),
        ({"labels": torch.zeros(3, 6, dtype=torch.long)}, "labels stand on padding"),
    ],
)
def test_three_losses_refuse_what_does_not_fit(change, words):
    with pytest.raises(ValueError, match=words):
        triple_loss(**(three() | change))
