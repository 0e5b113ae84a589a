"""The chat asked and scored: wishes, small talk, conversations, pictures, and simpler ways beside it."""
