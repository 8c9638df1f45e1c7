"""Every change of a pair's geometry changes its flow so that it still leads from one frame to the other."""

import numpy as np
import pytest
import tensorflow as tf

from zorro_keras.applications.pipelines.flow_warp import mirrored, reversed_pair, scaled_box

# The second frame shows at A x + t what the first shows at x.
MATRIX, SHIFT = np.array([[1.05, 0.04], [-0.03, 0.96]]), np.array([1.7, -2.3])
HEIGHT, WIDTH = 41, 53


def pattern(x, y):
    """A smooth picture over the plane, in [0, 255]."""
    waves = [(0.31, 0.12, 0.3), (-0.17, 0.29, 1.1), (0.22, -0.25, 2.0)]
    return 127.5 + 120 * np.stack([np.sin(a * x + b * y + c) for a, b, c in waves], axis=-1)


def grid(height=HEIGHT, width=WIDTH):
    rows, columns = np.mgrid[:height, :width].astype(float)
    return columns, rows


def pair():
    x, y = grid()
    places = np.stack([x, y], axis=-1)
    back = (places - SHIFT) @ np.linalg.inv(MATRIX).T
    frames = np.stack([pattern(x, y), pattern(back[..., 0], back[..., 1])])
    flow = places @ MATRIX.T + SHIFT - places
    return {
        "frames": tf.constant(frames, tf.float32),
        "flow": tf.constant(flow, tf.float32),
        "valid": tf.ones((HEIGHT, WIDTH), tf.bool),
    }


def sampled(picture, x, y):
    """Linear interpolation, and which places lie inside."""
    height, width = picture.shape[:2]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    x, y = np.clip(x, 0, width - 1.001), np.clip(y, 0, height - 1.001)
    x0, y0 = x.astype(int), y.astype(int)
    wx, wy = (x - x0)[..., None], (y - y0)[..., None]
    above = picture[y0, x0] * (1 - wx) + picture[y0, x0 + 1] * wx
    below = picture[y0 + 1, x0] * (1 - wx) + picture[y0 + 1, x0 + 1] * wx
    return above * (1 - wy) + below * wy, inside


def misfit(changed):
    """Mean difference between the first frame and the second fetched along the flow."""
    frames, flow, valid = (changed[name].numpy() for name in ("frames", "flow", "valid"))
    x, y = grid(*valid.shape)
    fetched, inside = sampled(frames[1], x + flow[..., 0], y + flow[..., 1])
    counted = valid & inside
    assert counted.mean() > 0.5
    return np.abs(fetched - frames[0])[counted].mean()


def test_the_pair_itself_fits_and_a_wrong_flow_does_not():
    whole = pair()
    assert misfit(whole) < 2
    assert misfit({**whole, "flow": -whole["flow"]}) > 20  # so that the other tests can fail


@pytest.mark.parametrize(
    ("scale", "corner", "size"),
    [((1.0, 1.0), (3, 7), (29, 31)), ((1.6, 1.3), (9, 5), (37, 43)), ((0.8, 1.4), (2, 11), (23, 47))],
)
def test_flow_follows_size_and_crop(scale, corner, size):
    changed = scaled_box(pair(), tf.constant(scale), tf.constant(corner), size)
    assert misfit(changed) < 3
    # Linear flow is linear still: the closed form at each new pixel.
    x, y = grid(*size)
    old = np.stack([(x + corner[1] + 0.5) / scale[1] - 0.5, (y + corner[0] + 0.5) / scale[0] - 0.5], axis=-1)
    expected = (old @ MATRIX.T + SHIFT - old) * np.array([scale[1], scale[0]])
    inside = (old >= 0).all(-1) & (old <= np.array([WIDTH - 1, HEIGHT - 1])).all(-1)
    np.testing.assert_allclose(changed["flow"].numpy()[inside], expected[inside], atol=1e-4)


