"""What pyproject.toml cannot say: the extension, and the whole addresses that the README needs on a package index."""

import os
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent
HOME = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Homepage"]


def readme() -> str:
    """README.md, whose paths become addresses in the repository; a picture's is that of the file itself."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    raw = HOME.replace("github.com", "raw.githubusercontent.com")
    text = re.sub(r"(!\[[^]]*\]\()(?!\w+:)", rf"\g<1>{raw}/main/", text)
    return re.sub(r"((?<!!)\[[^]]*\]\()(?!\w+:|#)", rf"\g<1>{HOME}/blob/main/", text)


if __name__ == "__main__":
    from setuptools import Extension, setup  # what tests `readme` may have none: Python brings it no more

    native = Extension(
        "minigrad.programs.native._native",
        ["minigrad/programs/native/native.c"],
        extra_compile_args=[] if os.name == "nt" else ["-O3", "-ffp-contract=off"],  # MSVC is told in the file
        py_limited_api=True,
        optional=True,  # without a compiler programs run as Python; the bits are the same
    )
    setup(
        long_description=readme(),
        long_description_content_type="text/markdown",
        ext_modules=[native],
        options={"bdist_wheel": {"py_limited_api": "cp311"}},
    )
