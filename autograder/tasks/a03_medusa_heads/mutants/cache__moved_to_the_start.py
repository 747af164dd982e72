"""Gathers the kept rows at the start of the cache.

kills: kept_rows_of_keys_and_values_close_up, the_text_before_the_root_stays
"""


# %% cache
def keep_rows(keys, values, position, path):
    end = position + len(path)
    keys[:, :, : len(path)] = keys[:, :, position + path]
    values[:, :, : len(path)] = values[:, :, position + path]
    return keys, values
