"""Tests of stores in PostgreSQL. `make test-postgresql` runs them: it sets ATOLL_TEST_POSTGRESQL."""

from __future__ import annotations

from tests import postgres

collect_ignore_glob = [] if postgres.URL else ["test_*.py"]
