"""What clients call this server, for addresses that must be whole: in markdown, and in a page's metadata."""

import re

from starlette.requests import Request

from services.http.options import HttpOptions

HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(:\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:\d{1,5})?")


def base_url(request: Request, options: HttpOptions) -> str:
    """As the settings have it, or as the client calls it; nothing, so that paths stay paths, where that is no host."""
    if options.public_url:
        return options.public_url
    host = request.headers.get("host", "")
    return f"{request.url.scheme}://{host}" if HOST.fullmatch(host) else ""
