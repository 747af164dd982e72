"""The corpus, its split and its tokenizer."""

import pytest

from nimblelm.data.corpus import Module, held_out_texts, manifest_differences, stdlib_modules
from nimblelm.data.tokenizer import END_OF_TEXT_ID, train_tokenizer
from nimblelm.inference.speculative.pair import load_pair_tokenizer


def test_the_split_keeps_whole_packages_apart():
    modules = stdlib_modules()
    packages = {True: set(), False: set()}
    for module in modules:
        packages[module.held_out].add(module.name.split("/")[0].removesuffix(".py"))
    assert not packages[True] & packages[False]
    size = sum(len(m.text) for m in modules)
    assert 0.04 < sum(len(m.text) for m in modules if m.held_out) / size < 0.16
    assert not any("site-packages" in m.name or "/test/" in m.name for m in modules)


def test_manifest_differences_name_what_differs():
    modules = stdlib_modules()
    here = manifest_differences(modules)
    changed = [Module(modules[0].name, "x"), *modules[2:], Module("zzz.py", "")]
    there = manifest_differences(changed)
    assert modules[0].name in there["changed"]
    assert set(there["missing"]) >= {modules[1].name} - set(here["added"])
    assert "zzz.py" in there["added"]


def test_committed_texts_are_held_out():
    texts = held_out_texts()
    assert len(texts) >= 10
    assert all(text.held_out and len(text.text) > 2000 for text in texts)


def test_every_string_survives_the_committed_tokenizer():
    tokenizer = load_pair_tokenizer()
    for text in [*(t.text for t in held_out_texts()), "naïve — 語\t\n  x", ""]:
        assert tokenizer.decode(tokenizer.encode(text).ids) == text
    assert tokenizer.token_to_id("<|endoftext|>") == END_OF_TEXT_ID
    assert END_OF_TEXT_ID in tokenizer.encode("a <|endoftext|> b").ids  # whoever writes it ends the text


def test_a_tokenizer_learns_the_frequent_pairs_and_refuses_a_vocabulary_below_the_bytes():
    tokenizer = train_tokenizer(["abcabcabd " * 50], 260)
    assert len(tokenizer.encode("abc").ids) < 3
    assert tokenizer.get_vocab_size() == 260
    with pytest.raises(ValueError, match="200 is below 257"):
        train_tokenizer(["a"], 200)