def test_a_crop_alone_keeps_every_bit():
    whole = pair()
    changed = scaled_box(whole, tf.ones(2), tf.constant([3, 7]), (29, 31))
    for name, axes in (("frames", 1), ("flow", 0), ("valid", 0)):
        box = (slice(None),) * axes + (slice(3, 32), slice(7, 38))
        np.testing.assert_array_equal(changed[name].numpy(), whole[name].numpy()[box])


@pytest.mark.parametrize("mirror", [(True, False), (False, True), (True, True), (False, False)])
def test_flow_turns_with_a_mirrored_pair(mirror):
    changed = mirrored(pair(), *map(tf.constant, mirror))
    assert misfit(changed) < 2
    flow = pair()["flow"].numpy()
    expected = flow[:: -1 if mirror[1] else 1, :: -1 if mirror[0] else 1]
    signs = np.array([-1 if mirror[0] else 1, -1 if mirror[1] else 1])
    np.testing.assert_array_equal(changed["flow"].numpy(), expected * signs)


def test_unknown_flow_spoils_nothing_around_it():
    whole, hole = pair(), np.ones((HEIGHT, WIDTH), bool)
    hole[10:15, 20:30] = False
    flow = np.where(hole[..., None], whole["flow"].numpy(), np.nan).astype(np.float32)
    scale, corner, size = tf.constant([1.5, 1.5]), tf.constant([4, 6]), (37, 53)
    found = scaled_box({**whole, "flow": tf.constant(flow), "valid": tf.constant(hole)}, scale, corner, size)
    expected = scaled_box(whole, scale, corner, size)
    valid = found["valid"].numpy()
    assert 0.9 < valid.mean() < 1 and np.isfinite(found["flow"]).all()
    assert not found["flow"].numpy()[~valid].any()
    # At the rim of the hole the mean of fewer neighbours stands in: flow changes by 0.05 a pixel here.
    np.testing.assert_allclose(found["flow"].numpy()[valid], expected["flow"].numpy()[valid], atol=0.08)


def test_nothing_is_known_beyond_the_picture():
    changed = scaled_box(pair(), tf.ones(2), tf.zeros(2), (HEIGHT + 6, WIDTH + 4))
    valid = changed["valid"].numpy()
    assert valid[:HEIGHT, :WIDTH].all() and not valid[HEIGHT:].any() and not valid[:, WIDTH:].any()
    np.testing.assert_array_equal(changed["frames"][:, -1, :WIDTH], pair()["frames"][:, -1])


def reversed_by_hand(flow, valid):
    """For each pixel of the second frame a list of what ends there."""
    height, width = valid.shape
    ending = [[[] for _ in range(width)] for _ in range(height)]
    for row in range(height):
        for column in range(width):
            u, v = flow[row, column]
            if valid[row, column]:
                x, y = int(np.round(column + u)), int(np.round(row + v))
                if 0 <= x < width and 0 <= y < height:
                    ending[y][x].append((-u, -v))
    hit = np.array([[bool(flows) for flows in line] for line in ending])
    mean = [[np.mean(flows, axis=0) if flows else (0.0, 0.0) for flows in line] for line in ending]
    return np.array(mean), hit


def test_the_way_back_is_the_mean_of_what_ends_there():
    rng = np.random.default_rng(0)
    flow = rng.normal(0, 2.3, (11, 13, 2)).astype(np.float32)
    flow[0, 0] = 1e9, -1e9  # as a file may hold it
    valid = rng.random((11, 13)) < 0.8
    frames = rng.uniform(0, 255, (2, 11, 13, 3)).astype(np.float32)
    given = {"frames": tf.constant(frames), "flow": tf.constant(flow), "valid": tf.constant(valid)}
    found = reversed_pair(given)
    expected, hit = reversed_by_hand(flow, valid)
    assert 0.2 < hit.mean() < 0.9
    np.testing.assert_array_equal(found["valid"], hit)
    np.testing.assert_allclose(found["flow"], expected, atol=1e-5)
    np.testing.assert_array_equal(found["frames"], frames[::-1])


def test_a_reversed_pair_fits():
    assert misfit(reversed_pair(pair())) < 8 < 20 < misfit({**reversed_pair(pair()), "flow": pair()["flow"]})
