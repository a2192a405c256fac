"""What a person is told, in one sentence, instead of a traceback."""


class UserError(Exception):
    """Something the person at the terminal can mend; the message says what and how."""
