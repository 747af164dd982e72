"""Serves requests in the order of their names, which need not be that of their arrival.

kills: plans_follow_the_three_rules, places_are_taken_in_the_order_of_arrival, a_whole_service_ends_as_it_should
visible: waiting_requests_need_a_place_and_budget
"""


# %% schedule
def plan_pass(running, waiting, max_running, token_budget, tile):
    plan = [(name, 1) for name, pending in sorted(running) if pending == 1]
    token_budget -= len(plan)
    reading = [one for one in sorted(running) if one[1] > 1]
    for queue, slots in ((reading, len(reading)), (sorted(waiting), max_running - len(running))):
        for name, pending in queue:
            count = pending if pending <= token_budget else token_budget // tile * tile
            if count and slots:
                plan.append((name, count))
                token_budget, slots = token_budget - count, slots - 1
    return plan
