"""What a visible check says of a wrong answer is what that answer gets wrong."""

import pytest

from tests.solutions import test_answers_in_process
from tests.solutions.test_answers_in_process import MUTANTS, failed_checks

failed = test_answers_in_process.failed  # a fixture


@pytest.mark.parametrize(
    ("mutant", "check", "words"),
    [
        ("heads__weights_transposed", "a_head_adds_a_silu_layer_to_its_input", "states are rows"),
        ("heads__bias_outside", "a_head_adds_a_silu_layer_to_its_input", "inside the SiLU"),
        ("heads__no_bias", "a_head_adds_a_silu_layer_to_its_input", "the bias is missing"),
        ("heads__bias_beside_the_states", "every_head_reads_the_state_itself", "needs a dimension between, b[:, None]"),
        ("heads__bias_beside_the_states", "a_head_depends_on_its_own_weights_alone", "b[:, None]"),
        ("cache__cut_off", "kept_rows_stand_one_after_the_other", "the keys were cut off"),
        ("cache__cut_off", "the_text_before_the_root_stays", "the keys were cut off"),
        ("heads__heads_in_a_chain", "every_head_reads_the_state_itself", "not what head 1 made of it"),
        ("tree__paths_of_all_nodes", "paths_lead_from_the_root_to_each_leaf", "nobody's parent"),
        ("tree__paths_without_the_root", "paths_lead_from_the_root_to_each_leaf", "the root included"),
        ("candidates__worst_first", "a_name_says_which_head_and_which_rank", "largest logit"),
        ("candidates__first_rank_of_the_name", "a_name_says_which_head_and_which_rank", "the ones before where it"),
        ("attend__mask_transposed", "a_node_attends_to_the_text_and_to_its_ancestors", "read by columns"),
        ("attend__tree_first", "a_node_attends_to_the_text_and_to_its_ancestors", "those of the nodes the last"),
        ("attend__not_scaled", "scores_are_scaled_by_the_root_of_the_width", "divide the scores by the square root"),
        ("verify__typical_larger_threshold", "typical_guesses_are_kept", "epsilon is the smaller"),
        ("verify__typical_epsilon_alone", "typical_guesses_are_kept", "the threshold is 0.3 / 12"),
        ("verify__typical_entropy_in_bits", "typical_guesses_are_kept", "nats"),
        ("verify__typical_ended_path_goes_on", "of_long_paths_the_likeliest_is_kept", "-1 is no node"),
        ("verify__typical_likeliest_first", "of_long_paths_the_likeliest_is_kept", "a longer run"),
        ("search__root_not_counted", "expected_tokens_add_up_the_nodes", "the root's own token"),
        ("search__size_without_the_root", "the_best_tree_takes_the_likeliest_nodes", "the root counts"),
        ("search__in_order_of_likelihood", "the_best_tree_takes_the_likeliest_nodes", "sort by depth"),
    ],
)
def test_visible_checks_of_the_medusa_heads_name_the_mistake(mutant: str, check: str, words: str) -> None:
    assert words in said("a03_medusa_heads", mutant, check)


def said(assignment: str, mutant: str, check: str) -> str:
    """What a check says of a planted wrong answer."""
    ((exercise, cell),) = next(one for one in MUTANTS[assignment] if one.name == mutant).cells.items()
    return failed_checks(assignment, exercise, cell, {check})[check]


