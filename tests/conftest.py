"""For all tests: Hypothesis has no deadlines, since the machine may be busy with other work. Ctrl-C ends
processes that tests start, even where a shell ignores it, as for its jobs in the background.

Makes `engines` importable.
"""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

from hypothesis import HealthCheck, settings

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)

if str(Path(__file__).parent) not in sys.path:
    sys.path.insert(0, str(Path(__file__).parent))
