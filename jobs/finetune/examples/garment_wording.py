"""How training asks a shop of garments: by look, by need, turn by turn, and under a picture. Only words.

`{what}` is a garment in words with its article, `{things}` what it is in the plural, `{bare}` in the singular. None of
it stands in the quality sets that `jobs.evaluate --queries` asks; a test holds that.
"""

LOOK_WISHES = (
    "{what}",
    "I'd love {what}.",
    "I want to buy {what}",
    "could I see {what}?",
    "Is there {what} in your shop?",
    "please find {what} for me",
    "{what}, please",
    "Which {things} have you got?",
    "{things}",
    "Let me see all {things}.",
    "I'm hunting for {what}.",
    "got {things}?",
)

OCCASIONS = {
    "wedding": ("to wear at my cousin's wedding", "for a wedding in June", "for when my best friend marries"),
    "office": ("for work at the bank", "for my desk job", "for the office"),
    "interview": ("for a job interview", "to make a good impression on a new boss"),
    "party": ("for a birthday party", "to dance in on Saturday", "for a party"),
    "date": ("for a first date", "for a dinner for two"),
    "evening": ("for a night at the opera", "for a gala", "for an evening out"),
    "everyday": ("for every day", "to wear around town", "for nothing special"),
    "festival": ("for a music festival", "for three days of open-air concerts"),
    "travel": ("for a long trip", "for the airport", "for travelling light"),
    "beach": ("for a day at the seaside", "for lying in the sand", "for the beach"),
    "swimming": ("to swim in", "for the pool", "for swimming lessons"),
    "sport": ("for the gym", "for training", "for sport"),
    "running": ("for jogging", "to run a marathon in", "for running"),
    "hiking": ("for a walk in the mountains", "for hiking", "for the trail"),
    "skiing": ("for the ski slope", "for a week of skiing"),
    "cold": ("for freezing weather", "against the frost", "for icy mornings", "to keep warm"),
    "rain": ("for rainy weather", "against showers", "so that I don't get wet"),
    "hot days": ("for a heat wave", "for hot days", "that is cool and airy"),
    "school": ("for school", "for the first day at school"),
    "home": ("for lazy days on the sofa", "to wear at home", "for being cosy indoors"),
}
"""By an occasion: what it is said as after `something` or a garment."""

SEASONS = {
    "winter": ("for winter", "for December"),
    "summer": ("for summer", "for August"),
    "spring": ("for spring",),
    "autumn": ("for autumn", "for the fall"),
}

WORN = {
    "head": ("for my head", "to put on my head"),
    "head and ears": ("for my head and ears", "that covers my ears"),
    "neck": ("around my neck", "for my throat"),
    "hands": ("for my fingers", "for my hands"),
    "feet": ("for my feet", "to put on my feet"),
    "legs": ("for my legs",),
    "upper body": ("to wear on top", "for my upper half"),
    "lower body": ("to wear below the waist",),
    "whole body": ("to wear from head to toe",),
    "waist": ("around my waist",),
    "eyes": ("in front of my eyes",),
    "hair": ("in my hair",),
    "ears": ("on my ears",),
    "finger": ("on my finger",),
    "wrist": ("around my wrist",),
    "back": ("to carry on my back",),
    "over the shoulder": ("to hang over my shoulder",),
    "in the hand": ("to carry in my hand",),
}

SECTIONS = {
    "tops": ("top", "tops"),
    "knitwear": ("piece of knitwear", "knits"),
    "dresses": ("one-piece outfit", "dresses and the like"),
    "outerwear": ("jacket or coat", "jackets and coats"),
    "tailoring": ("formal outfit", "formal clothes"),
    "trousers": ("pair of trousers", "trousers"),
    "shoes": ("pair of shoes", "shoes"),
    "headwear": ("hat", "hats"),
    "bags": ("bag", "bags"),
    "jewellery": ("piece of jewellery", "jewellery"),
    "accessories": ("accessory", "accessories"),
    "swimwear": ("piece of swimwear", "swimwear"),
}

NEED_WISHES = (
    "I need {thing} {need}.",
    "{thing} {need}",
    "What have you got {need}?",
    "I'm looking for {thing} {need}",
    "Can you suggest {thing} {need}?",
    "what could I take {need}?",
    "What would you wear {need}",
    "Help, I have no {bare} {need}!",
)
"""`{thing}`: something, or a garment; `{need}`: what it is for."""

USE_WISHES = (
    "I need {thing} that {use}.",
    "{thing} that {use}",
    "Do you sell {thing} which {use}?",
)

FIRST_TURNS = ("show me {things}", "Which {things} do you have?", "I'm looking for {what}.", "{things}, please")

REFINEMENTS = {
    "colour": (
        "in {value}",
        "{value}, please",
        "Do you have that in {value}?",
        "only {value} ones",
        "I prefer {value}.",
    ),
    "pattern": ("{value}", "with a {value} pattern", "rather {value}", "something {value} of these"),
    "plain": ("without a pattern", "plain ones", "no print, please"),
    "material": ("in {value}", "made of {value}", "is there one of {value}?"),
    "cut": ("with {value}", "I'd like {value}.", "do they come with {value}?"),
    "adjective": ("{value} ones", "something {value}", "rather {value}"),
    "shorter": ("a bit shorter", "shorter ones", "not that long"),
    "longer": ("a bit longer", "longer ones", "not that short"),
    "occasion": ("it is {value}", "one {value}"),
}

CHANGES = (
    "this one {value}",
    "the same {value}",
    "I like it, but {value}.",
    "Do you have this {value}?",
    "{value} instead",
)
"""Under a picture: what is to be otherwise."""

AFTER_PRODUCTS = (
    "Here are some {things} that you may like.",
    "I found these {things} for you.",
    "Of course! Have a look at these {things}.",
    "These {things} come closest to what you asked for.",
)

PICTURE_ANSWERS = (
    "This is {what}.",
    "I see {what}.",
    "The picture shows {what}.",
    "It looks like {what}.",
)
