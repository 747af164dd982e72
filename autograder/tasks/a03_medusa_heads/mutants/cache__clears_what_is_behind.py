"""Clears the rows that are left over and moves none.

kills: kept_rows_of_keys_and_values_close_up, the_text_before_the_root_stays, the_root_alone_and_whole_lines_stay_where_they_are
"""


# %% cache
def keep_rows(keys, values, position, path):
    keys[:, :, position + len(path) :], values[:, :, position + len(path) :] = 0.0, 0.0
    return keys, values
