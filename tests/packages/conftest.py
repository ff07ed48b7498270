"""`built` builds the packages and installs them: ATOLL_PACKAGES=1 (`make packages`) also runs those tests. `deployed`
builds and starts a container: ATOLL_CONTAINER=1 (`make container`)."""

from __future__ import annotations

import os

_VARIABLES = {"built": "ATOLL_PACKAGES", "deployed": "ATOLL_CONTAINER"}

collect_ignore = [folder for folder, variable in _VARIABLES.items() if not os.environ.get(variable)]
