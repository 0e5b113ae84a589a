"""Pictures by path or URL: fetched within limits, remembered, compared. Knows nothing of feeds or of items."""
