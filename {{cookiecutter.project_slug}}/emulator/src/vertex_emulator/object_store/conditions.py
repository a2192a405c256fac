"""Preconditions on generations: how a client of Cloud Storage avoids overwriting what it never saw.

Source: https://cloud.google.com/storage/docs/request-preconditions
"""

from dataclasses import dataclass

from vertex_emulator import errors


@dataclass(frozen=True)
class Conditions:
    """What must hold of the present state before a request is served; None asks nothing."""

    generation_match: int | None = None
    generation_not_match: int | None = None
    metageneration_match: int | None = None
    metageneration_not_match: int | None = None

    def check(self, generation: int, metageneration: int, *, reading: bool = False) -> None:
        """Refuses the request unless every condition holds.

        Args:
            generation: of the live object, 0 when there is none.
            metageneration: of the live object, 0 when there is none.
            reading: the request changes nothing, so a failed "not match" means that the client
                already has what it asks for.

        Raises:
            ApiError: 412, or 304 for a failed "not match" of a read.
        """
        self._check_one(
            "Generation", self.generation_match, self.generation_not_match, generation, reading
        )
        self._check_one(
            "Metageneration",
            self.metageneration_match,
            self.metageneration_not_match,
            metageneration,
            reading,
        )

    def _check_one(
        self, what: str, match: int | None, not_match: int | None, actual: int, reading: bool
    ) -> None:
        if match is not None and match != actual:
            raise errors.precondition_failed(
                f"The precondition if{what}Match={match} does not hold: it is {actual}."
            )
        # Without a live object "not match" fails too, whatever the number.
        if not_match is not None and (not_match == actual or not actual):
            refuse = errors.not_modified if reading and actual else errors.precondition_failed
            raise refuse(
                f"The precondition if{what}NotMatch={not_match} does not hold: it is {actual}."
            )


ALWAYS = Conditions()
