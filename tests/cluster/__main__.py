"""`make cluster`: three PostgreSQL servers under Patroni and two front ends, until Ctrl-C.

PORT is that of the first front end.
"""

from __future__ import annotations

import os
import signal
import sys

from tests.cluster import world


def main() -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with world.running(_say, port=int(os.environ.get("PORT", "8000"))) as cluster:
            _show(cluster)
            signal.pause()
    except KeyboardInterrupt:
        return 0
    return 0


def _say(text: str) -> None:
    print(text, flush=True)


def _show(cluster: world.World) -> None:
    first, second = cluster.endpoints
    primary = cluster.primary()
    _say(f"\nFront ends:  {first}  {second}")
    for machine in cluster.machines:
        role = "primary" if machine is primary else "standby"
        _say(f"PostgreSQL:  127.0.0.1:{machine.port}  {machine.name}, {role}")
    _say(f"Logs, data:  {cluster.directory}")
    _say(
        "\nFor clients, and for atoll:\n"
        f"  export AWS_ENDPOINT_URL_DYNAMODB={first} AWS_REGION=us-east-1\n"
        "  export AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any\n"
        f"  export ATOLL_STORE={cluster.url}\n"
        f"\nKill the primary, and see that clients wait for some seconds and lose nothing:\n"
        f"  kill -9 $(head -1 {cluster.directory}/{primary.name}/postmaster.pid)\n"
        "\nCtrl-C stops everything and deletes the data."
    )


if __name__ == "__main__":
    sys.exit(main())
