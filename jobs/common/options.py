"""Checks that several jobs make of their options. Knows nothing of what the options are for."""

from collections.abc import Sequence
from typing import Any

from fromage_model.errors import ConfigError


def check_options(
    args: Any, *, positive: Sequence[str] = (), not_negative: Sequence[str] = (), shares: Sequence[str] = ()
) -> None:
    """Raises ConfigError for a number that can't work, with its name and what would; None is left alone.

    `positive` are counts from 1, `shares` go from 0 to 1.
    """
    bounds = [
        (positive, 1, None, "1 or more, for example 1"),
        (not_negative, 0, None, "0 or more, for example 1"),
        (shares, 0, 1, "0 to 1, for example 0.5"),
    ]
    for names, least, most, expected in bounds:
        for name in names:
            value = getattr(args, name)
            # Written so that what is no number fails too.
            if value is not None and not (value >= least and (most is None or value <= most)):
                raise ConfigError(f"{name} is {value}; expected {expected}")
