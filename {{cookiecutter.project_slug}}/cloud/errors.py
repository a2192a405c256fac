"""Errors that a person sees as one sentence, instead of a traceback."""


class UserError(Exception):
    """Something the person at the terminal can fix; the message says what and how."""
