"""The entity encoder of StarCraft II: units read by latents, and asked for by the units themselves."""

from zorro_keras import streams
from zorro_keras.layers import InputAdapter, OutputAdapter
from zorro_keras.models.perceiver_io_variants.shared import COMMON, decoder, encoder

_TYPES, _ORDERS, _BUFFS = 256, 556, 46
# The columns of PySC2's `FeatureUnit`, in its order. Ranges: AlphaStar Unplugged's converter and encoder;
# those that it does not name (owner, x, y, facing, radius) are ours.
_PYSC2 = (
    ("unit_type", _TYPES),
    ("alliance", 5),
    ("health", 1500.0),
    ("shield", 1000.0),
    ("energy", 200.0),
    ("cargo_space_taken", 8.0),
    ("build_progress", 100.0),
    ("health_ratio", 255.0),
    ("shield_ratio", 255.0),
    ("energy_ratio", 255.0),
    ("display_type", 5),
    ("owner", 17),
    ("x", 256.0),
    ("y", 256.0),
    ("facing", 8.0),
    ("radius", 8.0),
    ("cloak", 5),
    ("is_selected", "binary"),
    ("is_blip", "binary"),
    ("is_powered", "binary"),
    ("mineral_contents", 1800.0),
    ("vespene_contents", 2500.0),
    ("cargo_space_max", 8.0),
    ("assigned_harvesters", 24.0),
    ("ideal_harvesters", 16.0),
    ("weapon_cooldown", 32.0),
    ("order_length", 8.0),
    ("order_id_0", _ORDERS),
    ("order_id_1", _ORDERS),
    ("tag", "ignored"),
    ("hallucination", "binary"),
    ("buff_id_0", _BUFFS),
    ("buff_id_1", _BUFFS),
    ("addon_unit_type", _TYPES),
    ("active", "binary"),
    ("is_on_screen", "binary"),
    ("order_progress_0", 100.0),
    ("order_progress_1", 100.0),
    ("order_id_2", _ORDERS),
    ("order_id_3", _ORDERS),
    ("is_in_cargo", "binary"),
    ("buff_duration_remain", 250.0),
    ("buff_duration_max", 250.0),
    ("attack_upgrade_level", 4.0),
    ("armor_upgrade_level", 4.0),
    ("shield_upgrade_level", 4.0),
)


def _features(rows):
    """Returns the features of rows: a name, and a number of values (int), a scale (float) or a kind (str)."""
    features = []
    for name, about in rows:
        if isinstance(about, str):
            features.append(streams.EntityFeature(name, about))
        elif isinstance(about, int):
            features.append(streams.EntityFeature(name, "categorical", num_values=about))
        else:
            features.append(streams.EntityFeature(name, "scaled", scale=about))
    return tuple(features)


PYSC2_FEATURES = _features(_PYSC2)

# Published: 512 units, 128 channels of keys and queries, 32 latents, 3 layers, 0.93 GFLOPs. The rest is said
# to be as for ImageNet, but latents of 1024 with MLPs as wide would cost 1.92 GFLOPs. Latents of 512 with
# MLPs four times as wide, as in config B, cost what was published: 0.93.
STARCRAFT_UNITS = {
    **COMMON,
    "num_units": 512,
    "features": PYSC2_FEATURES,
    "embed_dim": 128,
    "num_latents": 32,
    "latent_dim": 512,
    "num_layers": 3,
    "num_repeats": 1,
    "num_heads": 8,
    "num_cross_heads": 1,
    "mlp_dim": 2048,
    "query_residual": True,
}


def starcraft_units(sizes, semantics):
    """The entity encoder of an AlphaStar agent: the paper's application to StarCraft II."""
    stream = streams.Entities(sizes.num_units, sizes.features)
    return {
        "input_adapters": {"units": InputAdapter(stream, sizes.embed_dim, name="unit_input")},
        "encoder": encoder(sizes, num_cross_heads=sizes.num_cross_heads),
        "output_adapters": {"units": OutputAdapter("units")},
        "decoder": decoder(sizes),
    }
