"""Starts new prompts before those that are half read.

kills: plans_follow_the_three_rules
"""


# %% schedule
def plan_pass(running, waiting, max_running, token_budget):
    plan = [(name, 1) for name, pending in running if pending == 1]
    left = token_budget - len(plan)
    reading = [one for one in running if one[1] > 1]
    for name, pending in [*waiting[: max_running - len(running)], *reading]:
        count = min(pending, left)
        if count:
            plan.append((name, count))
        left -= count
    return plan
