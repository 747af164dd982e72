import torch

from nimblelm.inference.decoding.sampling import GREEDY, Sampling, probabilities, sample
from nimblelm.inference.speculative.acceptance_stats import Round


def pair_model(name):
    from nimblelm.inference.decoding.cache import CachedModel
    from nimblelm.inference.speculative.agreeing_pair import agreeing_pair

    return CachedModel(getattr(agreeing_pair(), name))
