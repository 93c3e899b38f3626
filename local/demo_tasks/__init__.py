"""Tasks of the demo: they reach out as whoever submits them asks, so nothing but `make demo` loads them."""
