"""What OpenAI's clients can ask for and we don't serve: refused by name where it would change the reply."""

from fromage_model.errors import InvalidInput
from services.http.forms.chat import ChatMessage, ChatRequest

NO_TOOLS = "tools are not supported"


def refuse_unserved(request: ChatRequest) -> None:
    """Raises InvalidInput for the first field that asks for something else than is served."""
    asked_for = (
        ("tools", bool(request.tools), NO_TOOLS),
        ("tool_choice", request.tool_choice not in (None, "none", "auto"), NO_TOOLS),
        ("functions", bool(request.functions), NO_TOOLS),
        ("function_call", request.function_call not in (None, "none", "auto"), NO_TOOLS),
        (
            "top_logprobs",
            bool(request.top_logprobs) and not request.logprobs,
            "top_logprobs come with log-probabilities; send logprobs: true",
        ),
        ("logit_bias", bool(request.logit_bias), "a bias on tokens is not supported"),
        (
            "response_format",
            (request.response_format or {}).get("type", "text") != "text",
            'replies are text; send {"type": "text"}',
        ),
        ("modalities", (request.modalities or ["text"]) != ["text"], 'replies are text; send ["text"]'),
        ("audio", bool(request.audio), "audio is not supported"),
        ("web_search_options", request.web_search_options is not None, "the web is not searched"),
    )
    _refuse_first(asked_for)
    for number, message in enumerate(request.messages):
        _refuse_first(_of_message(message, f"messages.{number}"))


def _of_message(message: ChatMessage, field: str) -> tuple[tuple[str, bool, str], ...]:
    return (
        (f"{field}.role", message.role in ("tool", "function"), f"{NO_TOOLS}, so there is no message of one to read"),
        (f"{field}.tool_calls", bool(message.tool_calls), NO_TOOLS),
        (f"{field}.function_call", bool(message.function_call), NO_TOOLS),
    )


def _refuse_first(asked_for: tuple[tuple[str, bool, str], ...]) -> None:
    for field, asked, message in asked_for:
        if asked:
            raise InvalidInput(message, field=field)
