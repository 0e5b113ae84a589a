"""What a look is good for: season, occasions, brand and price, from rules in `data/shop.toml`."""

import random

from fromage_model.catalogue.wardrobe.choose import Kind
from fromage_model.catalogue.wardrobe.look import Look, data

CURRENCY = "EUR"
# What is neither warm nor cold.
TIMELESS = ("jewellery", "bags", "tailoring")


def season(kind: Kind, look: Look) -> str:
    """When it is worn: one or two seasons, with commas, or `all year`."""
    shop = data("shop")
    if kind["section"] in TIMELESS and "warmth" not in kind:
        return "all year"
    warm = kind.get("warmth", 0) + shop["warmth"].get(look.material, 0)
    warm += shop["sleeves"].get(look.cut.get("sleeves", ""), 0) if kind["section"] in ("tops", "dresses") else 0
    if warm >= 3:
        return "winter"
    return {2: "autumn, winter", 1: "autumn, spring", 0: "all year", -1: "spring, summer"}.get(warm, "summer")


def occasions(kind: Kind, look: Look) -> list[str]:
    """The kind's, without those that the material forbids, with those that it invites."""
    rule = data("shop")["occasions"].get(look.material, {"add": [], "drop": []})
    kept = [one for one in kind["occasions"] if one not in rule["drop"]] or list(kind["occasions"])
    if kind["section"] in ("dresses", "tops", "skirts", "tailoring", "bags", "shoes", "trousers"):
        kept += rule["add"]
    when = season(kind, look)
    kept += ["hot days"] * ("summer" in when) + ["cold"] * (when == "winter")
    return [one for one in dict.fromkeys(kept) if not (one == "cold" and "summer" in when)]


def brand(kind: Kind, dice: random.Random) -> str:
    return dice.choice([name for name, one in data("shop")["brands"].items() if kind["section"] in one["sections"]])


def price(kind: Kind, look: Look, of: str, dice: random.Random) -> str:
    """In euros, two decimals: what the kind costs, dearer by material and brand."""
    shop = data("shop")
    low, high = kind["price"]
    factor = shop["brands"][of]["factor"] * shop["factors"].get(
        look.colour if look.material == "metal" else look.material, 1.0
    )
    amount = low * (high / low) ** dice.betavariate(2, 2.6) * factor
    if amount < 40:
        return f"{round(amount) - 0.05:.2f}" if amount >= 2 else "1.95"
    return f"{round(amount / 5) * 5 - (0.05 if amount < 100 else 1):.2f}"
