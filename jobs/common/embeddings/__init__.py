"""What an item is found by: retrieval embeddings of its picture and of its texts, and the two joined."""
