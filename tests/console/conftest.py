"""The console's tests. `browser` holds those in a real browser: ATOLL_BROWSER=1 (`make browser`) runs them too."""

from __future__ import annotations

import os

collect_ignore = [] if os.environ.get("ATOLL_BROWSER") else ["browser"]
