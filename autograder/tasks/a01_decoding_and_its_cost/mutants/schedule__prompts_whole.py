"""Reads a prompt whole or not at all.

kills: plans_follow_the_three_rules, the_budget_is_kept_and_used_up
"""


# %% schedule
def plan_pass(running, waiting, max_running, token_budget):
    plan = [(name, 1) for name, pending in running if pending == 1]
    left = token_budget - len(plan)
    reading = [one for one in running if one[1] > 1]
    for name, pending in [*reading, *waiting[: max_running - len(running)]]:
        count = pending if pending <= left else 0
        if count:
            plan.append((name, count))
        left -= count
    return plan
