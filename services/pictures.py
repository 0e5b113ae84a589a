"""Where a request says a picture -> the Picture: its bytes, held to the limits before anything is decoded."""

from fromage_model.errors import ImageError, InvalidInput
from fromage_model.vision.data_urls import data_url_bytes
from services.conversation import ChatLimits, Picture

HOW_TO_SEND = "send the picture itself as a data: URL (data:image/png;base64,...)"


def read_picture(url: str, *, field: str, limits: ChatLimits) -> Picture:
    """The picture that a URL names. Raises InvalidInput, with this field, for one that can't be had."""
    if url.lstrip()[:8].lower().startswith(("http://", "https://")):
        raise InvalidInput(f"remote pictures are not fetched; {HOW_TO_SEND}", field=field)
    try:
        return Picture(data_url_bytes(url, limits=limits.image), field)
    except ImageError as error:
        raise ImageError(str(error), field=field) from error