@pytest.mark.parametrize(
    ("mutant", "check", "words"),
    [
        ("decode__first_token_never_ends", "the_text_ends_just_after_the_end_token", "the first new token, which the"),
        ("decode__first_token_never_ends", "the_end_token_ends_the_text", "the first new token of all is the end"),
        ("decode__token_without_a_dimension", "a_counting_model_counts_on", "x[None] makes one of a single token"),
        ("decode__list_of_tokens", "a_counting_model_counts_on", "the model takes a tensor of tokens (T,)"),
        ("paged__frees_from_the_front", "a_shared_block_outlives_its_first_user", "wrong: `free` after the last user"),
        ("paged__frees_from_the_front", "release_frees_what_nobody_uses", "the freed blocks are appended"),
        ("quantize__scale_without_a_dimension", "values_are_codes_times_their_rows_scale", "scales[..., None]"),
        ("quantize__scale_without_a_dimension", "values_are_codes_times_scales", "belong to a whole row"),
        ("quantize__divided_by_scales_without_a_dimension", "a_row_spans_the_whole_range", "scales[..., None]"),
        ("roofline__begins_with_an_empty_batch", "the_least_batch_reaches_the_peak", "a batch of 0 was tried"),
        ("roofline__begins_with_an_empty_batch", "long_contexts_can_stay_memory_bound", "a batch of 0 was tried"),
    ],
)
def test_checks_of_decoding_name_the_mistake(mutant: str, check: str, words: str) -> None:
    assert words in said("a01_decoding_and_its_cost", mutant, check)


def test_blocks_of_one_token_that_lost_a_dimension_are_named() -> None:
    words = said("a02_speculative_decoding", "accept__squeezes_every_dimension", "several_blocks_are_verified_at_once")
    assert "`squeeze()` drops every dimension of size 1" in words


@pytest.mark.parametrize(
    ("assignment", "mutant", "check", "words"),
    [
        ("a02", "accept__copied_from_the_library", "one_number_serves_a_block", "the product of min(1, p/q)"),
        ("a02", "accept__copied_from_the_library", "the_first_rejection_ends_the_block", "not with each token's own"),
        ("a02", "accept__product_without_a_limit", "one_number_serves_a_block", "limit each ratio to 1"),
        ("a02", "accept__product_without_a_limit", "the_first_rejection_ends_the_block", "limit each ratio to 1"),
        ("a02", "accept__product_of_ratios", "each_token_is_verified_by_itself", "do not multiply"),
        ("a04", "split__pages_ignored", "one_sequence_is_cut_at_pages", "begins within a page of 3 keys"),
        ("a04", "split__keys_over_parts", "a_batch_shares_its_parts", "each sequence rounds its number of parts up"),
        ("a04", "split__one_part_for_all", "one_sequence_is_cut_at_pages", "the shortest part length of whole pages"),
        ("a04", "split__sink_in_every_part", "the_sink_counts_once", "merge all parts in one call"),
    ],
)
def test_checks_of_blocks_and_splits_name_the_mistake(assignment: str, mutant: str, check: str, words: str) -> None:
    (name,) = (one for one in MUTANTS if one.startswith(assignment))
    assert words in said(name, mutant, check)


@pytest.mark.parametrize(
    ("mutant", "check", "words"),
    [
        ("groups__one_scale_a_row", "a_row_of_two_groups", "each group has a scale of its own"),
        ("groups__first_scale_for_all_columns", "the_last_group_may_be_short", "a scale belongs to neighbours"),
        ("packing__not_masked", "two_values_become_one_byte", "mask a value with 15"),
        ("packing__eight_is_positive", "a_byte_becomes_two_values", "1000 stands for -8"),
        ("packing__far_halves", "an_odd_column_stands_alone", "neighbours share a byte"),
        ("normal_float__tail_of_one_side", "four_bits_give_the_published_levels", "half of both fractions"),
        ("normal_float__mean_of_each_block", "scales_are_rounded_around_their_mean", "of all scales"),
        ("normal_float__zero_over_zero", "the_nearest_level_is_taken", "0 / 0 is no number"),
        ("gptq__adds_the_error", "the_largest_input_goes_first", "takes - e U_qj"),
        ("gptq__not_divided", "the_largest_input_goes_first", "divided by U_qq"),
        ("gptq__natural_order", "the_largest_input_goes_first", "order the columns"),
        ("lora__weights_forgotten", "the_scale_is_alpha_over_the_rank", "each adapter has its weight"),
        ("qlora__alpha_alone", "the_output_of_two_weights", "the scale alpha / r"),
        ("qlora__scale_forgotten_backward", "the_gradients_of_two_weights", "the scale alpha / r is missing"),
        ("qlora__scales_in_turn", "the_output_of_two_weights", "a block of neighbours"),
        ("qlora__by_autograd", "the_gradients_of_two_weights", "no autograd here"),
    ],
)
def test_checks_of_quantization_name_the_mistake(mutant: str, check: str, words: str, failed) -> None:
    assignment = "a05_quantization_and_lora"  # its setup asks for Triton's interpreter
    ((exercise, cell),) = next(one for one in MUTANTS[assignment] if one.name == mutant).cells.items()
    assert words in failed(assignment, exercise, cell, {check})[check]


