"""A client of the HTTP service, thin over httpx."""
