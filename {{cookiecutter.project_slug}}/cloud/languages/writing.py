"""The clients: a template for each language, filled with the fields of an instance."""

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from cloud.languages.fields import GAPS, Field, Type, is_exact_in_javascript, one_line

TEMPLATES = Path(__file__).with_name("templates")
# Values that a client sends as JSON; all else is a text, also where a number is wanted, so that
# the endpoint's answer says what it expects under which name.
NUMBER = r"-?(0|[1-9][0-9]{digits})(\.[0-9]+)?([eE][-+]?[0-9]+)?"
LITERALS = {"boolean": "true|false", "json": r"\[.*\]"}

WORDS: dict[Type, str] = {"number": "a number", "integer": "an integer", "text": "a text"}


@dataclass(frozen=True)
class Language:
    """How a language writes values.

    Attributes:
        file: of the client.
        name: of the language.
        text: writes a text.
        value: writes the example of a field.
        comment: makes a line of text safe in a comment.
    """

    file: str
    name: str
    text: Callable[[str], str]
    value: Callable[[Field], str]
    comment: Callable[[str], str] = one_line


def _json(value: Any) -> str:
    """Returns JSON, whose texts are texts of Python, JavaScript and Go as well."""
    return json.dumps(value, ensure_ascii=False).replace("\ufeff", r"\ufeff")


def _example(field: Field) -> Any:
    """Returns an example as it is sent, where there is one."""
    is_bytes = field.type == "file" and field.example is not None
    return {"b64": field.example} if is_bytes else field.example


def _python(field: Field) -> str:
    if field.type == "text":
        return _json(field.example)
    written = repr(_example(field))
    return written.replace("e+", "e") if field.type == "number" else written


def _shell(field: Field) -> str:
    is_written = field.type in ("text", "file")
    return shlex.quote((field.example or "") if is_written else json.dumps(field.example))


def _javascript(field: Field) -> str:
    return _json(_example(field)) if is_exact_in_javascript(field) else "null"


def _javascript_text(text: str) -> str:
    # As a bare key, it would be the object's prototype.
    return '["__proto__"]' if text == "__proto__" else _json(text)


def _java_text(text: str) -> str:
    # Java 17 reads a source in the system's encoding, so it gets ASCII alone.
    return json.dumps(text)


def _java_comment(text: str) -> str:
    # Java reads \u in comments, too, but not after a backslash.
    return json.dumps(one_line(text))[1:-1].replace(r"\"", '"')


def _java(field: Field) -> str:
    value = field.example
    if value is None or field.type == "json":
        return f"new StringBuilder({_java_text(json.dumps(value))})"
    if field.type == "file":
        return f'Map.of("b64", {_java_text(value)})'
    if field.type == "integer":
        return f"{value}L"
    return repr(float(value)) if field.type == "number" else json.dumps(value)


def _go(field: Field) -> str:
    value = field.example
    if value is None:
        return "nil"
    if field.type == "json":
        return f"json.RawMessage({_json(json.dumps(value))})"
    if field.type == "file":
        return f'map[string]any{{"b64": {_json(value)}}}'
    return repr(float(value)) if field.type == "number" else _json(value)


LANGUAGES = (
    Language("client.sh", "shell", shlex.quote, _shell),
    Language("client.py", "Python", _json, _python),
    Language("client.mjs", "JavaScript", _javascript_text, _javascript),
    Language("Client.java", "Java", _java_text, _java, _java_comment),
    Language("client.go", "Go", _json, _go),
)


def write(folder: Path, fields: Sequence[Field], *, model: str, url: str, gaps: bool) -> list[Path]:
    """Writes a client for each language, and returns the files.

    Args:
        folder: where they go.
        fields: of an instance.
        model: its name.
        url: where the endpoint takes predictions.
        gaps: whether a value may be missing, as it may of a table's.
    """
    written = []
    for language in LANGUAGES:
        path = folder / language.file
        text = render(language, fields, model=model, url=url, gaps=gaps)
        path.write_text(text, encoding="utf-8", newline="\n")
        written.append(path)
    return written


def render(language: Language, fields: Sequence[Field], *, model: str, url: str, gaps: bool) -> str:
    """Returns the text of a client; the arguments are those of `write`."""
    environment = jinja2.Environment(
        autoescape=False,  # noqa: S701, no HTML; each language writes its own texts
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    template = (TEMPLATES / f"{language.file}.jinja").read_text(encoding="utf-8")
    written = [
        {
            "name": language.text(each.name),
            "kind": each.type if each.type in ("text", "file") else "json",
            "example": language.value(each),
            "about": language.comment(each.about),
        }
        for each in fields
    ]
    return environment.from_string(template).render(
        model=language.comment(model),
        url=language.text(url),
        gaps=_gaps(fields) if gaps else "",
        json=_literals(fields, "*"),
        exact_json=_literals(fields, "{0,14}"),  # of JavaScript's doubles
        lists=any(each.type == "json" for each in fields),
        files=[language.text(each.name) for each in fields if each.type == "file"],
        fields=written,
        widths={key: max((len(each[key]) for each in written), default=0) for key in ALIGNED},
    )


ALIGNED = ("name", "example")  # by gofmt


def _literals(fields: Sequence[Field], digits: str) -> str:
    """Returns a pattern of the values that are sent as JSON, which all languages read alike."""
    kinds = {each.type for each in fields}
    others = [text for kind, text in LITERALS.items() if kind in kinds]
    return "|".join([NUMBER.replace("{digits}", digits), *others])


def _gaps(fields: Sequence[Field]) -> str:
    """Says what a client sends in place of a value that is missing."""
    kinds = {each.type for each in fields}
    written = [
        f"{json.dumps(value)} in {WORDS[kind]}" for kind, value in GAPS.items() if kind in kinds
    ]
    return f"A gap is {', '.join(written)}."
