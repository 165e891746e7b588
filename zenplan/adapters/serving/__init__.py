"""A trained model behind HTTP: its worker, batches of requests, the routes, metrics and drift."""
