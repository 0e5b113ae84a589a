"""Products written into a reply's text as markdown, and read out of it when it comes back.

For chat pages that know nothing of `products`. Each is a paragraph: its picture, and its name with the link. A name is
text whatever a catalogue holds: it opens no link, no markup and no HTML.
"""

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from urllib.parse import quote, unquote

from fromage_model.prompts.messages import TextDelta
from services.http.forms.chat import ProductReference
from services.products import Product, Products, ReplyEvent

GAP = "\n\n"
PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
JOINERS = "\u200c\u200d"
"""Of emoji, and of scripts whose letters join."""
LEFT_AS_IT_IS = "/:?#@$&'*+,;=%~-._"
"""In addresses; what could end one, spaces and brackets of any kind, is not among it."""
_NAME = r"(?:[^\]\\\n]|\\.)*"
_PRODUCT = rf"!\[{_NAME}\]\([^\s()]*/v1/items/(?P<id>[^\s()/]+)/image\) [^\n]+"
_BLOCK = re.compile(rf"(?:\A|\n\n)({_PRODUCT}(?:\n\n{_PRODUCT.replace('?P<id>', '?:')})*)(?:\n\n|\Z)")
_FIND = re.compile(rf"^{_PRODUCT}$", flags=re.MULTILINE)


async def as_markdown(
    events: AsyncGenerator[tuple[int, ReplyEvent], None], *, base_url: str
) -> AsyncGenerator[tuple[int, ReplyEvent], None]:
    """The same events with products as text at their moment; `base_url` stands before the paths of their pictures."""
    owed: dict[int, bool] = {}
    async with aclosing(events):
        async for place, event in events:
            if isinstance(event, Products):
                if event.products:
                    before = GAP if event.offset or owed.get(place) else ""
                    yield place, TextDelta(before + products_text(event, base_url=base_url))
                    owed[place] = True
                continue
            if isinstance(event, TextDelta) and owed.pop(place, False):
                event = TextDelta(GAP + event.text, event.tokens)
            yield place, event


def products_text(shown: Products, *, base_url: str) -> str:
    """A paragraph for each product."""
    return GAP.join(_paragraph(product, base_url) for product in shown.products)


def read_products(text: str) -> tuple[str, list[ProductReference]]:
    """A reply with products as markdown -> its own text, and the products at their positions in it."""
    own, shown, end = "", [], 0
    for block in _BLOCK.finditer(text):
        own += text[end : block.start()]
        ids = (unquote(found["id"]) for found in _FIND.finditer(block[1]))
        shown += [ProductReference(id=id, offset=len(own)) for id in ids if 0 < len(id) <= 256]
        end = block.end()
    return own + text[end:], shown


def _paragraph(product: Product, base_url: str) -> str:
    name = _plain(product.caption) or _plain(product.id) or "item"
    picture = f"![{name}]({base_url}{_address(product.image_url)})"
    return f"{picture} [{name}]({_address(product.item_url)})" if product.item_url else f"{picture} {name}"


def _plain(name: str) -> str:
    """A name on one line, without control characters, and with every character that markdown reads escaped."""
    spaced = "".join(" " if character.isspace() else character for character in name)
    kept = "".join(character for character in spaced if character.isprintable() or character in JOINERS)
    return PUNCTUATION.sub(r"\\\1", " ".join(kept.split()))


def _address(url: str) -> str:
    return quote(url, safe=LEFT_AS_IT_IS)
