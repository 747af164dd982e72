"""Linformer against full attention and against its own definition, position by position."""

import torch

from nimblelm.nn.long_range.linformer import linformer_attention
from tests.nn.long_range.cases import dense, tensors


def test_identity_projections_give_full_attention():
    q, k, v = tensors(13)
    eye = torch.eye(13, dtype=torch.float64)
    torch.testing.assert_close(linformer_attention(q, k, v, eye, eye), dense(q, k, v))


def test_projected_keys_and_values_are_mixtures_along_the_length():
    q, k, v = tensors(11)
    project_k, project_v = torch.randn(2, 4, 11, dtype=torch.float64)
    keys = sum(project_k[:, j, None, None] * k[:, j, None] for j in range(11))
    values = sum(project_v[:, j, None, None] * v[:, j, None] for j in range(11))
    out = linformer_attention(q, k, v, project_k, project_v)
    torch.testing.assert_close(out, dense(q, keys, values))
