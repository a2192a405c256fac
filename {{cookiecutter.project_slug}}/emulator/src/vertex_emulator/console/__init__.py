"""Pages for a browser: the same resources as the APIs serve, for people to read."""
