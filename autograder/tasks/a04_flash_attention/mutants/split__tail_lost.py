"""Rounds the length of a part down and loses the last keys.

kills: every_key_is_in_exactly_one_split
"""


# %% split
def merge_parts(outs, lses):
    lse = torch.logsumexp(lses, 0)
    shares = torch.exp(lses - torch.where(lse == float("-inf"), 0.0, lse))
    return (shares[..., None] * outs).sum(0), lse


def split_attention(attend, num_keys, num_splits):
    length = max(1, num_keys // num_splits)
    parts = [attend(start, min(start + length, num_keys)) for start in range(0, num_keys, length)][:num_splits]
    return merge_parts(torch.stack([out for out, _ in parts]), torch.stack([lse for _, lse in parts]))
