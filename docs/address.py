"""Where the site and its repository lie: pyproject.toml says it, and MkDocs asks here."""

import tomllib
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """The addresses of `[project.urls]`."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    config.site_url, config.repo_url = project["urls"]["Documentation"], project["urls"]["Homepage"]
    config.repo_name = "GitHub"
    return config
