"""The judge's parser under hostile input: a value or ProtocolError, and never more memory than agreed."""

import contextlib
import json
import math
import os
import socket
import struct
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.wire import values
from autograder.wire.channel import (
    MAX_HEADER_BYTES,
    Channel,
    Closed,
    check_reply,
    create_shared_memory,
    map_shared_memory,
    parse_header,
)
from autograder.wire.values import DTYPES, Arena, Budget, ProtocolError, Remote, pack, unpack

SIZE = 4096
SPECIAL = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def arena() -> Arena:
    return Arena(bytearray(SIZE), size=SIZE)


def crossed(value):
    """The value after a way through JSON text and shared bytes."""
    shared = arena()
    return unpack(parse_header(json.dumps({"v": pack(value, shared)}).encode())["v"], shared)


@pytest.mark.parametrize(
    "value", [None, True, 0, -(2**63), 0.1, -0.0, "ü\n", [1, [2.5]], (1, "a", ()), {"a": (None,)}, []]
)
def test_plain_values_cross_unchanged(value):
    got = crossed(value)
    assert got == value
    assert repr(got) == repr(value)


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (5,), (2, 3), (2, 0, 3)])
def test_tensors_of_every_dtype_cross_bit_by_bit(name, shape):
    tensor = (torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 100).to(DTYPES[name])
    got = crossed([tensor, tensor.clone()])
    assert got[0].dtype == tensor.dtype
    assert torch.equal(got[0], tensor)
    assert torch.equal(got[1], tensor)


@pytest.mark.parametrize("shape", [[2**40, 0], [0, 2**40], [SIZE, 0, 1], [2**40, 2**40, 0]])
def test_tensors_without_elements_take_the_room_of_their_rows(shape):
    with pytest.raises(ProtocolError, match="that one message may bring"):
        unpack({"tensor": ["float32", shape, 0]}, arena())


def test_non_finite_numbers_cross_explicitly():
    got = crossed([math.nan, math.inf, -math.inf])
    assert math.isnan(got[0])
    assert got[1:] == [math.inf, -math.inf]


def test_numpy_and_strange_tensors_become_plain_ones():
    class Liar(torch.Tensor):
        def __eq__(self, other):
            return True

    got = crossed(
        [np.float32(1.5), np.int64(3), np.bool_(True), np.arange(3), torch.ones(2, requires_grad=True), np.array(2)]
    )
    assert got[:3] == [1.5, 3, True]
    assert got[3].tolist() == [0, 1, 2]
    assert got[4].requires_grad is False
    assert got[5].shape == ()
    liar = crossed(torch.ones(2).as_subclass(Liar))
    assert type(liar) is torch.Tensor


@pytest.mark.parametrize(
    "value",
    [object(), {1: 2}, 2**63, torch.ones(2, dtype=torch.complex64), np.array(["a"]), {"f": print}, torch.zeros(SIZE)],
)
def test_what_cannot_cross_is_refused_with_a_reason(value):
    with pytest.raises(ValueError, match="cross"):
        pack(value, arena())


def test_values_that_hold_themselves_are_refused():
    endless = []
    endless.append(endless)
    with pytest.raises(ValueError, match="deep"):
        pack(endless, arena())


json_trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["tensor", "tuple", "dict", "float", "seed", "remote", "callback", "x"]), inner, max_size=2
        )
    ),
    max_leaves=12,
)
descriptions = st.tuples(
    st.sampled_from([*DTYPES, "complex64", "object"]) | st.none(),
    st.lists(st.integers(-2, 2**70) | st.integers(0, 8), max_size=10) | st.text(max_size=3),
    st.integers(-(2**40), 2**40) | st.sampled_from([0, 64, 128, SIZE, SIZE - 64]),
)


@settings(max_examples=400, deadline=None)
@given(json_trees)
def test_any_tree_gives_a_value_or_a_protocol_error(tree):
    with contextlib.suppress(ProtocolError):
        unpack(tree, arena())


