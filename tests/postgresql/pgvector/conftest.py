"""Tests of vector search by pgvector. `make test-postgresql` runs them over a server that has it, and sets
ATOLL_TEST_PGVECTOR."""

from __future__ import annotations

import os

collect_ignore_glob = [] if os.environ.get("ATOLL_TEST_PGVECTOR") else ["test_*.py"]
