"""The reference of the exercise `mix`: work that takes a few milliseconds."""

import torch


def mix(x: torch.Tensor, rounds: int) -> torch.Tensor:
    for _ in range(rounds):
        x = torch.tanh(x @ x)
    return x


def mix_twice_over(x: torch.Tensor, rounds: int) -> torch.Tensor:
    mix(x, rounds)
    return mix(x, rounds)
