"""Gives the nodes the places of a line: 0, 1, 2 and so on.

kills: the_root_has_depth_zero_and_a_child_one_more_than_its_parent
"""


# %% tree
def ancestor_mask(parents):
    mask = torch.eye(len(parents), dtype=torch.bool)
    for node in range(1, len(parents)):
        mask[node] |= mask[parents[node]]
    return mask


def node_depths(parents):
    depths = [0]
    for parent in parents[1:]:
        depths.append(depths[parent] + 1)
    return torch.arange(len(depths))


def root_paths(parents):
    depths = ancestor_mask(parents).sum(1).sub(1).tolist()
    leaves = [node for node in range(len(parents)) if node not in parents]
    paths = torch.full((len(leaves), max(depths) + 1), -1)
    for row, node in zip(paths, leaves):
        while node >= 0:
            row[depths[node]] = node
            node = parents[node]
    return paths
