"""What a server of chats reaches, from the bare engine to the clients that stream its replies; see `__main__`."""
