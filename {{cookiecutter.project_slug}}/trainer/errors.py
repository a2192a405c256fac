"""Errors that end a training with one sentence instead of a traceback."""


class UserError(Exception):
    """Something that the person who started the training can correct; the message says how."""


class StopRequestedError(Exception):
    """The process was asked to end (SIGTERM); what it has trained is in a checkpoint."""


class WorkerLostError(Exception):
    """Another worker ended in the middle of a step; this one cannot continue without it."""
