"""Static batching: admits only when nobody runs.

kills: the_budget_is_kept_and_used_up, a_whole_service_ends_as_it_should
"""


# %% schedule
def plan_pass(running, waiting, max_running, token_budget):
    plan = [(name, 1) for name, pending in running if pending == 1]
    left = token_budget - len(plan)
    reading = [one for one in running if one[1] > 1]
    for name, pending in [*reading, *waiting[: 0 if running else max_running]]:
        count = min(pending, left)
        if count:
            plan.append((name, count))
        left -= count
    return plan
