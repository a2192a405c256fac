"""What the emulator remembers in SQLite: documents of Vertex AI, and log entries."""
