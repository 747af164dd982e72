"""Climbs eight steps from a node at most.

kills: a_node_sees_its_ancestors_and_nothing_else
"""


# %% tree
def ancestor_mask(parents):
    mask = torch.eye(len(parents), dtype=torch.bool)
    for node in range(len(parents)):
        seen = node
        for _ in range(8):
            mask[node, seen] = True
            seen = max(parents[seen], 0)
    mask[:, 0] = True
    return mask


def node_depths(parents):
    depths = [0]
    for parent in parents[1:]:
        depths.append(depths[parent] + 1)
    return torch.tensor(depths)


def root_paths(parents):
    depths = node_depths(parents).tolist()
    leaves = [node for node in range(len(parents)) if node not in parents]
    paths = torch.full((len(leaves), max(depths) + 1), -1)
    for row, node in zip(paths, leaves):
        while node >= 0:
            row[depths[node]] = node
            node = parents[node]
    return paths
