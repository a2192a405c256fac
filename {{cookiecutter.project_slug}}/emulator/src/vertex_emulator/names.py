"""Names of fields, which Google's JSON mapping takes in camel or snake case and writes in camel."""

import re


def camel(name: str) -> str:
    """Turns `display_name` into `displayName`; `displayName` stays."""
    return re.sub(r"_+(.)", lambda found: found[1].upper(), name)
