"""What only a worker process runs: its loop and lanes, attempts, and what a context does in them."""
