"""Rows of files through a model.

The emulator cuts files into `blocks`; a `replica`, which runs `python -m vertex_emulator.batch`,
makes `columns` of a block at once, or `rows` where they are not all alike, and `predictions` of
them.
"""
