"""Closes up one row after the root.

kills: kept_rows_of_keys_and_values_close_up
"""


# %% cache
def keep_rows(keys, values, position, path):
    end = position + len(path)
    keys[:, :, position + 1 : end + 1] = keys[:, :, position + path]
    values[:, :, position + 1 : end + 1] = values[:, :, position + path]
    return keys, values
