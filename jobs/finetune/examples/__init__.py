"""What training says: items put into words, wishes, small talk, and conversations around them."""
