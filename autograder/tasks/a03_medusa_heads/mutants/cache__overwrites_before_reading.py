"""Moves the rows one by one from the last, and reads rows that were overwritten.

kills: kept_rows_of_keys_and_values_close_up
"""


# %% cache
def keep_rows(keys, values, position, path):
    end = position + len(path)
    for part in (keys, values):
        for j in reversed(range(len(path))):
            part[:, :, position + j] = part[:, :, position + path[j]]
    return keys, values
