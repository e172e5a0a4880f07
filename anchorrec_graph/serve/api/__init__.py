"""The HTTP API over a `Catalog`."""
