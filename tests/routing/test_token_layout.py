import pytest

from zorro_keras.routing import TokenLayout


def test_streams_lie_one_after_the_other():
    layout = TokenLayout({"audio": 2, "video": 3, "fusion": 1})
    assert layout.total == 6
    assert [layout.slice(s) for s in layout] == [slice(0, 2), slice(2, 5), slice(5, 6)]


def test_a_restricted_layout_closes_the_gap_and_keeps_the_order():
    layout = TokenLayout({"audio": 2, "video": 3, "fusion": 1}).restrict(["fusion", "audio"])
    assert dict(layout) == {"audio": 2, "fusion": 1}
    assert layout.slice("fusion") == slice(2, 3)


@pytest.mark.parametrize("counts", [{"audio": 0}, {"audio": -1}, {"audio": 2.5}])
def test_a_count_must_be_a_positive_integer(counts):
    with pytest.raises(ValueError, match="must be positive integers. Received: audio="):
        TokenLayout(counts)


def test_a_layout_needs_a_stream():
    with pytest.raises(ValueError, match="at least one stream"):
        TokenLayout({})


def test_unknown_streams_are_named():
    layout = TokenLayout({"audio": 2})
    with pytest.raises(ValueError, match="Received: stream='vidoe'"):
        layout.slice("vidoe")
    with pytest.raises(ValueError, match=r"unknown streams \['vidoe'\]"):
        layout.restrict(["audio", "vidoe"])
