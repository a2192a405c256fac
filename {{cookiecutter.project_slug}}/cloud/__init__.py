"""Runs the project on a target, the emulator or Google Cloud: the commands, and what they use."""
