"""What is asked: quality sets, what answers them, and the files that they are read from."""
