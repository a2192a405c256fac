"""A table of one's own: looks at its files, and describes them for the project."""
