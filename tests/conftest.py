from pathlib import Path

import pytest
from bake import copy_template


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template as it is baked: a copy of its own files, without caches."""
    return copy_template(tmp_path_factory.mktemp("copy") / "template")
