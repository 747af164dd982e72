"""How the functions of `nimblelm.language` are called with tensors."""

from functools import partial

import torch

from nimblelm.language import bert, distilbert, gpt_neox, llama, opt, recurrent, seq2seq, splice, t5
from nimblelm.nn.attend import Past, causal, full
from nimblelm.nn.positions import rotary_table, rotate
from tests.tensor_variants import Arguments, Case, Exempt
from tests.variants.kernels import random
from tests.variants.nn import module

NOT_YET: tuple[str, ...] = ()
LLAMA = module(llama.Llama, llama.LlamaConfig(32, 16, num_layers=2, num_heads=4, num_kv_heads=2, d_ff=24))
BERT = module(bert.Bert, bert.BertConfig(32, 16, num_layers=2, num_heads=4, d_ff=24))
DISTIL = module(distilbert.DistilBert, distilbert.DistilBertConfig(32, 16, num_layers=2, num_heads=4, d_ff=24))
OPT = module(opt.OPT, opt.OPTConfig(32, 16, num_layers=2, num_heads=4, d_ff=24, max_seq_len=9))
NEOX = module(gpt_neox.GPTNeoX, gpt_neox.GPTNeoXConfig(32, 16, num_layers=2, num_heads=2, d_ff=24, max_seq_len=9))
T5_SHAPE = t5.T5Config(32, 16, num_layers=2, num_decoder_layers=2, num_heads=4, head_dim=3, d_ff=24)
T5 = module(t5.T5, T5_SHAPE)
FLOAT32 = (torch.float32,)


def ids(**shapes: tuple[int, ...]) -> Arguments:
    generator = torch.Generator().manual_seed(4)
    return {name: torch.randint(0, 32, shape, generator=generator) for name, shape in shapes.items()}


def of_tokens(function, **shapes: tuple[int, ...]) -> Case:
    return Case(function, lambda: ids(**shapes), dtypes=FLOAT32)


def of_states(function, tolerance: float = 8, **shapes: tuple[int, ...]) -> Case:
    return Case(function, lambda: random(**(shapes or {"x": (2, 3, 16)})), tolerance=tolerance)


def llama_block(x):
    turn = partial(rotate, table=rotary_table(3, 4).to(x.dtype))
    return LLAMA(x.dtype).blocks[0](x, causal, turn)


def neox_block(x):
    return NEOX(x.dtype).blocks[0](x, causal, lambda heads: heads)


def placed(x, positions):
    return LLAMA(x.dtype).states(x, Past([causal] * 2, positions))


IS_TOKEN = torch.tensor([[True, True, False, True], [False, True, True, True]])

RNN, LSTM = module(recurrent.RNN, 5, 4), module(recurrent.LSTM, 5, 4)
RECURRENT_LM = module(recurrent.RecurrentLM, recurrent.RecurrentConfig(32, 6))
SEQ2SEQ = module(seq2seq.Seq2Seq, seq2seq.Seq2SeqConfig(32, 32, 6))


def translated(a, b):
    return SEQ2SEQ(torch.float32).decode(a, b)


