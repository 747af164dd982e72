"""Knows how many tokens the pass has, and gives all of them to one request.

kills: plans_follow_the_three_rules, nobody_who_writes_waits, the_budget_is_kept_and_used_up, places_are_taken_in_the_order_of_arrival, a_whole_service_ends_as_it_should
visible: who_writes_comes_first, waiting_requests_need_a_place_and_budget
"""


# %% schedule
def plan_pass(running, waiting, max_running, token_budget, tile):
    queue = running + waiting[: max_running - len(running)]
    total = min(token_budget, sum(pending for _, pending in queue))
    return [(queue[0][0], total)] if queue else []
