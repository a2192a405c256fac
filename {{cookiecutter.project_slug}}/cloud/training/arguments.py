"""What the trainer is called with: values of pyproject.toml, and a person's own flags."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cloud.config import Config
from cloud.errors import UserError
from table_schema.columns import SPLITS


def of_trainer(config: Config, places: Mapping[str, str], extra: Sequence[str] = ()) -> list[str]:
    """Returns the arguments of a training, unchecked.

    Args:
        config: the project's values.
        places: the files of the data set by split and, as `data`, the folder of all data.
        extra: a person's own flags.

    Raises:
        UserError: `job_arguments` names a value that there is none of.
    """
    known = {**places, "data_set": config.data_set}
    try:
        return [*(each.format_map(known) for each in config.job_arguments), *extra]
    except (KeyError, ValueError, IndexError) as error:
        raise UserError(
            "[tool.cloud] job_arguments: expected values of"
            f" {', '.join(f'{{{name}}}' for name in known)} only, got"
            f" {list(config.job_arguments)!r} ({error})."
        ) from error


def need_data_set(config: Config) -> bool:
    """Whether the trainer is called with the files of the project's data set."""
    return any(f"{{{split}}}" in each for split in SPLITS for each in config.job_arguments)


def check(config: Config, arguments: Sequence[str]) -> None:
    """Has the trainer's own parser read arguments, where the project's values name one.

    Raises:
        SystemExit: the parser refuses one, and has said why.
        UserError: there is no such parser.
    """
    if config.argument_check:
        function_of_trainer("argument_check", config.argument_check)(arguments)


def function_of_trainer(key: str, name: str) -> Callable[[Sequence[str]], Any]:
    """Returns the trainer's function that a value of pyproject.toml names as `module:function`.

    Raises:
        UserError: there is none.
    """
    module, _, function = name.partition(":")
    try:
        found: Callable[[Sequence[str]], Any] = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(
            f"[tool.cloud] {key}: expected a function of the trainer as module:function, or"
            f" nothing, got {name!r} ({error})."
        ) from error
    return found
