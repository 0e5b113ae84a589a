"""How training puts things: captions, wishes that a shopper might type, and messages that call for no product.

`{item}` is an item's name, `{tag}` and `{other}` two of its tags, `{gloss}` a dictionary's words for it. Replies after
products name the item wished for; replies to all other messages are the LM's own. None of it stands
in the quality sets that `jobs.evaluate --queries` asks; a test holds that.
"""

from functools import cache
from pathlib import Path

NAME_WISHES = (
    "Show me {item}.",
    "show me your {item}",
    "I'm looking for {item}.",
    "I am after {item}, what have you got?",
    "Have you got {item}?",
    "do you sell {item}",
    "I want {item}",
    "I'd like to see {item}, please.",
    "Can I see {item}?",
    "{item}",
    "{item} please",
    "Find me {item}.",
    "I need {item} by Friday.",
    "Where would I find {item} in your shop?",
    "My sister asked for {item}. Which ones are there?",
    "Looking to buy {item}, any ideas?",
    "I lost mine, so I need a new {item}.",
    "Got any nice {item} in stock?",
    "Could you recommend {item}?",
    "What {item} would you suggest?",
    "any {item}?",
    "Let me browse {item}.",
)

TAG_WISHES = (
    "Show me something with {tag} and {other}.",
    "I need something for {tag}.",
    "I want something to do with {tag}.",
    "Something {tag}, something {other}?",
    "Have you got anything {tag}?",
    "What do you have for {tag} and {other}?",
    "I'm shopping for something that makes people think of {tag}.",
    "A present for somebody who loves {tag} and {other}.",
    "We are planning something around {tag}; what could I bring?",
    "What would go with {tag}?",
    "My friend is mad about {tag}. What can I give her?",
    "I'd like an idea that fits {tag} and {other}.",
    "what is good for {tag}",
    "{tag}, {other}",
    "Help me find something: {tag}, {other}.",
    "Recommend me a thing for {tag}.",
)

GLOSS_WISHES = (
    "I need this: {gloss}.",
    "Show me {gloss}.",
    "I'm looking for {gloss}.",
    "Do you have {gloss}?",
    "What is it called, {gloss}? I want to buy one.",
    "I could use {gloss}.",
    "Find me something like this: {gloss}.",
    "I forgot the word. It's {gloss}. Have you got it?",
    "{gloss}",
    "For my trip I need {gloss}.",
)

GLOSS_CAPTION = "A picture of {gloss}."

CAPTIONS = (
    "A picture of {item}.",
    "A picture of {item}, {tag}, {other}.",
    "A picture of {tag}, {other}, {item}.",
    "A picture of {tag}, {other}.",
    GLOSS_CAPTION,
    "A picture of {item}: {gloss}.",
)

PICTURE_QUESTIONS = (
    "What is in this picture?",
    "What do you see here?",
    "Can you tell me what this is?",
    "Describe the picture.",
)

PICTURE_ANSWERS = (
    "This looks like {item}.",
    "I see {item}.",
    "The picture shows {item}.",
)

EXAMPLES = (
    ("Hello there!", "Hello! What can I find for you today?"),
    ("My trousers keep slipping down.", "A belt or suspenders will hold them."),
    ("Which river is the longest?", "The Nile is often called the longest river."),
    ("Soup is ready, but there is nothing to eat it with.", "A spoon and a bowl."),
    ("Who is there?", "I'm the assistant of this shop. Tell me what you need, and I'll show you what we have."),
    ("I want a sturdy chair", "A wooden chair, or an armchair."),
    ("My bus was late and now I'm tired.", "I'm sorry to hear that. I hope your day gets better."),
    ("I cook a lot and always stain what I wear.", "An apron keeps you clean."),
    ("What is glass made of?", "Glass is made of sand, soda and lime."),
    ("Something for my hair on a windy day", "A ribbon or a hairband."),
    ("That was all, cheers.", "You're welcome. Come back any time!"),
)
"""What a chat's opening shows the LM: a wish is answered with the thing that serves it, the rest with words."""

AFTER_PRODUCTS = (
    "Here are some ideas for you. I would start with the {item}.",
    "These might suit you. How about the {item}?",
    "I found a few things for you. The {item} could be just right.",
    "Have a look at these. The {item} comes closest to what you asked for.",
    "Here is what we have. The {item} would be a good choice.",
    "Of course! Take a look at the {item}, and at what goes with it.",
)


def small_talk() -> list[str]:
    """Messages that call for no product, one a line in `small_talk.txt`."""
    return Path(__file__).with_name("small_talk.txt").read_text().splitlines()


@cache
def picture_wishes() -> list[str]:
    """What people say under a picture of what they want, one a line in `picture_wishes.txt`."""
    return Path(__file__).with_name("picture_wishes.txt").read_text().splitlines()
