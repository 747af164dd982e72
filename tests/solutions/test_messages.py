"""What a visible check says of a wrong answer is what that answer gets wrong."""

import pytest

from autograder.answers import read_answer_file
from tests.solutions.test_answers_in_process import TASKS, failed_checks


@pytest.mark.parametrize(
    ("mutant", "check", "words"),
    [
        ("heads__weights_transposed", "a_head_adds_a_silu_layer_to_its_input", "states are rows"),
        ("heads__bias_outside", "a_head_adds_a_silu_layer_to_its_input", "inside the SiLU"),
        ("heads__no_bias", "a_head_adds_a_silu_layer_to_its_input", "the bias is missing"),
        ("heads__heads_in_a_chain", "every_head_reads_the_state_itself", "not what head 1 made of it"),
        ("tree__paths_of_all_nodes", "paths_lead_from_the_root_to_each_leaf", "nobody's parent"),
        ("tree__paths_without_the_root", "paths_lead_from_the_root_to_each_leaf", "the root included"),
        ("candidates__worst_first", "a_name_says_which_head_and_which_rank", "largest logit"),
        ("candidates__first_rank_of_the_name", "a_name_says_which_head_and_which_rank", "the ones before where it"),
        ("attend__mask_transposed", "a_node_attends_to_the_text_and_to_its_ancestors", "read by columns"),
        ("attend__tree_first", "a_node_attends_to_the_text_and_to_its_ancestors", "those of the nodes the last"),
        ("attend__not_scaled", "scores_are_scaled_by_the_root_of_the_width", "divide the scores by the square root"),
        ("verify__typical_larger_bar", "typical_guesses_are_kept", "epsilon is the smaller"),
        ("verify__typical_epsilon_alone", "typical_guesses_are_kept", "the bar is 0.3 / 12"),
        ("verify__typical_entropy_in_bits", "typical_guesses_are_kept", "in nats"),
        ("verify__typical_ended_path_goes_on", "of_long_paths_the_likeliest_is_kept", "-1 is no node"),
        ("verify__typical_likeliest_first", "of_long_paths_the_likeliest_is_kept", "a longer run"),
        ("search__root_not_counted", "expected_tokens_add_up_the_nodes", "the root's own token"),
        ("search__size_without_the_root", "the_best_tree_takes_the_likeliest_nodes", "the root counts"),
        ("search__in_order_of_likelihood", "the_best_tree_takes_the_likeliest_nodes", "sort by depth"),
    ],
)
def test_visible_checks_of_the_medusa_heads_name_the_mistake(mutant: str, check: str, words: str) -> None:
    answer = read_answer_file(TASKS / "a03_medusa_heads" / "mutants" / f"{mutant}.py")
    ((exercise, cell),) = answer.cells.items()
    assert words in failed_checks("a03_medusa_heads", exercise, cell, {check})[check]