@settings(max_examples=400, deadline=None)
@given(descriptions)
def test_any_tensor_description_gives_a_tensor_within_the_memory_or_a_protocol_error(description):
    try:
        tensor = unpack({"tensor": list(description)}, arena())
    except ProtocolError:
        return
    assert tensor.numel() * tensor.element_size() <= SIZE


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=64) | json_trees.map(lambda tree: json.dumps(tree).encode()))
def test_any_bytes_give_a_header_or_a_protocol_error(raw):
    with contextlib.suppress(ProtocolError):
        check_reply(parse_header(raw), "id")


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["op", "id", "value", "kind", "type", "message", "line", "index", "args", "x"]), json_trees
    )
)
def test_replies_outside_the_schema_are_refused(header):
    for op in ("ready", "result", "error", "callback"):
        try:
            reply = check_reply({**header, "op": op}, "id")
        except ProtocolError:
            continue
        assert reply["id"] == "id"


@pytest.mark.parametrize(
    "raw", [b"NaN", b'{"v": Infinity}', b"[1]", b"{", b"\xff", b"1" * 10_000, b"[" * 10**6, b'{"v":' * 10**5]
)
def test_what_is_no_json_object_is_refused(raw):
    with pytest.raises(ProtocolError):
        parse_header(raw)


def nested(depth):
    tree = 1
    for _ in range(depth):
        tree = [tree]
    return tree


@pytest.mark.parametrize(
    "tree",
    [nested(values.MAX_DEPTH + 1), [0] * (values.MAX_VALUES + 1), "a" * (values.MAX_TEXT + 1), "\ud800", 1e999, 2**64,
     {"float": "1.5"}, {"seed": 1}, {"tuple": {}}, {"dict": []}, {}, {"a": 1, "b": 2}],
)  # fmt: skip
def test_trees_beyond_the_limits_are_refused(tree):
    with pytest.raises(ProtocolError):
        unpack(tree, arena())


def test_many_views_of_the_same_memory_do_not_fill_the_judges():
    whole = {"tensor": ["float32", [SIZE // 4], 0]}
    assert unpack([whole], arena())[0].nbytes == SIZE
    with pytest.raises(ProtocolError, match="more than the"):
        unpack([whole, whole], arena())


def test_booleans_are_made_of_any_byte():
    shared = Arena(bytearray([0, 1, 2, 255] * 16), size=64)
    assert shared.take(["bool", [4], 0], Budget()).tolist() == [False, True, True, True]


def test_taken_tensors_are_private_copies():
    memory = bytearray(SIZE)
    shared = Arena(memory, size=SIZE)
    description = shared.put(torch.ones(4))
    taken = shared.take(description, Budget())
    shared.poison()
    assert taken.tolist() == [1, 1, 1, 1]
    assert shared.take(description, Budget()).isnan().all()


def test_nobody_can_shrink_the_shared_memory_under_the_judge():
    descriptor = create_shared_memory()
    to_worker, from_worker = map_shared_memory(descriptor)
    for size in (0, 2**40):
        with pytest.raises(PermissionError):
            os.ftruncate(descriptor, size)
    os.close(descriptor)
    description = from_worker.put(torch.arange(3))
    assert from_worker.take(description, Budget()).tolist() == [0, 1, 2]
    assert to_worker.take(["int64", [3], 0], Budget()).tolist() == [0, 0, 0]


def test_what_is_kept_in_a_worker_is_built_from_plain_arguments():
    with pytest.raises(ValueError, match="numbers or strings"):
        Remote("m:f", torch.ones(1), keep=True)
    with pytest.raises(ValueError, match="not of the form"):
        Remote("no_colon")


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    yield Channel(ours), theirs
    ours.close()
    theirs.close()


def test_frames_arrive_whole(pair):
    channel, theirs = pair
    Channel(theirs).send({"op": "ready", "text": "ü" * 1000})
    assert channel.receive(time.monotonic() + 5) == {"op": "ready", "text": "ü" * 1000}


def test_a_frame_that_trickles_in_runs_into_the_deadline(pair):
    channel, theirs = pair
    theirs.sendall(struct.pack("!I", 100) + b"{")
    with pytest.raises(TimeoutError):
        channel.receive(time.monotonic() + 0.1)


def test_a_frame_that_claims_to_be_huge_is_refused_at_once(pair):
    channel, theirs = pair
    theirs.sendall(struct.pack("!I", MAX_HEADER_BYTES + 1))
    with pytest.raises(ProtocolError, match="at most"):
        channel.receive(time.monotonic() + 5)


def test_a_closed_channel_is_told_apart(pair):
    channel, theirs = pair
    theirs.sendall(b"\0\0")
    theirs.close()
    with pytest.raises(Closed):
        channel.receive(time.monotonic() + 5)
