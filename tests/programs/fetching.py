"""Programs that are fetched into `.cache/programs` when they are first needed, by their own worlds' package clients.

AWS's command line and aiobotocore bring versions of botocore of their own, so they have an environment of their own.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks import servers

PROGRAMS = servers.CACHE / "programs"


def aws() -> Path:
    """The directory of AWS's command line."""
    return _environment("aws", "awscli")


def aiobotocore() -> Path:
    """The directory of a Python with aiobotocore, which wants an older botocore than AWS's command line."""
    return _environment("aiobotocore", "aiobotocore")


def parquet() -> Path:
    """The directory of a Python with pyarrow."""
    return _environment("parquet", "pyarrow")


def moto_server() -> Path:
    """The program: S3 and Kinesis of another make."""
    return _environment("moto", "moto[server,s3]") / "moto_server"


def _environment(name: str, *packages: str) -> Path:
    folder = PROGRAMS / name
    complete = folder / "complete"
    if not complete.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *packages], check=True)
        complete.touch()
    return folder / "bin"


def node_modules() -> Path:
    """The directory in which node finds the SDK: a script must lie in it or below."""
    folder = PROGRAMS / "node"
    servers.require("node")
    complete = folder / "complete"
    if not complete.exists():
        servers.require("npm")
        folder.mkdir(parents=True, exist_ok=True)
        npm = ["npm", "install", "--no-fund", "--no-audit", "--no-package-lock", "--loglevel=error", "--prefix", "."]
        subprocess.run([*npm, "@aws-sdk/client-dynamodb", "@aws-sdk/lib-dynamodb"], cwd=folder, check=True)
        complete.touch()
    return folder
