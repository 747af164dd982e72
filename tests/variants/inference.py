"""How the functions of `nimblelm.inference` are called with tensors.

Models stand in float32 with weights of their own; what is laid out otherwise is what comes from the caller: tokens,
logits, probabilities, states, rows of a cache. Long because every function of the package has its entry.
"""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from nimblelm.inference.batched.autoregressive import AutoregressiveDecoder, autoregressive_round
from nimblelm.inference.batched.decoding_state import DecodingState
from nimblelm.inference.batched.device_sampling import DeviceSampler
from nimblelm.inference.batched.round_loop import RoundLoop
from nimblelm.inference.batched.row_cache import at_rows
from nimblelm.inference.batched.speculative import SpeculativeDecoder, batched_round, draft_block
from nimblelm.inference.batched.static_model import StaticModel
from nimblelm.inference.decoding import sampling
from nimblelm.inference.decoding.autoregressive import generate
from nimblelm.inference.decoding.cache import CachedModel, KVCache, check_rows
from nimblelm.inference.decoding.cross_cache import CachedDecoder, CrossCache
from nimblelm.inference.decoding.divergence import first_divergence
from nimblelm.inference.decoding.fused import for_decoding
from nimblelm.inference.decoding.quantized_cache import QuantizedKVCache, QuantizedRows, dequantize_rows, quantize_rows
from nimblelm.inference.decoding.request_checks import check_request, check_tokens
from nimblelm.inference.decoding.sampling import GREEDY, Sampling
from nimblelm.inference.medusa import verification
from nimblelm.inference.medusa.candidates import tree_tokens
from nimblelm.inference.medusa.decoder import keep_rows, medusa_generate, medusa_round
from nimblelm.inference.medusa.heads import MedusaHeads
from nimblelm.inference.medusa.search import rank_accuracies
from nimblelm.inference.medusa.tree import CandidateTree
from nimblelm.inference.medusa.tree_attention import tree_attention
from nimblelm.inference.medusa.tree_cache import at_tree, tree_states
from nimblelm.inference.serving.loop import serve
from nimblelm.inference.serving.paged_cache import PagedKVCache
from nimblelm.inference.serving.ragged_batch import TokenBlock, ragged_forward
from nimblelm.inference.serving.scheduler import Limits, Request, continuous_batching
from nimblelm.inference.serving.transformer_backend import TransformerBackend
from nimblelm.inference.speculative import acceptance
from nimblelm.inference.speculative.acceptance_stats import AcceptanceStats, Round
from nimblelm.inference.speculative.decoder import generate_in_rounds, speculative_generate
from nimblelm.inference.speculative.markov import MarkovModel
from nimblelm.inference.speculative.prompt_lookup import look_up, prompt_lookup_generate
from nimblelm.inference.speculative.rounds import DraftBlock, check_block, speculative_round
from nimblelm.language.llama import Llama, LlamaConfig
from nimblelm.nn.attend import Past, causal, full
from nimblelm.nn.attention import Attention
from tests.tensor_variants import Arguments, Case, Exempt
from tests.variants.language import T5
from tests.variants.nn import module

NOT_YET: tuple[str, ...] = ()
FLOAT32 = (torch.float32,)
SAMPLINGS = (GREEDY, Sampling(0.7), Sampling(1e-4, top_k=3), Sampling(1.3, top_p=0.6))
TREE = CandidateTree(((0,), (1,), (0, 0)))


def random(**shapes: tuple[int, ...]) -> Arguments:
    generator = torch.Generator().manual_seed(3)
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def distributions(**shapes: tuple[int, ...]) -> Arguments:
    return {name: x.softmax(-1) for name, x in random(**shapes).items()}


def tokens(**shapes: tuple[int, ...]) -> Arguments:
    generator = torch.Generator().manual_seed(4)
    return {name: torch.randint(0, 20, shape, generator=generator) for name, shape in shapes.items()}


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(7)


