"""Knows one root, the first node: the parent of the others is read from the end of the list.

kills: a_node_sees_its_ancestors_and_nothing_else, the_root_has_depth_zero_and_a_child_one_more_than_its_parent
visible: trees_of_a_forest_do_not_meet
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
    return torch.tensor(depths)


def root_paths(parents):
    depths = [-1]
    for parent in parents:
        depths.insert(-1, depths[parent] + 1)
    leaves = [node for node in range(len(parents)) if node not in parents]
    paths = torch.full((len(leaves), max(depths) + 1), -1)
    for row, node in zip(paths, leaves):
        while node >= 0:
            row[depths[node]] = node
            node = parents[node]
    return paths
