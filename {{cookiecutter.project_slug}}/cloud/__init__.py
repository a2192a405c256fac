"""The project's verbs: each module does one thing on the target, emulator or Google Cloud."""
