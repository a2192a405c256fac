"""The clients: a template for each language, filled with the fields of an instance."""

import json
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import jinja2

from cloud.languages.fields import Field, Type, one_line

TEMPLATES = Path(__file__).with_name("templates")
# What encoding/json takes as a name in a field's tag: isValidTag of its encode.go.
GO_NAME = re.compile(r"(?!-$)[\w!#$%&()*+\-./:;<=>?@\[\]^{|}~ ]+")
MAX_SAFE_INTEGER = 2**53 - 1  # of JavaScript, whose numbers are doubles


@dataclass(frozen=True)
class Language:
    """How a language writes values.

    Attributes:
        file: of the client.
        name: of the language.
        types: what each type of a field is called.
        text: writes a text.
        value: writes an example of a field.
        comment: makes a line of text safe in a comment.
    """

    file: str
    name: str
    types: Mapping[Type, str]
    text: Callable[[str], str]
    value: Callable[[Field], str]
    comment: Callable[[str], str] = one_line


def _json(value: Any) -> str:
    """Returns JSON, whose texts are texts of JavaScript and Go as well."""
    return json.dumps(value, ensure_ascii=False).replace("\ufeff", r"\ufeff")


def _bytes(content: str) -> dict[str, str]:
    return {"b64": content}


def _python(field: Field) -> str:
    if field.type == "text":
        return _json(field.example)
    return repr(_bytes(field.example) if field.type == "file" and field.example else field.example)


def _shell(field: Field) -> str:
    if field.type in ("text", "file"):
        return shlex.quote(field.example or "")
    return shlex.quote("" if field.example is None else json.dumps(field.example))


def _javascript(field: Field) -> str:
    value = field.example
    if field.type == "integer" and abs(value or 0) > MAX_SAFE_INTEGER:
        return "null"
    return _json(_bytes(value) if field.type == "file" and value else value)


def _java_text(text: str) -> str:
    # Java 17 reads a source in the system's encoding, so it gets ASCII alone.
    return json.dumps(text)


def _java_comment(text: str) -> str:
    # Java reads \u in comments, too, but not after a backslash.
    return json.dumps(one_line(text))[1:-1].replace(r"\"", '"')


def _java(field: Field) -> str:
    value = field.example
    if field.type in ("file", "json"):
        content = _bytes(value) if field.type == "file" else value
        return f"new Json({_java_text(json.dumps(content) if value is not None else '')})"
    if field.type == "integer":
        return f"{value}L"
    return repr(float(value)) if field.type == "number" else json.dumps(value)


def _go(field: Field) -> str:
    value = field.example
    if field.type in ("file", "json"):
        content = _bytes(value) if field.type == "file" else value
        return "nil" if value is None else f"json.RawMessage({_json(json.dumps(content))})"
    return repr(float(value)) if field.type == "number" else _json(value)


def _types(words: str) -> dict[Type, str]:
    """Returns what a language calls the types, which are given in the order of `Type`."""
    return dict(zip(get_args(Type), words.split(), strict=True))


_NAMES = " ".join(get_args(Type))
_QUOTED = " ".join(f'"{name}"' for name in get_args(Type))
_GO = "float64 int64 bool string json.RawMessage json.RawMessage"
LANGUAGES = (
    Language("client.sh", "shell", _types(_NAMES), shlex.quote, _shell),
    Language("client.py", "Python", _types("float int bool str bytes list"), _json, _python),
    Language("client.mjs", "JavaScript", _types(_QUOTED), _json, _javascript),
    Language("Client.java", "Java", _types(_NAMES), _java_text, _java, _java_comment),
    Language("client.go", "Go", _types(_GO), _json, _go),
)


def write(
    folder: Path, fields: Sequence[Field], *, model: str, url: str, gaps: bool
) -> tuple[list[Path], list[str]]:
    """Writes a client for each language.

    Args:
        folder: where they go.
        fields: of an instance.
        model: its name.
        url: where the endpoint takes predictions.
        gaps: whether a value may be missing, as it may of a table's.

    Returns:
        The files, and for each language that has no client a sentence that says why.
    """
    written, refused = [], []
    for language in LANGUAGES:
        path = folder / language.file
        odd = [each.name for each in fields if not GO_NAME.fullmatch(each.name)]
        if language.name == "Go" and odd:
            path.unlink(missing_ok=True)
            refused.append(f"There is no {path.name}, as Go has no tag for the input {odd[0]!r}.")
            continue
        path.write_text(
            render(language, fields, model=model, url=url, gaps=gaps),
            encoding="utf-8",
            newline="\n",
        )
        written.append(path)
    return written, refused


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
    files = [each.name for each in fields if each.type == "file"]
    required = [each.name for each in fields if language.value(each) in EMPTY]
    identifiers = go_identifiers([each.name for each in fields])
    written = [
        {
            "name": language.text(each.name),
            "type": language.types[each.type],
            "example": language.value(each),
            "about": language.comment(each.about),
            "quoted_about": _json(one_line(each.about)),
            "identifier": identifier,
        }
        for each, identifier in zip(fields, identifiers, strict=True)
    ]
    return environment.from_string(template).render(
        model=language.comment(model),
        url=language.text(url),
        gaps=gaps,
        files=list(map(language.text, files)),
        required=list(map(language.text, required)),
        fields=written,
        widths={key: max((len(each[key]) for each in written), default=0) for key in ALIGNED},
    )


ALIGNED = ("identifier", "type", "name")
# What the languages write for an example that is not there, and so must be given.
EMPTY = ("None", "null", "nil", 'new Json("")')


def go_identifiers(names: Sequence[str]) -> list[str]:
    """Returns an exported name of Go for each name, all different: DepDelay of dep_delay."""
    found: list[str] = []
    for name in names:
        words = re.findall("[A-Za-z0-9]+", name)
        made = "".join(word[0].upper() + word[1:] for word in words)
        if not made[:1].isalpha():
            made = f"X{made}"
        while made in found:
            made += "_"
        found.append(made)
    return found
