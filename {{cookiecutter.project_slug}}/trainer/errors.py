"""What a person is told, in one sentence, instead of a traceback."""


class UserError(Exception):
    """Something the person who started the training can mend; the message says what and how."""


class StopRequestedError(Exception):
    """The process was asked to end (SIGTERM); what it has trained is in a checkpoint."""


class WorkerLostError(Exception):
    """Another worker ended in the middle of a step; this one cannot go on without it."""
