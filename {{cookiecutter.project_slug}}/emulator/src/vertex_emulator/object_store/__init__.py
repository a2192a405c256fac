"""What the emulator remembers: SQLite rows and blob files. Knows nothing of HTTP."""
