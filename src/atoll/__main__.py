"""The program `atoll`, and `python -m atoll`: the command line, where Atoll can run."""

import sys

from atoll import platforms


def main() -> int:
    if reason := platforms.unsupported():
        print(f"atoll: {reason}", file=sys.stderr)
        return 2
    from atoll import cli

    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
