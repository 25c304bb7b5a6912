"""What the router tells of itself: names of the metrics, their values, and the text that Prometheus reads."""
