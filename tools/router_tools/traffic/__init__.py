"""Generated requests to a running router, and a comparison of their latencies."""
