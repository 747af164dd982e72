"""Keeps the rows of the path and of nothing before.

kills: the_text_before_the_root_stays
"""


# %% cache
def keep_rows(keys, values, position, path):
    end = position + len(path)
    keys[:, :, position:end] = keys[:, :, position + path]
    values[:, :, position:end] = values[:, :, position + path]
    keys[:, :, :position] = 0
    values[:, :, :position] = 0
    return keys, values