CASES: dict[str, Case | Exempt] = {
    "language.recurrent.RNN.forward": of_states(lambda x: RNN(x.dtype)(x), x=(2, 3, 5)),
    "language.recurrent.RNN.start": of_states(lambda x: RNN(x.dtype).start(x), x=(2, 3, 5)),
    "language.recurrent.RNN.step": of_states(lambda x, h: RNN(x.dtype).step(x, (h.to(x.dtype),)), x=(2, 4), h=(2, 4)),
    "language.recurrent.LSTM.start": of_states(lambda x: LSTM(x.dtype).start(x), x=(2, 3, 5)),
    "language.recurrent.LSTM.step": of_states(
        lambda x, h, c: LSTM(x.dtype).step(x, (h.to(x.dtype), c.to(x.dtype))), x=(2, 16), h=(2, 4), c=(2, 4)
    ),
    "language.recurrent.RecurrentLM.forward": of_tokens(lambda a: RECURRENT_LM(torch.float32)(a), a=(2, 3)),
    "language.seq2seq.Seq2Seq.forward": of_tokens(lambda a, b: SEQ2SEQ(torch.float32)(a, b), a=(2, 4), b=(2, 3)),
    "language.seq2seq.Seq2Seq.decode": of_tokens(translated, a=(2, 4), b=(2, 3)),
    "language.seq2seq.Seq2Seq.translate": of_tokens(lambda a: SEQ2SEQ(torch.float32).translate(a, 3), a=(2, 4)),
    "language.seq2seq.attention_weights": Case(
        lambda q, s, t: seq2seq.attention_weights(q, s.to(q.dtype), t),
        lambda: random(q=(2, 3, 5), s=(2, 4, 5)) | {"t": IS_TOKEN},
        fixed=frozenset({"t"}),
    ),
    "language.bert.Bert.forward": of_tokens(lambda a, b: BERT(torch.float32)(a, full, b % 2), a=(2, 3), b=(2, 3)),
    "language.bert.Bert.embed": of_tokens(lambda a, b: BERT(torch.float32).embed(a, b % 2), a=(2, 3), b=(2, 3)),
    "language.bert.Bert.states": of_states(lambda x: BERT(x.dtype).states(x)),
    "language.bert.Bert.layers": of_states(lambda x: list(BERT(x.dtype).layers(x))),
    "language.bert.Bert.logits": of_states(lambda x: BERT(x.dtype).logits(x)),
    "language.bert.Block.forward": of_states(lambda x: BERT(x.dtype).blocks[0](x, full)),
    "language.distilbert.DistilBert.forward": of_tokens(lambda a: DISTIL(torch.float32)(a, full), a=(2, 3)),
    "language.distilbert.DistilBert.embed": of_tokens(lambda a: DISTIL(torch.float32).embed(a), a=(2, 3)),
    "language.distilbert.DistilBert.states": of_states(lambda x: DISTIL(x.dtype).states(x)),
    "language.distilbert.DistilBert.layers": of_states(lambda x: list(DISTIL(x.dtype).layers(x))),
    "language.distilbert.DistilBert.logits": of_states(lambda x: DISTIL(x.dtype).logits(x)),
    "language.opt.OPT.forward": of_tokens(lambda a: OPT(torch.float32)(a), a=(2, 3)),
    "language.opt.OPT.embed": of_tokens(lambda a: OPT(torch.float32).embed(a), a=(2, 3)),
    "language.opt.OPT.states": of_states(lambda x: OPT(x.dtype).states(x)),
    "language.opt.OPT.layers": of_states(lambda x: list(OPT(x.dtype).layers(x))),
    "language.opt.Block.forward": of_states(lambda x: OPT(x.dtype).blocks[0](x, causal)),
    "language.gpt_neox.GPTNeoX.forward": of_tokens(lambda a: NEOX(torch.float32)(a), a=(2, 3)),
    "language.gpt_neox.GPTNeoX.states": of_states(lambda x: NEOX(x.dtype).states(x)),
    "language.gpt_neox.GPTNeoX.layers": of_states(lambda x: list(NEOX(x.dtype).layers(x))),
    "language.gpt_neox.Block.forward": of_states(neox_block),
    "language.gpt_neox.separated": Exempt("cuts a loaded model's matrices apart"),
    "language.llama.Llama.forward": of_tokens(lambda a: LLAMA(torch.float32)(a), a=(2, 3)),
    "language.llama.Llama.embed": of_tokens(lambda a: LLAMA(torch.float32).embed(a), a=(2, 3)),
    "language.llama.Llama.states": of_states(lambda x: LLAMA(x.dtype).states(x)),
    "language.llama.Llama.states[positions]": Case(
        placed,
        lambda: random(x=(2, 3, 16)) | {"positions": torch.tensor([[5, 6, 7], [2, 3, 4]])},
        fixed=frozenset({"positions"}),
        tolerance=8,
    ),
    "language.llama.Llama.layers": of_states(lambda x: list(LLAMA(x.dtype).layers(x))),
    "language.llama.Block.forward": of_states(llama_block),
    "language.t5.T5.forward": of_tokens(lambda a, b: T5(torch.float32)(a, b, IS_TOKEN), a=(2, 4), b=(2, 3)),
    "language.t5.T5.encode": of_tokens(lambda a: T5(torch.float32).encode(a, IS_TOKEN), a=(2, 4)),
    "language.t5.T5.decode": Case(
        lambda a, encoded: T5(encoded.dtype).decode(a, encoded, is_token=IS_TOKEN),
        lambda: ids(a=(2, 3)) | random(encoded=(2, 4, 16)),
        tolerance=8,
    ),
    "language.t5.T5.cross_attend": Case(
        lambda is_token: T5(torch.float32).cross_attend(is_token)(*(torch.ones(2, n, 4, 3) for n in (2, 4, 4))),
        lambda: {"is_token": IS_TOKEN},
        dtypes=FLOAT32,
        fixed=frozenset({"is_token"}),
    ),
    "language.t5.T5.head": of_states(lambda x: T5(x.dtype).head(x)),
    "language.t5.Block.forward": of_states(lambda x: T5(x.dtype).decoder[0](x, causal, full, x)),
    "language.splice.splice": Case(
        lambda x, table: splice.splice([torch.tensor([1, 3, 2])], None, [x], lambda one: table[one], 3).embeddings,
        lambda: random(x=(2, 4), table=(3, 4)),
        own_dtype=frozenset({"x"}),
    ),
    "language.splice.answer_labels": Case(
        lambda t: splice.answer_labels(t, [(1, 3)]), lambda: ids(t=(5,)), fixed=frozenset({"t"})
    ),
    "language.splice.inspect_labels": Case(
        lambda t: splice.inspect_labels(t, 32), lambda: ids(t=(2, 5)), fixed=frozenset({"t"})
    ),
    "language.splice.next_token_labels": Case(
        lambda t: splice.next_token_labels(t), lambda: ids(t=(2, 5)), fixed=frozenset({"t"})
    ),
}
