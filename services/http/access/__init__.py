"""Who may ask, and how much: API keys, what a caller may do, and a budget for each. Knows nothing of chats or Ray."""
