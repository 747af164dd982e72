"""Serves running requests by age, so that a long prompt starves those that write.

kills: plans_follow_the_three_rules, nobody_who_writes_waits
"""


# %% schedule
def plan_pass(running, waiting, max_running, token_budget):
    plan = []
    left = token_budget - len(plan)
    reading = running
    for name, pending in [*reading, *waiting[: max_running - len(running)]]:
        count = min(pending, left)
        if count:
            plan.append((name, count))
        left -= count
    return plan
