"""Access as the settings give it, checked before anything starts."""

from pathlib import Path

from services.http.access.budgets import check_options
from services.http.access.keys import read_keys
from services.http.access.options import AccessOptions
from services.settings import Settings


def access_of(settings: Settings) -> AccessOptions:
    """Who may ask. Raises InvalidInput, naming the setting, for keys or a budget that can't be read."""
    access = AccessOptions(
        keys_file=Path(settings.keys_file).absolute() if settings.keys_file else None,
        keys=settings.keys,
        without_keys=settings.without_keys,
        requests=settings.budget_requests,
        tokens=settings.budget_tokens,
        pictures=settings.budget_pictures,
        storage=settings.budget_storage,
        origins=tuple(origin.strip() for origin in settings.cors_origins.split(",") if origin.strip()),
    )
    read_keys(access.keys, where="FROMAGE_KEYS")
    check_options(access)
    return access
