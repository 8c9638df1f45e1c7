"""Errors for names that nothing answers to."""

import difflib


def check_names(argument, names, allowed):
    """Does nothing if all names are allowed.

    Args:
        argument: what the names were given to.
        names: strings.
        allowed: strings.

    Raises:
        ValueError: naming what is unknown, and for each the allowed name nearest to it, if one is near; or
            for one string, which would be read letter by letter.
    """
    if isinstance(names, str):
        raise ValueError(f"`{argument}` must be several names, as in [{names!r}]. Received: {names!r}")
    allowed = list(allowed)
    unknown = sorted(set(names) - set(allowed))
    if not unknown:
        return
    near = {name: difflib.get_close_matches(str(name), allowed, n=1) for name in unknown}
    hints = ", ".join(f"{found[0]!r} for {name!r}" for name, found in near.items() if found)
    meant = f" Did you mean {hints}?" if hints else ""
    raise ValueError(f"`{argument}` may name {allowed}.{meant} Received: unknown {unknown}")
