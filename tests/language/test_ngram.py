"""n-gram models: distributions, counts by hand, mixtures between their parts, whole words that know no others."""

import math

import pytest

from nimblelm.language.ngram import Mixture, NGram, WholeWords, perplexity

SENTENCES = [[1, 2, 3], [1, 2], [2, 3, 3], [1, 3]]


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("labels", [(), (1,), (1, 2), (3, 1), (4, 4)])
def test_every_answer_is_a_distribution(order, labels):
    model = NGram(SENTENCES, order, vocab_size=5)
    assert sum(map(math.exp, model(labels))) == pytest.approx(1)
    assert min(model(labels)) > -math.inf


def test_a_bigram_by_hand():
    model = NGram([[1, 2], [1, 3]], order=2, vocab_size=4, discount=0.5)
    # pairs (0 1) twice, (1 2), (1 3), (2 0), (3 0): five types; types before 0: two, before 1, 2, 3: one each
    unigram = [(1.5 + 0.5 * 4 / 4) / 5, *[(0.5 + 0.5 * 4 / 4) / 5] * 3]
    after_one = 0.5 * 2 / 2  # half of the mass goes to the unigram
    assert math.exp(model((1,))[2]) == pytest.approx(0.5 / 2 + after_one * unigram[2])
    assert math.exp(model((1,))[0]) == pytest.approx(after_one * unigram[0])


def test_more_context_fits_its_text_better_and_a_mixture_lies_between():
    one, three = (NGram(SENTENCES * 3, order, 5) for order in (1, 3))
    assert perplexity(three, SENTENCES) < perplexity(one, SENTENCES)
    mixed = Mixture([one, three], [0.3, 0.7])
    assert math.exp(mixed((1,))[2]) == pytest.approx(0.3 * math.exp(one((1,))[2]) + 0.7 * math.exp(three((1,))[2]))


def test_whole_words_are_counted_letter_by_letter_and_others_are_impossible():
    model = WholeWords([[1, 2], [1, 2], [1, 3]], 4)
    assert math.exp(model((1,))[2]) == pytest.approx(2 / 3)
    assert math.exp(model((1, 2))[0]) == pytest.approx(1)
    assert model((2,)) == [-math.inf] * 4
    assert perplexity(model, [[1, 2]]) == pytest.approx((3 / 2) ** (1 / 3))


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="label 7"):
        NGram([[7]], 2, 5)
    with pytest.raises(ValueError, match="discount"):
        NGram(SENTENCES, 2, 5, discount=math.nan)
    with pytest.raises(ValueError, match="weights"):
        Mixture([NGram(SENTENCES, 1, 5)], [0.5])
