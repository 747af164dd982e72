"""Leaves all rows where the pass wrote them.

kills: kept_rows_of_keys_and_values_close_up
"""


# %% cache
def keep_rows(keys, values, position, path):
    end = position + len(path)
    return keys, values
