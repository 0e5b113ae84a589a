"""How training asks a shop of garments: by look, by need, turn by turn, and under a picture. Only words.

`{what}` is a garment in words with its article, `{things}` what it is in the plural, `{bare}` in the singular. None of
it stands in the quality sets that `jobs.evaluate --queries` asks; a test holds that.
"""

from functools import cache
from pathlib import Path

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
    "Do you do {things}?",
    "I fancy {what}",
    "{what} pls",
    "{what}, any brand",
    "{what}!",
    "My old one is worn out, so {what} again.",
    "I've always wanted {what}.",
    "for my brother: {what}",
    "{what} would make my day",
    "It should be {what}.",
    "what about {what}?",
    "{what}, you know the kind",
    "I'm in the mood for {what}",
    "ideally {what}",
    "My daughter dreams of {what}.",
    "Any {things} left?",
    "where are the {things}?",
    "{what} or something close to it",
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

SITUATIONS = {
    "wedding": ("My cousin marries in June and I own nothing festive.", "I'm a bridesmaid in three weeks, help!"),
    "office": ("I start at the bank on Monday.", "my boss says I dress too casually for clients"),
    "interview": ("Tomorrow I meet the people who may hire me", "big interview next week and nothing to put on"),
    "party": ("we're going dancing on Saturday", "It's my thirtieth and I want to be looked at."),
    "date": ("He's taking me out for dinner and my wardrobe is empty.", "second date, and she dresses so well"),
    "evening": ("We have seats at the opera.", "black tie, says the invitation. oh dear"),
    "everyday": ("Everything I wear around town has holes by now.", "I want to look less scruffy from day to day"),
    "festival": ("Four days of open-air concerts, and I'm not prepared", "Our tent is packed, my clothes aren't."),
    "travel": ("two weeks of trains and one small case", "I fly to Lisbon with hand luggage only."),
    "beach": ("By the sea for ten days, and I have nothing with me.", "we'll be lying in the sand all day"),
    "swimming": ("the children want me in the pool with them", "I've joined a swimming club."),
    "sport": ("I've signed up at the gym.", "my trainer laughed at what I came in"),
    "running": ("I've begun to jog in the mornings", "My knees say these are no good for running any more."),
    "hiking": ("On Sunday we climb a mountain.", "a week on the trail with a tent on my back"),
    "skiing": ("first time on skis this winter", "We've rented a hut right beside the piste."),
    "cold": (
        "It's freezing outside and I shiver on my way to work.",
        "there's frost on the car and I'm cold all over",
        "Our heating has broken down.",
        "I stand at the market stall from six, in this weather!",
    ),
    "rain": (
        "It has been raining for days and I come home soaked.",
        "wet through again",
        "They forecast showers for all of our holiday.",
    ),
    "hot days": ("it's far too hot for what I have", "35 degrees in the shade and I'm sweating in wool"),
    "school": ("My son starts school in September.", "what the kids wear to school is falling apart"),
    "home": ("I work from the sofa and want to be comfortable.", "a lazy weekend indoors, nobody sees me"),
}
"""A need that nobody names, by its occasion: a wish all the same."""

BODY_SITUATIONS = {
    "head": ("my head gets cold", "The sun burns on my head."),
    "head and ears": ("My ears are frozen after five minutes", "the wind whistles round my ears"),
    "neck": ("my throat is always sore from the draught", "it's chilly around my neck"),
    "hands": ("my hands are blue with cold", "I can't feel my fingers on the bike."),
    "feet": ("My feet are wet.", "my soles hurt on the cobbles", "cold feet all day long"),
    "legs": ("bare legs in this weather, brr", "My legs are cold under the desk."),
    "waist": ("These slip down all the time!", "my trousers won't stay up"),
    "eyes": ("The sun is blinding me.", "I squint all day on the water"),
    "hair": ("my hair hangs in my face when I cook", "The wind does what it likes with my hair."),
    "ears": ("my ears look so bare", "I had my ears pierced!"),
    "finger": ("we've been together for ten years, my hand needs something that says so",),
    "wrist": ("I never know what time it is.", "my wrist looks naked"),
    "back": ("My books are too heavy to carry by hand", "half of the stuff I carry falls out on the bike"),
    "over the shoulder": ("I need both hands free for the children.", "keys, purse, phone: where do I put it all"),
    "in the hand": ("My pockets are full and the evening is elegant.",),
}
"""The same, by a part of the body."""

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

PICTURE_ANSWER = "This is {what}."
"""One for all questions: the prefix is the same whatever is asked, so that it can't tell which form is due."""


@cache
def picture_questions() -> list[str]:
    """What people ask about a picture, one a line in `picture_questions.txt`."""
    return Path(__file__).with_name("picture_questions.txt").read_text().splitlines()
