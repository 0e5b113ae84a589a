"""Made-up names for episodes: words that mean nothing, so that a model learns to take a name from where it is given."""

import itertools

STARTS = (
    "b",
    "d",
    "f",
    "g",
    "k",
    "l",
    "m",
    "n",
    "p",
    "r",
    "s",
    "t",
    "v",
    "z",
    "bl",
    "dr",
    "gr",
    "kl",
    "pl",
    "st",
    "tr",
)
MIDDLES = ("a", "e", "i", "o", "u", "oo", "ee")
ENDS = ("b", "k", "l", "m", "n", "p", "r", "sh", "t", "v", "mo", "lo", "na", "ri", "ta", "zu")
KEPT_BACK = ("dax", "blicket", "wug", "fep", "toma", "zorp", "gazzer", "modi", "tulver", "dofa")
"""Those by which fast binding is measured, as in the literature on word learning: none of them is ever trained on."""


def episode_names() -> list[str]:
    """Some two thousand, in one order."""
    made = ("".join(parts) for parts in itertools.product(STARTS, MIDDLES, ENDS))
    return [name for name in made if name not in KEPT_BACK]
