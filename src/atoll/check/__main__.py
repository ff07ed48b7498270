"""`python -m atoll.check DIRECTORY...`: the process that a server starts to check its stores."""

import sys
from pathlib import Path

from atoll.check.online import main

sys.exit(main(map(Path, sys.argv[1:])))
