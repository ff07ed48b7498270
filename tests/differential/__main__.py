"""`python -m tests.differential`: see conftest.py for the variables that say how much and what."""

import sys
from pathlib import Path

import pytest

if __name__ == "__main__":
    sys.exit(pytest.main([str(Path(__file__).with_name("against_dynamodb_local.py")), *sys.argv[1:]]))
