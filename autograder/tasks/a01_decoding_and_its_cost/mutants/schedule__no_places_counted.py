"""Admits everybody who waits, as long as the budget lasts.

kills: places_are_taken_in_the_order_of_arrival, plans_follow_the_three_rules
"""


# %% schedule
def plan_pass(running, waiting, max_running, token_budget):
    plan = [(name, 1) for name, pending in running if pending == 1]
    left = token_budget - len(plan)
    reading = [one for one in running if one[1] > 1]
    for name, pending in [*reading, *waiting]:
        count = min(pending, left)
        if count:
            plan.append((name, count))
        left -= count
    return plan
