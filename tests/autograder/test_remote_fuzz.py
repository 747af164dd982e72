"""Whatever bytes a worker sends, a call gives a value or a failed check with a bearable sentence, and nothing else."""

import json
import struct

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autograder.checks import Callback, CheckFailed
from tests.autograder.test_hostile_worker import frame, hostile

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["tensor", "tuple", "dict", "float", "seed", "x"]), inner, max_size=2)
    ),
    max_leaves=8,
)
replies = st.fixed_dictionaries(
    {"op": st.sampled_from(["ready", "result", "error", "callback", "verdict"])},
    optional={
        "value": json_values,
        "kind": st.sampled_from(["missing", "syntax", "raised", "ended", "result", "not_written", "passed"]),
        "type": st.text(max_size=200),
        "message": st.text(max_size=2000),
        "line": st.none() | st.integers(),
        "index": st.integers(-2, 2),
        "args": st.lists(json_values, max_size=3),
        "score": st.floats(allow_nan=False),
    },
)
quietly = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def tried(lie) -> None:
    call = hostile(lie, check_s=0.03)
    try:
        call("f", Callback(lambda *args: args))
    except CheckFailed as failure:
        said = str(failure)
        assert said.isprintable()
        assert len(said) < 1500
    finally:
        call.close()


@quietly
@given(replies)
def test_any_reply_with_the_right_id(reply: dict) -> None:
    tried(lambda request: frame({**reply, "id": request.get("id", "x")}))


@quietly
@given(st.binary(max_size=80))
def test_any_bytes(raw: bytes) -> None:
    tried(lambda request: raw)


@quietly
@given(st.binary(max_size=80) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_frame(raw: bytes) -> None:
    tried(lambda request: struct.pack("!I", len(raw)) + raw)
