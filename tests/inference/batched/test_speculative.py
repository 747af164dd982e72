"""The batched speculative decoder: plain decoding's tokens and distribution, row by row, whatever the draft."""

import pytest
import torch

from nimblelm.inference.batched.device_sampling import DeviceSampler
from nimblelm.inference.batched.speculative import HISTORY, SpeculativeDecoder
from nimblelm.inference.batched.static_model import StaticModel
from nimblelm.inference.decoding.autoregressive import generate
from nimblelm.inference.decoding.cache import CachedModel, KVCache
from nimblelm.inference.decoding.sampling import GREEDY, Sampling, probabilities
from nimblelm.inference.speculative.acceptance_stats import AcceptanceStats
from nimblelm.inference.speculative.adaptive_length import AdaptiveLength
from nimblelm.inference.speculative.decoder import speculative_generate
from tests.inference.models import RowSampler, StaticMarkov, assert_joint_distribution, random_table, varied_pair

PROMPTS = [torch.arange(length) * 7 % 50 for length in (1, 2, 9, 30)]


class Cycle(AdaptiveLength):
    """Takes the draft lengths in turn, whatever they yield."""

    def __init__(self, lengths: list[int]):
        super().__init__({length: 1.0 for length in lengths})
        self.lengths, self.turn = lengths, 0

    def choose(self) -> int:
        self.turn += 1
        return self.lengths[(self.turn - 1) % len(self.lengths)]


def decoder_of(
    pair, lengths, sampler: DeviceSampler | None = None, eos_token: int | None = None, batch_size: int = len(PROMPTS)
) -> SpeculativeDecoder:
    target, draft = (StaticModel(model, batch_size, max_seq_len=110) for model in pair)
    return SpeculativeDecoder(target, draft, sampler or DeviceSampler(GREEDY, torch.Generator()), lengths, eos_token)


def plain(target, count: int = 40, eos_token: int | None = None) -> list[list[int]]:
    return [generate(CachedModel(target), prompt, count, eos_token=eos_token).tolist() for prompt in PROMPTS]


def test_greedy_rows_equal_plain_decoding_and_keep_as_many_drafts_as_the_plain_speculative_decoder():
    pair = varied_pair()
    decoder, expected = decoder_of(pair, [0, 1, 2, 5, 9]), plain(pair[0])
    for length in decoder.draft_lengths:
        output = decoder.generate(PROMPTS, 40, length)
        assert output.tokens == expected
        for sequence, prompt in enumerate(PROMPTS):
            single = speculative_generate(
                *map(CachedModel, pair), torch.tensor([*prompt, expected[sequence][0]]), 39, length
            )
            kept = [r.num_accepted for r in single.rounds]
            ours = [r.num_accepted for r in output.rounds(sequence)]
            assert ours[: len(kept) - 3] == kept[: len(kept) - 3], "the last rounds of the plain one draft less"
            if length:
                assert 0 < AcceptanceStats.from_rounds(output.rounds(sequence)).acceptance_rate < 1


def test_lengths_may_change_from_round_to_round():
    pair = varied_pair()
    decoder, expected = decoder_of(pair, [0, 1, 4]), plain(pair[0])
    for lengths in ([4, 0, 1], [0, 0, 4], [0] * 20 + [4, 4], [1, 4]):
        assert decoder.generate(PROMPTS, 40, Cycle(lengths)).tokens == expected


def test_sampled_rows_equal_single_texts_given_their_randomness():
    pair, seeds = varied_pair(), [11, 12, 13, 14]
    for sampling in (Sampling(), Sampling(0.8, top_k=20, top_p=0.95)):
        output = decoder_of(pair, [3], RowSampler(sampling, seeds)).generate(PROMPTS, [40, 25, 1, 33], 3)
        for sequence, count in enumerate([40, 25, 1, 33]):
            single = decoder_of(pair, [3], RowSampler(sampling, [seeds[sequence]]), batch_size=1)
            assert single.generate([PROMPTS[sequence]], count, 3).tokens == [output.tokens[sequence]]
            assert len(output.tokens[sequence]) == count
        assert (
            output.tokens[0] != decoder_of(pair, [3], RowSampler(sampling, [5] * 4)).generate(PROMPTS, 40, 3).tokens[0]
        )


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(temperature=0.6, top_k=3), Sampling(top_p=0.7)])
@pytest.mark.parametrize("lengths", [[1], [3], [0, 2]])
def test_joint_distribution_of_three_tokens_is_the_targets(sampling, lengths):
    batch_size, table = 20_000, random_table(4, 0)
    target, draft = StaticMarkov(table, batch_size), StaticMarkov(random_table(4, 1), batch_size)
    decoder = SpeculativeDecoder(target, draft, DeviceSampler(sampling, torch.Generator().manual_seed(7)), lengths)
    output = decoder.generate([torch.tensor([2])] * batch_size, 3, Cycle(lengths))
    assert_joint_distribution(output.tokens, probabilities(target.logits, sampling), first=2)


