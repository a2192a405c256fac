"""What is agreed about a table: its columns, how its cells are written, its scores."""