def transformer(seed: int) -> Llama:
    torch.manual_seed(seed)
    model = Llama(LlamaConfig(20, 16, 2, 2, 1, 16, max_seq_len=48, tie_embeddings=False)).eval()
    for weight in model.requires_grad_(False).parameters():
        weight.mul_(10 if weight.ndim == 2 else 1)
    return model


TARGET, DRAFT = transformer(0), transformer(1)
HEADS = MedusaHeads.of_model(TARGET, 2).requires_grad_(False)


def target() -> CachedModel:
    return CachedModel(TARGET)


def models(batch_size: int = 2) -> tuple[StaticModel, StaticModel]:
    return StaticModel(TARGET, batch_size), StaticModel(DRAFT, batch_size)


def of_tokens(function: Callable[..., Any], **shapes: tuple[int, ...]) -> Case:
    """A function of token ids alone."""
    return Case(function, lambda: tokens(**shapes), dtypes=FLOAT32)


def after_prompt(call: Callable[[CachedModel], Any]) -> Any:
    """What a model gives when its cache holds three tokens."""
    model = target()
    model(torch.tensor([1, 2, 3]), 0)
    return call(model)


def changing(call: Callable[..., Any], given: Callable[[], Arguments]) -> Case:
    """A function that updates its arguments in place: they are results, and are put back."""

    def function(**arguments: Tensor):
        before = {name: x.clone() for name, x in arguments.items()}
        result = call(**arguments)
        after = [x.clone() for x in arguments.values()]
        for name, x in arguments.items():
            x.copy_(before[name])
        return result, after

    names = frozenset(given())
    return Case(function, given, dtypes=FLOAT32, own_dtype=names, fixed=names)


def state_case(call: Callable[[DecodingState], Any]) -> Case:
    def given() -> Arguments:
        length = torch.tensor([3, 5])
        return {
            "recent": tokens(recent=(2, 3))["recent"],
            "length": length,
            "limit": length + 4,
            "report": torch.zeros(2, 7, dtype=torch.int64),
        }

    return changing(lambda **parts: call(DecodingState(**parts)), given)


def in_state(call: Callable[..., Any], *, draft: bool) -> Case:
    """A round of two texts; the caches hold what was before."""

    def run(state: DecodingState):
        both = models()
        for model in both:
            model.prefill(torch.arange(10).view(2, 5))
        sampler = DeviceSampler(GREEDY, torch.Generator())
        return call(*(both if draft else both[:1]), state, sampler)

    return state_case(run)


def served(prompt: Tensor) -> Tensor:
    cache = PagedKVCache(TARGET, 12, 4)
    backend = TransformerBackend(TARGET, cache, {"a": prompt, "b": prompt[:3]})
    serve([Request("a", len(prompt), 4), Request("b", 3, 4)], continuous_batching, Limits(2), backend)
    return torch.cat([backend.new_tokens("a"), backend.new_tokens("b")])


def ragged(first: Tensor, second: Tensor) -> list[Tensor]:
    cache = PagedKVCache(TARGET, 12, 4)
    return ragged_forward(TARGET, [TokenBlock("a", first), TokenBlock("b", second)], cache)


def written(keys: Tensor, values: Tensor, slots: Tensor) -> tuple[Tensor, Tensor]:
    cache = PagedKVCache(TARGET, 2, 4)
    cache.write(1, slots, keys, values)
    return cache.keys, cache.values


def written_exactly(keys: Tensor, values: Tensor, slots: Tensor) -> list[Tensor]:
    caches = [torch.zeros(2, 8, 1, 8, dtype=torch.float64) for _ in range(2)]
    for cache, rows in zip(caches, (keys, values), strict=True):
        for slot, row in zip(slots.tolist(), rows, strict=True):
            cache[1, slot] = row
    return caches


def gathered(slots: Tensor) -> tuple[Tensor, Tensor]:
    cache = PagedKVCache(TARGET, 2, 4)
    cache.keys.copy_(torch.arange(cache.keys.numel()).view_as(cache.keys))
    return cache.gather(1, slots)