@pytest.mark.parametrize("sampling", [GREEDY, Sampling()])
def test_a_draft_equal_to_the_target_keeps_every_token(sampling):
    target, _ = varied_pair()
    decoder = decoder_of((target, target), [5], DeviceSampler(sampling, torch.Generator().manual_seed(0)))
    output = decoder.generate(PROMPTS, 37, 5)
    assert output.draft_lengths == [5] * 6
    assert all(r.num_accepted == 5 for sequence in range(4) for r in output.rounds(sequence))


def test_a_draft_that_never_agrees_changes_nothing():
    table = random_table(6, 3)
    wrong = torch.nn.functional.one_hot((table.argmax(1) + 1) % 6, 6).float() + 1e-9
    target, draft = StaticMarkov(table, 1), StaticMarkov(wrong, 1)
    decoder = SpeculativeDecoder(target, draft, DeviceSampler(GREEDY, torch.Generator()), [4])
    output = decoder.generate([torch.tensor([0])], 20, 4)
    token, expected = 0, []
    for _ in range(20):
        token = int(table[token].argmax())
        expected.append(token)
    assert output.tokens == [expected]
    assert [r.num_accepted for r in output.rounds(0)] == [0] * 19


def test_the_end_of_text_cuts_a_block_in_the_middle():
    target, _ = varied_pair()
    lengths = set()
    for eos in set(plain(target)[2][:9]):
        decoder = decoder_of((target, target), [7], eos_token=eos)
        output = decoder.generate(PROMPTS, 40, 7)
        assert output.tokens == plain(target, eos_token=eos)
        assert output.tokens[2][-1] == eos
        lengths.add(len(output.tokens[2]) % 8)
    assert len(lengths) > 4, "the ends fell on too few places of a block"


def test_every_text_gets_exactly_what_it_asked_for():
    pair = varied_pair()
    decoder, expected = decoder_of(pair, [5]), plain(pair[0])
    for counts in ([1, 1, 1, 1], [2, 6, 7, 8], [40, 1, 13, 2]):
        output = decoder.generate(PROMPTS, counts, 5)
        assert output.tokens == [tokens[:count] for tokens, count in zip(expected, counts, strict=True)]


