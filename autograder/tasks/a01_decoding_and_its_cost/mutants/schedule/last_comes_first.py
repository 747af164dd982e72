"""Gives the running requests back in turned order, and all that they ask for.

kills: plans_follow_the_three_rules, nobody_who_writes_waits, the_budget_is_kept_and_used_up, places_are_taken_in_the_order_of_arrival, a_whole_service_ends_as_it_should
visible: waiting_requests_need_a_place_and_budget
"""


# %% schedule
def plan_pass(running, waiting, max_running, token_budget, tile):
    return running[::-1]
