"""What all forms have in common, and the bounds that several share."""

from pydantic import BaseModel, ConfigDict

MAX_TOP_K = 20
INT64_MAX = 2**63 - 1


class Form(BaseModel):
    """Fields that we don't know are ignored, as OpenAI's clients send many; types are not coerced."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)
