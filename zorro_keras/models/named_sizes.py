"""Published sizes by name."""


def sizes_of(variant, variants):
    """Returns the row of a table of sizes; raises `ValueError` for a name that it has not."""
    if variant not in variants:
        raise ValueError(f"`variant` must be one of {list(variants)}. Received: variant={variant!r}")
    return variants[variant]
