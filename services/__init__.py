"""Ray Serve: the chat endpoint over the encoder, the LM and retrieval, each a deployment of its own."""