def audited(cache: KVCache, model, sequence: list[int], row: int, rows: int) -> None:
    """The first `rows` rows of a sequence's cache are those of a fresh prefill."""
    fresh = KVCache.allocate(model, 110)
    model(torch.tensor([sequence]), fresh.at(0, len(sequence)))
    for ours, its in zip(cache, fresh, strict=True):
        torch.testing.assert_close(ours[:, row, :rows], its[:, 0, :rows], atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("lengths", [[4], [2, 0, 0, 4], [0] * (HISTORY + 5) + [3, 3]])
@torch.inference_mode()
def test_both_caches_are_those_of_a_fresh_prefill_after_every_round(lengths):
    (target, draft), counts = varied_pair(), [60, 9, 60, 44]
    decoder = decoder_of((target, draft), sorted(set(lengths)))
    sequences = [prompt.tolist() for prompt in PROMPTS]
    decoder.prefill(PROMPTS, counts)
    for length in [0, *lengths]:
        if sequences != [prompt.tolist() for prompt in PROMPTS]:
            decoder.launch(length)
        for sequence, numbers in zip(sequences, decoder.loop.read(), strict=True):
            sequence += numbers[2 : 2 + numbers[0]]
        for row, sequence in enumerate(sequences):
            audited(decoder.models[0].cache, target, sequence, row, len(sequence) - 1)
            if length:
                audited(decoder.models[1].cache, draft, sequence, row, len(sequence) - 2)


def test_finished_texts_write_no_further_than_one_block_past_their_ends():
    decoder = decoder_of(varied_pair(), [4])
    for model in decoder.models:
        for part in model.cache:
            part.fill_(7.0)
    counts = [3, 70, 1, 9]
    decoder.generate(PROMPTS, counts, 4)
    for model in decoder.models:
        for part in model.cache:
            for row, (prompt, count) in enumerate(zip(PROMPTS, counts, strict=True)):
                first_untouched = max(len(prompt) + count + 4, max(map(len, PROMPTS)))  # prompts are padded
                assert (part[:, row, first_untouched:] == 7.0).all()


def test_the_chooser_drops_a_hopeless_draft_and_stays_with_a_perfect_one():
    target, _ = varied_pair()
    hopeless = varied_pair(noise=2.0)
    costs = {0: 1.0, 1: 1.3, 4: 2.2}
    decoder = decoder_of((target, hopeless[1]), list(costs))
    output = decoder.generate(PROMPTS, 70, AdaptiveLength(costs))
    assert output.tokens == plain(target, 70)
    assert output.draft_lengths.count(0) > 0.6 * len(output.draft_lengths)
    decoder = decoder_of((target, target), list(costs))
    output = decoder.generate(PROMPTS, 70, AdaptiveLength(costs))
    assert output.tokens == plain(target, 70)
    assert output.draft_lengths.count(4) > 0.8 * len(output.draft_lengths)


def test_costs_are_measured_for_every_length_and_disturb_no_later_text():
    pair = varied_pair()
    decoder = decoder_of(pair, [0, 1, 8])
    costs = decoder.round_costs(text_length=50, repeats=3)
    assert list(costs) == [0, 1, 8]
    assert 0 < costs[0] < costs[8]
    assert decoder.generate(PROMPTS, 30, AdaptiveLength(costs)).tokens == plain(pair[0], 30)


def test_at_most_one_round_runs_ahead_of_the_reader():
    decoder = decoder_of(varied_pair(), [3])
    launched, most = [0], [0]
    launch = decoder.launch

    def counted(length):
        launched[0] += 1
        launch(length)
        most[0] = max(most[0], len(decoder.loop.on_their_way))

    decoder.launch = counted
    output = decoder.generate(PROMPTS, 40, 3)
    assert most[0] == 2
    assert 0 <= launched[0] - len(output.draft_lengths) <= 1


def test_bad_requests_are_refused_with_their_value():
    pair = varied_pair()
    decoder = decoder_of(pair, [2, 4])
    with pytest.raises(ValueError, match=r"draft_length 3 is none of \[2, 4\]"):
        decoder.generate(PROMPTS, 5, 3)
    with pytest.raises(ValueError, match="2 prompts and 2 limits for 4 rows"):
        decoder.generate(PROMPTS[:2], 5, 2)
    with pytest.raises(ValueError, match=r"30 prompt tokens and 77 new ones take 106 rows and 5 beyond them.*110"):
        decoder.generate(PROMPTS, 77, 2)
    with pytest.raises(ValueError, match="max_new_tokens 0"):
        decoder.generate(PROMPTS, [1, 0, 1, 1], 2)
    with pytest.raises(ValueError, match="prompt holds 0"):
        decoder.generate([*PROMPTS[:3], torch.tensor([], dtype=torch.long)], 1, 2)
    with pytest.raises(ValueError, match=r"draft_lengths \[-1\]"):
        decoder_of(pair, [-1])
    with pytest.raises(ValueError, match=r"batch sizes differ: \[1, 2\]"):
        SpeculativeDecoder(StaticModel(pair[0]), StaticModel(pair[1], 2), DeviceSampler(GREEDY, torch.Generator()), [1])
    with pytest.raises(ValueError, match="8 rows is too small, at least 16"):
        SpeculativeDecoder(
            StaticModel(pair[0], 1, 8), StaticModel(pair[1], 1, 8), DeviceSampler(GREEDY, torch.Generator()), [0, 1]
        )
    with pytest.raises(ValueError, match="CUDA graphs need a CUDA device"):
        SpeculativeDecoder(
            StaticModel(pair[0]), StaticModel(pair[1]), DeviceSampler(GREEDY, torch.Generator()), [1], graphs=True
        )