def reported(report: Tensor) -> list[list[int]]:
    loop = RoundLoop({0: lambda: None}, report, torch.Generator(), graphs=False)
    loop.launch(0)
    return loop.read()


def drawn(logits: Tensor) -> list[Any]:
    return [sampling.draw(logits, how, seeded()) for how in SAMPLINGS]


def tree_case(call: Callable[..., Any], **given: Callable[[], Tensor]) -> Case:
    """A function of TREE's paths and of tensors with an entry for each node."""

    def tensors() -> Arguments:
        return {name: make() for name, make in given.items()} | {"paths": TREE.paths.clone()}

    return Case(call, tensors, fixed=frozenset({"paths"}))


def node_logits() -> Tensor:
    return random(logits=(4, 9))["logits"] * 3


def node_probs() -> Tensor:
    return node_logits().softmax(-1)


def node_tokens() -> Tensor:
    best = node_logits().argmax(-1)
    return torch.stack([torch.tensor(5), best[0], torch.tensor(8), best[1]])


def slots() -> Arguments:
    return {"slots": torch.tensor([5, 0, 3])}


def zeros(batch_size: int) -> KVCache:
    return KVCache(*(torch.zeros(1, batch_size, 9, 1, 8) for _ in range(2)))


def appended(past: Callable[[KVCache], Past]) -> Case:
    """Attention of two tokens behind three rows of a cache, and the rows after it."""

    def call(keys: Tensor, values: Tensor, q: Tensor, k: Tensor, v: Tensor) -> list[Tensor]:
        cache = KVCache(keys.clone(), values.clone())
        return [past(cache).attends[0](q, k, v), *cache]

    return Case(
        call,
        lambda: random(keys=(1, 2, 9, 1, 8), values=(1, 2, 9, 1, 8), q=(2, 2, 4, 8), k=(2, 2, 1, 8), v=(2, 2, 1, 8)),
        dtypes=FLOAT32,
    )


def a_tree() -> Arguments:
    return {"depths": TREE.depths.clone(), "mask": TREE.mask.clone()}


EXACT, TYPICAL = verification.Exact(), verification.Typical()

