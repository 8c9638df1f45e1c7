import textwrap

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zorro_keras.routing import Routing, TokenLayout

LAYOUT = TokenLayout({"audio": 2, "fusion": 1, "video": 3})
MODALITIES = ["audio", "video"]
PICTURES = {
    "zorro": (
        Routing.zorro(MODALITIES),
        LAYOUT,
        """
        audio   ##....
                ##....
        fusion  ######
        video   ...###
                ...###
                ...###
        """,
    ),
    "bottleneck": (
        Routing.bottleneck(MODALITIES),
        LAYOUT,
        """
        audio   ###...
                ###...
        fusion  ######
        video   ..####
                ..####
                ..####
        """,
    ),
    "early": (
        Routing.early(MODALITIES),
        LAYOUT.restrict(MODALITIES),
        """
        audio  #####
               #####
        video  #####
               #####
               #####
        """,
    ),
    "late": (
        Routing.late(MODALITIES),
        LAYOUT.restrict(MODALITIES),
        """
        audio  ##...
               ##...
        video  ..###
               ..###
               ..###
        """,
    ),
}


@pytest.mark.parametrize("name", PICTURES)
def test_each_preset_is_its_picture(name):
    routing, layout, picture = PICTURES[name]
    assert routing.picture(layout) == textwrap.dedent(picture).strip()


def test_three_streams_of_any_name_are_routed_alike():
    layout = TokenLayout({"lidar": 1, "text": 2, "radar": 1, "fusion": 1})
    picture = """
    lidar   #....
    text    .##..
            .##..
    radar   ...#.
    fusion  #####
    """
    assert Routing.zorro(["lidar", "text", "radar"]).picture(layout) == textwrap.dedent(picture).strip()


def test_readout_queries_read_streams_that_never_read_them():
    routing = Routing({"audio": ["audio"], "global": ["audio", "video"]}, sources=["audio", "video"])
    picture = routing.picture(TokenLayout({"audio": 1, "global": 1}), TokenLayout({"audio": 2, "video": 2}))
    assert picture == "audio   ##..\nglobal  ####"


def test_only_fusion_depends_on_the_other_modality():
    zorro = Routing.zorro(MODALITIES)
    assert zorro.dependents("video") == {"video", "fusion"}
    assert zorro.dependents("fusion") == {"fusion"}
    assert zorro.dependencies("audio") == {"audio"}


def test_bottleneck_tokens_carry_each_modality_to_the_other():
    bottleneck = Routing.bottleneck(MODALITIES)
    assert bottleneck.dependents("video") == {"audio", "video", "fusion"}
    assert not bottleneck.is_pure("audio")
    assert Routing.zorro(MODALITIES).is_pure("audio")


def test_a_routing_without_some_streams_still_routes_the_others():
    routing = Routing.zorro(["audio", "video", "text"]).restrict(["audio", "fusion"])
    assert dict(routing) == {"audio": ("audio",), "fusion": ("audio", "fusion")}


def test_a_reader_with_nothing_left_to_read_is_gone():
    routing = Routing({"audio": ["audio"], "global": ["video"]}, sources=["audio", "video"])
    assert set(routing.restrict(["audio"])) == {"audio"}


def test_an_unknown_stream_is_named():
    with pytest.raises(ValueError, match="unknown stream 'vidoe'"):
        Routing({"audio": ["audio", "vidoe"]})
    with pytest.raises(ValueError, match="unknown stream 'vidoe'"):
        Routing.zorro(MODALITIES).dependents("vidoe")


def test_a_reader_must_read_something():
    with pytest.raises(ValueError, match=r"at least one stream; let it read itself. Received: audio=\[\]"):
        Routing({"audio": []})
    with pytest.raises(ValueError, match="at least one reader"):
        Routing({})


def test_a_name_is_not_a_list_of_names():
    with pytest.raises(ValueError, match="list of stream names. Received: audio='audio'"):
        Routing({"audio": "audio"})


def test_a_cycle_that_breaks_a_promise_of_purity_is_refused():
    reads = {"audio": ["audio", "fusion"], "video": ["video"], "fusion": ["fusion", "video"]}
    assert Routing(reads).dependencies("audio") == {"audio", "fusion", "video"}
    with pytest.raises(ValueError, match=r"can learn of \['fusion', 'video'\] through audio -> fusion"):
        Routing(reads, pure=["audio"])


def test_the_fusion_stream_is_not_a_modality():
    with pytest.raises(ValueError, match="name the modalities alone"):
        Routing.zorro(["audio", "fusion"])


def test_a_routing_is_rebuilt_from_its_config():
    routing = Routing.zorro(MODALITIES)
    rebuilt = Routing.from_config(routing.get_config())
    assert rebuilt == routing and rebuilt.pure == routing.pure and rebuilt.sources == routing.sources


@st.composite
def routings(draw):
    names = [f"s{i}" for i in range(draw(st.integers(1, 5)))]
    subsets = st.lists(st.sampled_from(names), min_size=1, unique=True)
    return Routing({name: draw(subsets) for name in names})


@given(routings())
def test_dependencies_are_what_the_mask_reaches_in_enough_layers(routing):
    layout = TokenLayout(dict.fromkeys(routing, 1))
    reads = routing.truth_table(layout).astype(int)
    power, reached = reads, reads > 0
    for _ in range(len(routing)):
        power = np.minimum(power @ reads, 1)
        reached = reached | (power > 0)
    for row, name in zip(reached, routing, strict=True):
        assert routing.dependencies(name) == {s for s, seen in zip(layout, row, strict=True) if seen}