@pytest.mark.parametrize(
    ("mutant", "check", "words"),
    [
        ("patches__column_by_column", "the_patches_of_a_small_image", "row of the grid by row"),
        ("patches__padded_at_the_left", "padding_and_back", "here it is at the left"),
        ("embeddings__old_grid_turned", "a_projection_a_prefix_and_positions", "a grid is (rows, columns)"),
        ("embeddings__one_line", "numbers_of_a_position_stay_together", "in two dimensions"),
        ("block__causal", "branches_of_zero_leave_the_tokens_as_they_are", "those after it too"),
        ("block__masked_after_the_softmax", "branches_of_zero_leave_the_tokens_as_they_are", "before the softmax"),
        ("block__heads_outside", "values_are_mixed_head_by_head", "then all keys"),
        ("block__heads_not_moved", "values_are_mixed_head_by_head", "behind the tokens again"),
        ("block__no_scale", "queries_and_keys_are_brought_to_one_size", "root of D / H"),
        ("block__library_attention", "queries_and_keys_are_brought_to_one_size", "root of their mean square"),
        ("rollout__no_identity", "the_first_layer_comes_first", "the identity is missing"),
        ("rollout__columns_normalised", "the_first_layer_comes_first", "here the columns were"),
        ("rollout__column_of_the_class", "one_layer_by_hand", "this is its column 0"),
        ("rollout__index_one_too_small", "weak_links_are_dropped", "add 1 for what was left out"),
        ("forward__norm_of_the_mean", "a_model_without_blocks", "normalise the tokens first"),
    ],
)
def test_checks_of_the_vision_transformer_name_the_mistake(mutant: str, check: str, words: str) -> None:
    assert words in said("a08_vision_transformer", mutant, check)


@pytest.mark.parametrize(
    ("mutant", "check", "words"),
    [
        ("frames__not_mirrored", "frames_of_counting_numbers", "not filled with zeros"),
        ("frames__no_weight_is_nan", "a_sample_in_no_frame_is_zero", "the weight is 0"),
        ("transform__root_not_squared", "halves_have_the_root_squared", "with the root squared"),
        ("transform__odd_not_turned", "the_fast_transform_gives_the_same", "root^k"),
        ("filters__natural_logarithm", "a_thousand_hertz", "2595 goes with the logarithm to base 10"),
        ("filters__htk_for_slaney", "a_thousand_hertz", "a formula for each"),
        ("filters__sides_straight_over_pitch", "one_wide_band_on_a_curved_scale", "straight over Hz"),
        ("cepstra__half_a_step_missing", "a_flat_spectrum_has_level_and_nothing_else", "m + 1/2"),
        ("cepstra__ends_are_zeros", "a_line_has_its_slope", "repeat the first and the last frame"),
        ("phase__gaps_stay_empty", "gaps_are_filled_from_round_to_round", "own magnitude stays"),
        ("phase__one_round_late", "the_waveform_comes_after_the_last_round", "once more"),
        ("phase__phase_never_changes", "errors_fall", "nothing moves"),
    ],
)
def test_checks_of_log_mel_name_the_mistake(mutant: str, check: str, words: str) -> None:
    assert words in said("a13_sound_to_log_mel", mutant, check)
