"""The program `atoll`, also `python -m atoll`: refuse an unsupported platform, then run the command line."""

import signal
import sys

from atoll import platforms


def main() -> int:
    if reason := platforms.unsupported():
        print(f"atoll: {reason}", file=sys.stderr)
        return 2
    # Until the command runs, Ctrl-C ends the process at once: some libraries crash when their import is interrupted.
    interrupt = signal.getsignal(signal.SIGINT)
    if interrupt is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from atoll import cli

    return cli.main(ready=lambda: signal.signal(signal.SIGINT, interrupt))


if __name__ == "__main__":
    sys.exit(main())