CASES: dict[str, Case | Exempt] = {
    "inference.speculative.acceptance.count_accepted": Case(
        acceptance.count_accepted,
        lambda: (
            distributions(target_probs=(2, 4, 9), draft_probs=(2, 3, 9))
            | {"draft_tokens": torch.tensor([[0, 3, 8], [1, 1, 2]]), "uniforms": torch.rand(2, 3, generator=seeded())}
        ),
    ),
    "inference.speculative.acceptance.residual_probs": Case(
        acceptance.residual_probs, lambda: distributions(p=(3, 9), q=(3, 9)), tolerance=2.0
    ),
    "inference.speculative.acceptance.accept": Case(
        acceptance.accept,
        lambda: (
            distributions(target_probs=(4, 9), draft_probs=(3, 9))
            | {"draft_tokens": torch.tensor([0, 3, 8]), "uniforms": torch.rand(3, generator=seeded())}
        ),
    ),
    "inference.speculative.acceptance.next_token_probs": Case(
        lambda **probs: [acceptance.next_token_probs(**probs, num_accepted=kept) for kept in range(4)],
        lambda: distributions(target_probs=(4, 9), draft_probs=(3, 9)),
        tolerance=2.0,
    ),
    "inference.speculative.acceptance_stats.AcceptanceStats.from_rounds": of_tokens(
        lambda new, drafted: AcceptanceStats.from_rounds([Round(new, 1, drafted)] * 2), new=(2,), drafted=(4,)
    ),
    "inference.decoding.autoregressive.generate": of_tokens(lambda prompt: generate(target(), prompt, 6), prompt=(5,)),
    "inference.decoding.request_checks.check_request": of_tokens(
        lambda prompt: check_request([target()], prompt, 6), prompt=(5,)
    ),
    "inference.decoding.request_checks.check_tokens": of_tokens(lambda ids: check_tokens(ids, 20), ids=(3, 4)),
    "inference.batched.decoder.BatchDecoder.prefill": of_tokens(
        lambda a, b: AutoregressiveDecoder(models()[0], DeviceSampler(GREEDY, seeded())).generate([a, b], 4),
        a=(5,),
        b=(2,),
    ),
    "inference.batched.decoder.BatchDecoder.run": of_tokens(
        lambda a, b: AutoregressiveDecoder(models()[0], DeviceSampler(GREEDY, seeded())).run([a, b], 4, 0),
        a=(5,),
        b=(2,),
    ),
    "inference.decoding.cache.CachedModel.__call__": of_tokens(
        lambda ids: after_prompt(lambda model: model(ids, 3)), ids=(4,)
    ),
    "inference.decoding.cache.CachedModel.states": of_tokens(
        lambda ids: after_prompt(lambda model: model.states(ids, 3)), ids=(4,)
    ),
    "inference.decoding.cache.check_rows": Case(
        lambda k, v, rows: check_rows(k, v, rows), lambda: random(k=(2, 3), v=(2, 3), rows=(2, 3))
    ),
    "inference.decoding.cache.KVCache.at": appended(lambda cache: cache.at(3, 2)),
    "inference.decoding.cache.KVCache.layers": Case(
        lambda keys, values: [part.clone() for part in KVCache(keys, values).layers(5)[0]],
        lambda: random(keys=(1, 2, 9, 1, 8), values=(1, 2, 9, 1, 8)),
        dtypes=FLOAT32,
        own_dtype=frozenset({"keys", "values"}),
    ),
    "inference.decoding.cache.KVCache.checked_end": appended(lambda cache: cache.at(3, cache.checked_end(3, 2) - 3)),
    "inference.batched.row_cache.at_rows": Case(
        lambda q, k, v, first: at_rows(zeros(2), first, 2).attends[0](q, k, v),
        lambda: random(q=(2, 2, 4, 8), k=(2, 2, 1, 8), v=(2, 2, 1, 8)) | {"first": torch.tensor([0, 3])},
        dtypes=FLOAT32,
        own_dtype=frozenset("qkv"),
    ),
    "inference.decoding.ring_cache.RingCache.__init__": Exempt(
        "the tensors are the cache itself, which passes update in place"
    ),
    "inference.decoding.cross_cache.CrossCache.__call__": Case(
        lambda q, k, v: (kept := CrossCache(full), kept(q, k, v), kept(q, k[:, :0], v[:, :0]))[1:],
        lambda: random(q=(2, 2, 4, 8), k=(2, 5, 2, 8), v=(2, 5, 2, 8)),
    ),
    "inference.decoding.cross_cache.CachedDecoder.__init__": Case(
        lambda encoded: CachedDecoder(T5(encoded.dtype), encoded, 8)(torch.tensor([1, 2]), 0),
        lambda: random(encoded=(1, 4, 16)),
        tolerance=8,
    ),
    "inference.decoding.cross_cache.CachedDecoder.__call__": of_tokens(
        lambda ids: CachedDecoder(T5(torch.float32), random(x=(1, 4, 16))["x"], 8)(ids, 0), ids=(4,)
    ),
    **{
        f"inference.decoding.cross_cache.EncoderDecoder.{name}": Exempt("a protocol: what a model must have")
        for name in ("decode", "cross_attend", "head")
    },
    "inference.decoding.fused.FusedAttention.qkv": Exempt("part of forward"),
    "inference.decoding.fused.FusedAttention.forward": Case(
        lambda x: for_decoding(module(Attention, 16, 4, 2)(x.dtype))(x, causal),
        lambda: random(x=(2, 3, 16)),
        tolerance=4,
    ),
    "inference.medusa.tree_attention.tree_attention": Case(
        tree_attention, lambda: random(q=(2, 4, 4, 8), k=(2, 7, 2, 8), v=(2, 7, 2, 8)) | {"mask": TREE.mask.clone()}
    ),
    "inference.medusa.tree_cache.at_tree": Case(
        lambda q, k, v, depths, mask: at_tree(zeros(2), 3, depths, mask).attends[0](q, k, v),
        lambda: random(q=(2, 4, 4, 8), k=(2, 4, 1, 8), v=(2, 4, 1, 8)) | a_tree(),
        dtypes=FLOAT32,
        own_dtype=frozenset("qkv"),
        fixed=frozenset({"depths", "mask"}),
    ),
    "inference.medusa.tree_cache.tree_states": Case(
        lambda ids, depths, mask: after_prompt(lambda model: tree_states(model, ids, 3, depths, mask)),
        lambda: tokens(ids=(4,)) | a_tree(),
        dtypes=FLOAT32,
        fixed=frozenset({"depths", "mask"}),
    ),
    "inference.batched.decoding_state.DecodingState.begin": state_case(
        lambda state: state.begin(torch.arange(8).view(2, 4), torch.tensor([4, 2]), torch.tensor([3, 3]))
    ),
    "inference.batched.decoding_state.DecodingState.begin[prompts]": Case(
        lambda prompts, length, count: (
            (state := DecodingState.allocate(2, 3, 2, torch.device("cpu"))),
            state.begin(prompts, length, count),
        )[0],
        lambda: tokens(prompts=(2, 4)) | {"length": torch.tensor([4, 2]), "count": torch.tensor([3, 1])},
        dtypes=FLOAT32,
    ),
    "inference.batched.decoding_state.DecodingState.advance": state_case(
        lambda state: state.advance(torch.tensor([[1, 2, 3], [4, 5, 6]]), torch.tensor([3, 1]), 2)
    ),
    "inference.batched.decoding_state.DecodingState.advance[tokens]": Case(
        lambda new, count, drafted: (
            (state := DecodingState.allocate(2, 3, 2, torch.device("cpu"))),
            state.limit.add_(4),
            state.advance(new, count, 2, drafted),
        )[0],
        lambda: tokens(new=(2, 3), drafted=(2, 2)) | {"count": torch.tensor([3, 1])},
        dtypes=FLOAT32,
    ),
    "inference.batched.device_sampling.DeviceSampler.probabilities": Case(
        lambda logits: [DeviceSampler(how, seeded()).probabilities(logits) for how in SAMPLINGS],
        lambda: random(logits=(3, 9)),
    ),
    "inference.batched.device_sampling.DeviceSampler.draw": Case(
        lambda probs: [DeviceSampler(how, seeded()).draw(probs) for how in SAMPLINGS],
        lambda: distributions(probs=(3, 9)),
    ),
    "inference.batched.autoregressive.autoregressive_round": in_state(
        lambda model, state, sampler: autoregressive_round(model, state, sampler, None), draft=False
    ),
    "inference.batched.autoregressive.AutoregressiveDecoder.generate": of_tokens(
        lambda a, b: AutoregressiveDecoder(models()[0], DeviceSampler(GREEDY, seeded())).generate([a, b], 4),
        a=(5,),
        b=(2,),
    ),
    "inference.batched.speculative.draft_block": in_state(
        lambda _, draft, state, sampler: draft_block(draft, state, 2, sampler), draft=True
    ),
    "inference.batched.speculative.batched_round": in_state(
        lambda model, draft, state, sampler: batched_round(model, draft, state, 2, sampler, None), draft=True
    ),
    "inference.batched.speculative.SpeculativeDecoder.prefill": of_tokens(
        lambda a, b: SpeculativeDecoder(*models(), DeviceSampler(GREEDY, seeded()), [0, 2]).run([a, b], 5, 2),
        a=(5,),
        b=(2,),
    ),
    "inference.batched.speculative.SpeculativeDecoder.generate": of_tokens(
        lambda a, b: SpeculativeDecoder(*models(), DeviceSampler(GREEDY, seeded()), [2]).generate([a, b], 5, 2),
        a=(5,),
        b=(2,),
    ),
    "inference.decoding.divergence.first_divergence": of_tokens(
        lambda prompt: first_divergence(DRAFT, TARGET, prompt, [1, 2, 3], [1, 4, 3]), prompt=(5,)
    ),
    "inference.speculative.markov.MarkovModel.__init__": Case(
        lambda table: MarkovModel(table).logits, lambda: distributions(table=(4, 4)), lambda table: table.log()
    ),
    "inference.speculative.markov.MarkovModel.__call__": of_tokens(
        lambda ids: MarkovModel(torch.full((20, 20), 0.05).log().softmax(-1))(ids, 0), ids=(5,)
    ),
    "inference.medusa.candidates.tree_tokens": Case(
        lambda root, guesses: tree_tokens(root, guesses, TREE),
        lambda: {"root": torch.tensor(5), "guesses": random(guesses=(2, 9))["guesses"]},
        fixed=frozenset({"guesses"}),  # which of equal guesses comes first is open
    ),
    "inference.medusa.decoder.keep_rows": changing(
        lambda keys, values, path: keep_rows(KVCache(keys, values), 2, path),
        lambda: random(keys=(2, 1, 8, 1, 4), values=(2, 1, 8, 1, 4)) | {"path": torch.tensor([0, 2, 3])},
    ),
    "inference.medusa.decoder.medusa_round": Case(
        lambda text, hidden: after_prompt(lambda model: medusa_round(model, HEADS, TREE, text, hidden, EXACT)),
        lambda: {"text": torch.tensor([1, 2, 3, 4])} | random(hidden=(16,)),
        dtypes=FLOAT32,
        own_dtype=frozenset({"hidden"}),
    ),
    "inference.medusa.decoder.medusa_generate": of_tokens(
        lambda prompt: medusa_generate(target(), HEADS, TREE, prompt, 6), prompt=(5,)
    ),
    "inference.medusa.heads.MedusaHeads.forward": Case(
        lambda hidden: deepcopy(HEADS).to(hidden.dtype)(hidden), lambda: random(hidden=(2, 3, 16)), tolerance=2.0
    ),
    "inference.medusa.search.rank_accuracies": Case(
        lambda hidden, ids: rank_accuracies(HEADS, hidden, ids, 3),
        lambda: random(hidden=(7, 16)) | tokens(ids=(7,)),
        dtypes=FLOAT32,
        own_dtype=frozenset({"hidden"}),
    ),
    "inference.medusa.verification.kept_lengths": tree_case(
        verification.kept_lengths, accepted=lambda: torch.tensor([True, True, False, True])
    ),
    "inference.medusa.verification.matching_path": tree_case(
        verification.matching_path, tokens=node_tokens, choices=lambda: node_logits().argmax(-1)
    ),
    "inference.medusa.verification.typical_threshold": Case(
        verification.typical_threshold, lambda: distributions(probs=(4, 9))
    ),
    "inference.medusa.verification.typical_path": tree_case(
        verification.typical_path, tokens=node_tokens, probs=node_probs
    ),
    "inference.medusa.verification.Exact.first": Case(
        lambda logits: [verification.Exact(how).first(logits, seeded()) for how in SAMPLINGS],
        lambda: random(logits=(9,)),
    ),
    "inference.medusa.verification.Exact.__call__": tree_case(
        lambda **given: [verification.Exact(how)(**given, generator=seeded()) for how in SAMPLINGS],
        logits=node_logits,
        tokens=node_tokens,
    ),
    "inference.medusa.verification.Typical.first": Case(
        lambda logits: TYPICAL.first(logits, None), lambda: random(logits=(9,))
    ),
    "inference.medusa.verification.Typical.__call__": tree_case(
        lambda **given: TYPICAL(**given, generator=None), logits=node_logits, tokens=node_tokens
    ),
    "inference.serving.paged_cache.PagedKVCache.write": Case(
        written,
        lambda: random(keys=(3, 1, 8), values=(3, 1, 8)) | slots(),
        written_exactly,
        fixed=frozenset({"slots"}),
    ),
    "inference.serving.paged_cache.PagedKVCache.gather": Case(gathered, slots, dtypes=FLOAT32),
    "inference.speculative.prompt_lookup.look_up": Case(
        lambda ids: look_up(ids, 3), lambda: {"ids": torch.tensor([4, 5, 6, 7, 4, 5])}, dtypes=FLOAT32
    ),
    "inference.speculative.prompt_lookup.prompt_lookup_generate": of_tokens(
        lambda prompt: prompt_lookup_generate(target(), prompt, 6, 3), prompt=(5,)
    ),
    "inference.decoding.quantized_cache.quantize_rows": Case(quantize_rows, lambda: random(x=(3, 2, 8))),
    "inference.decoding.quantized_cache.dequantize_rows": Case(
        lambda codes, scales: dequantize_rows(QuantizedRows(codes, scales)),
        lambda: {"codes": torch.arange(-12, 12, dtype=torch.int8).view(4, 6), "scales": torch.rand(4)},
    ),
    "inference.decoding.cache.CachedModel.__call__[quantized]": of_tokens(
        lambda ids: CachedModel(TARGET, allocate=QuantizedKVCache.allocate)(ids, 0), ids=(4,)
    ),
    "inference.serving.ragged_batch.ragged_forward": of_tokens(ragged, first=(5,), second=(2,)),
    "inference.batched.round_loop.RoundLoop.__init__": of_tokens(reported, report=(2, 4)),
    "inference.speculative.rounds.speculative_round": of_tokens(
        lambda ids: speculative_round(target(), CachedModel(DRAFT), ids, 3), ids=(2,)
    ),
    "inference.speculative.rounds.check_block": Case(
        lambda ids, drafted, probs: after_prompt(
            lambda model: check_block(model, ids, DraftBlock(drafted, probs), Sampling(1.0), seeded())
        ),
        lambda: {"ids": torch.tensor([1, 2, 3, 4]), "drafted": torch.tensor([7, 9])} | distributions(probs=(2, 20)),
    ),
    "inference.decoding.sampling.at_least_float32": Case(sampling.at_least_float32, lambda: random(x=(3, 4))),
    "inference.decoding.sampling.probabilities": Case(
        lambda logits: [sampling.probabilities(logits, how) for how in SAMPLINGS], lambda: random(logits=(2, 3, 9))
    ),
    "inference.decoding.sampling.sample": Case(
        lambda probs: sampling.sample(probs, seeded()), lambda: distributions(probs=(2, 3, 9))
    ),
    "inference.decoding.sampling.check_distributions": Case(
        lambda probs: sampling.check_distributions(probs, probs.sum(-1, keepdim=True)),
        lambda: distributions(probs=(2, 3, 9)),
    ),
    "inference.decoding.sampling.draw": Case(drawn, lambda: random(logits=(2, 3, 9))),
    "inference.decoding.sampling.race": Case(
        sampling.race,
        lambda: distributions(probs=(2, 9)) | {"exponentials": random(e=(2, 9))["e"].abs() + 0.1},
    ),
    "inference.speculative.decoder.speculative_generate": of_tokens(
        lambda prompt: speculative_generate(target(), CachedModel(DRAFT), prompt, 6, 3), prompt=(5,)
    ),
    "inference.speculative.decoder.generate_in_rounds": of_tokens(
        lambda prompt: generate_in_rounds(
            [], lambda ids, length: Round(ids[:1] + length, 0, ids[:0]), prompt, 4, 2, None
        ),
        prompt=(5,),
    ),
    "inference.batched.static_model.StaticModel.prefill": of_tokens(lambda ids: models()[0].prefill(ids), ids=(2, 3)),
    "inference.batched.static_model.StaticModel.__call__": Case(
        lambda ids, position: models()[0](ids, position),
        lambda: tokens(ids=(2, 3)) | {"position": torch.tensor([0, 2])},
        dtypes=FLOAT32,
    ),
    "inference.serving.transformer_backend.TransformerBackend.__init__": of_tokens(served, prompt=(5,)),
}
