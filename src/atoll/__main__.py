"""`python -m atoll` runs the command line."""

import sys

from atoll.cli import main

sys.exit(main())
