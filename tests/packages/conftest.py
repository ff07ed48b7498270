"""`built` builds the packages and installs them; ATOLL_PACKAGES=1 (`make packages`) runs those tests too."""

from __future__ import annotations

import os

collect_ignore = [] if os.environ.get("ATOLL_PACKAGES") else ["built"]
