"""A path that the tests of a module write to, one after the other; those of Hypothesis need one of such a scope."""

import pytest


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("files") / "model.safetensors"
