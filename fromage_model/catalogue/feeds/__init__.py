"""What shops and collections send, read row by row. Fetches none of the pictures that a table names."""
