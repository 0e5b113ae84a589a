"""From a message to an answer: what is asked, the engine that has it answered, and what is found beside chats."""
