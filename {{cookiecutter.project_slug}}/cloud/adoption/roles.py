"""Which columns are more than features: what is predicted, what tells rows apart, group, time."""

from collections.abc import Mapping

from cloud.adoption import inference
from cloud.adoption.cells import Cells
from cloud.adoption.findings import Ask, Roles, Wishes
from cloud.adoption.headings import ID_WORDS
from cloud.adoption.inference import Guess
from cloud.adoption.sample import Sample, quoted
from cloud.errors import UserError

USUAL_LABELS = (
    "label",
    "target",
    "class",
    "y",
    "outcome",
    "churn",
    "survived",
    "default",
    "species",
)


def label_of(sample: Sample, wished: str | None, ask: Ask) -> str:
    """Returns the heading of what is predicted.

    Raises:
        UserError: nobody says it, or there is no such column.
    """
    if wished:
        return sample.heading(wished, "--label")
    usual = [each for each in sample.headings if each.casefold() in USUAL_LABELS]
    default = usual[0] if len(usual) == 1 else ""
    headings = ", ".join(sample.headings)[:400]
    answer = ask(f"Which column is to be predicted? ({headings})", "--label", default)
    if not answer:
        raise UserError(
            f"Expected the column that is to be predicted; name it with --label, one of {headings}."
        )
    return sample.heading(answer, "--label")


def roles_of(
    sample: Sample,
    guesses: Mapping[str, Guess],
    label: str,
    wishes: Wishes,
    ask: Ask,
) -> tuple[Roles, list[str]]:
    """Returns what each such column is, and what a person should know, in whole sentences.

    Raises:
        UserError: a wish names no column, or both a group and a time are wished.
    """
    key = _key(sample, guesses, label)
    group = _one_of(sample, wishes.group, "--group")
    time = _one_of(sample, wishes.time, "--time")
    if group and time:
        raise UserError("Expected one of --group and --time, got both; give the one that counts.")
    notes = []
    if wishes.group is None and not time and (group := _group(sample, {label, key}, ask)):
        notes.append(
            f"The rows of one {group!r} stay together in one split; --group none splits by row."
        )
    times = [each for each, guess in guesses.items() if guess.is_dated and each != label]
    if not group and times and wishes.time is None:
        answer = ask(
            "Is the later predicted from the earlier? The tests are then of the latest rows."
            f" By which column ({', '.join(times)}), or none?",
            "--time",
            "none",
        )
        time = _one_of(sample, answer, "--time")
        if time is None:
            notes.append(
                "The rows are split at random. If later rows are predicted from earlier ones,"
                f" say --time {quoted(times[0])}."
            )
    return Roles(label, key, group, time), notes


def names_a_thing(cells: Cells) -> bool:
    """Whether a column names what may have several rows, as a customer's number does."""
    distinct = len(cells.values)
    return bool(
        ID_WORDS.search(cells.heading)
        and distinct > inference.FEW_VALUES
        and not cells.all_differ
        and distinct > 0.02 * cells.rows
    )


def _key(sample: Sample, guesses: Mapping[str, Guess], label: str) -> str | None:
    ids = [
        each
        for each, guess in guesses.items()
        if guess.is_id and not guess.mixture and each != label and sample.cells[each].all_differ
    ]
    named = [each for each in ids if ID_WORDS.search(each)]
    return next(iter(named or ids), None)


def _group(sample: Sample, others: set[str | None], ask: Ask) -> str | None:
    likely = [
        each for each in sample.headings if each not in others and names_a_thing(sample.cells[each])
    ]
    if not likely:
        return None
    answer = ask(
        f"Does one {likely[0]!r} have several rows? Its rows then stay in one split, so"
        " that the tests are of others than the training's. Which column, or none?",
        "--group",
        likely[0],
    )
    return _one_of(sample, answer, "--group")


def _one_of(sample: Sample, wanted: str | None, flag: str) -> str | None:
    return None if wanted in (None, "", "none") else sample.heading(str(wanted), flag)
