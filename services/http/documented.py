"""What `openapi.json` says of requests that we read ourselves, and of answers that are not plain JSON."""

from typing import Any

from pydantic import BaseModel

from services.http.forms.completion import ErrorAnswer

JSON = "application/json"
LATER = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}, "required": True}}
WHO = {"WWW-Authenticate": {"schema": {"type": "string"}, "required": True}}
TOLD: dict[int, str] = {
    400: "A field is missing, wrong, or not served.",
    401: "There is no API key in the request, or none that holds.",
    403: "The key is not for this, or there are no keys and you ask from elsewhere.",
    404: "Another model than the one that is served.",
    408: "The body was not complete in time.",
    409: "What is asked for can't be served; the old goes on.",
    413: "The body is over the limit.",
    415: "The body is packed in a way that is not unpacked.",
    429: "The key's budget is spent; see Retry-After.",
    500: "Our fault.",
    503: "Too many requests wait, or a part starts again; see Retry-After.",
    504: "The reply was not complete in time.",
}
HEADERS: dict[int, dict[str, Any]] = {401: WHO, 429: LATER, 503: LATER}
READING = (401, 403, 500, 503)
BODY = (400, 408, 413, 415)


def refused(*statuses: int, by: type[BaseModel] = ErrorAnswer) -> dict[int | str, dict[str, Any]]:
    """`responses` of a route that answers with these too, in the form `by`."""
    return {
        status: {"model": by, "description": TOLD[status]} | ({"headers": HEADERS[status]} if status in HEADERS else {})
        for status in sorted(statuses)
    }


REFUSED = refused(*READING, *BODY, 404, 429, 504)
"""Of a route by which a model is asked."""


def body_of(form: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """`openapi_extra` of a route whose JSON body has this form."""
    return {"requestBody": {"required": required, "content": {JSON: {"schema": schema_of(form)}}}}


def schema_of(form: type[BaseModel]) -> dict[str, Any]:
    """A form's schema that refers to nothing outside of itself: it may stand anywhere in a document."""
    schema = form.model_json_schema()
    named = schema.pop("$defs", {})

    def whole(value: Any) -> Any:
        if isinstance(value, list):
            return [whole(one) for one in value]
        if not isinstance(value, dict):
            return value
        if "$ref" in value:
            found = whole(named[value["$ref"].rpartition("/")[2]])
            return {**found, **{name: whole(one) for name, one in value.items() if name != "$ref"}}
        # Its mapping names what is written out here; `oneOf` beside it says the same.
        return {name: whole(one) for name, one in value.items() if name != "discriminator"}

    return whole(schema)
