"""What a job says while it works and when it is done: lines, progress, the closing JSON, and a page."""
