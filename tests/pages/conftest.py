"""These tests need AWS's command line and free ports: `make pages` fetches the one and makes the others."""

from __future__ import annotations

import os

collect_ignore = [] if os.environ.get("ATOLL_PAGES") else ["test_pages.py"]
