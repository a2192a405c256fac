"""One prediction on its way."""

from dataclasses import dataclass

from vertex_emulator.http.connection import Respond


@dataclass(eq=False, slots=True)
class Call:
    """A request that waits for its answer.

    Attributes:
        raw: whether the client asks for the container's own answer (`:rawPredict`).
        body: as the client sent it.
        content_type: of the body.
        respond: answers the client; called once.
        begun: moment of the loop's clock at which the whole request was here.
        sent: the same clock's, when it went to the replica that answers it.
        losses: how often a replica was lost with it.
    """

    raw: bool
    body: bytes
    content_type: bytes
    respond: Respond
    begun: float
    sent: float = 0.0
    losses: int = 0
