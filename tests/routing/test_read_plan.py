import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.routing.test_routing import routings
from zorro_keras.routing import ReadPlan, Routing, TokenLayout


def table_of(plan):
    table = np.zeros((plan.query_layout.total, plan.key_layout.total), dtype=int)
    for read in plan.reads:
        for keys in read.keys:
            table[read.queries, keys] += 1
    return table


@given(routings(), st.data())
def test_a_plan_reads_each_allowed_pair_once_and_no_other(routing, data):
    layout = TokenLayout({name: data.draw(st.integers(1, 3)) for name in routing})
    plan = ReadPlan(routing, layout, layout)
    assert (table_of(plan) == routing.truth_table(layout)).all()
    assert (plan.mask == routing.truth_table(layout)).all()


def test_everyone_reads_everyone_is_one_plain_attention():
    layout = TokenLayout({"audio": 2, "video": 3})
    (read,) = ReadPlan(Routing.early(layout), layout, layout).reads
    assert (read.queries, read.keys) == (slice(0, 5), (slice(0, 5),))


def test_keys_with_a_gap_between_them_are_two_slices():
    layout = TokenLayout({"a": 2, "b": 3, "c": 1})
    routing = Routing({"a": ["a", "c"], "b": ["b"], "c": ["c"]})
    read = ReadPlan(routing, layout, layout).reads[0]
    assert read.keys == (slice(0, 2), slice(5, 6))


def test_a_stream_alone_needs_no_mask_for_being_absent_but_its_reader_does():
    layout = TokenLayout({"audio": 2, "video": 3, "fusion": 1})
    routing = Routing.zorro(["audio", "video"])
    masked = [read.masked for read in ReadPlan(routing, layout, layout, absent=["video"]).reads]
    assert masked == [False, False, True]
    padded = [read.masked for read in ReadPlan(routing, layout, layout, padded=["video"]).reads]
    assert padded == [False, True, True]


def test_a_plan_is_rebuilt_from_its_config():
    layout = TokenLayout({"audio": 2, "video": 3, "fusion": 1})
    plan = ReadPlan(Routing.zorro(["audio", "video"]), layout, layout, padded=["audio"], absent=["video"])
    rebuilt = ReadPlan.from_config(plan.get_config())
    assert rebuilt.reads == plan.reads and (rebuilt.mask == plan.mask).all()
