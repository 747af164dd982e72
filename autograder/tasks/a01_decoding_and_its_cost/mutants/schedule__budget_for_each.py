"""Gives every prompt the whole budget that the writing requests left.

kills: the_budget_is_kept_and_used_up
"""


# %% schedule
def plan_pass(running, waiting, max_running, token_budget):
    plan = [(name, 1) for name, pending in running if pending == 1]
    left = token_budget - len(plan)
    reading = [one for one in running if one[1] > 1]
    for name, pending in [*reading, *waiting[: max_running - len(running)]]:
        count = min(pending, left)
        if count:
            plan.append((name, count))
    return plan
