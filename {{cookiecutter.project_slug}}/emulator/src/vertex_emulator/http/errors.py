"""What a server refuses before it looks at what a request asks for."""


class RequestError(Exception):
    """A request that gets an error for its answer.

    Attributes:
        status: HTTP status code.
        message: one sentence for the person who sent the request.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
