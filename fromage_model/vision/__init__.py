"""Pictures: bytes -> RGB, and encoders, frozen or trained. Knows no tokens and no catalogue."""
