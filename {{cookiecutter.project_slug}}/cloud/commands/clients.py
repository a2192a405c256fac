"""clients: writes clients of the endpoint in other languages, its OpenAPI document, and a page."""

import argparse
import json

from cloud import lookup
from cloud.client import Client
from cloud.console import next_commands, say
from cloud.errors import UserError
from cloud.languages import fields, openapi, page, writing
from cloud.serving import contract, deployments, prediction, training_values


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--serve",
        action="store_true",
        help="then serve app.html to a browser of this machine, until Ctrl-C",
    )
    parser.add_argument(
        "--port", type=int, default=page.PORT, help=f"of --serve; default: {page.PORT}, 0 for any"
    )


def run(client: Client, options: argparse.Namespace) -> int:
    """Writes the files, and says how to run them.

    Raises:
        UserError: nothing is deployed, or the folder cannot be written to.
    """
    if not 0 <= options.port <= 65_535:
        raise UserError(f"--port: expected 0 to 65535, got {options.port}.")
    url = prediction.endpoint_url(client)
    version = lookup.version(client, "default")
    taken = contract.of_version(client, version)
    sample = deployments.sample_instance(client, taken)
    learned = training_values.read(client, version.artifact_uri)
    found = fields.of_contract(taken, sample, learned)
    folder = client.config.clients_folder
    folder.mkdir(parents=True, exist_ok=True)
    model, gaps = client.config.model, taken.table is not None
    written = writing.write(folder, found, model=model, url=url, gaps=gaps)
    described = openapi.document(
        taken, found, model=model, url=url, is_cloud=not client.is_emulator
    )
    document = folder / "openapi.json"
    document.write_text(
        json.dumps(described, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    text = page.render(found, taken.outputs, model=model, gaps=gaps)
    app = folder / page.FILE
    app.write_text(text, encoding="utf-8", newline="\n")
    for path in (*written, document, app):
        say(f"Wrote {path}")
    if client.is_emulator:  # its console shows the page; Google's has no place for it
        beside = f"{version.artifact_uri.rstrip('/')}/{page.FILE}"
        client.blob(beside).upload_from_string(text, page.CONTENT_TYPE)
        say("The page is in 'nox -s console', too: Endpoints, the endpoint, Application.", "dim")
    if options.serve:
        page.serve(client, url, text, options.port)
        return 0
    shown = found[0].name if found else "NAME"
    next_commands(
        (f"python {folder / 'client.py'}", "predict for the example"),
        (f"python {folder / 'client.py'} {shown}=VALUE", "for another; so in each language"),
        ("nox -s clients -- --serve", "a page with a form, in a browser"),
    )
    return 0
