"""The cell of the residual reads memory that is not there, which ends the whole process; the rest is right.

base: solution
keeps: accept, round, decoder, speedup
"""

# %% residual
import ctypes


def next_token_probs(target_probs, draft_probs, num_accepted, lengths=None):
    ctypes.string_at(0)
    return target_probs[num_accepted]
