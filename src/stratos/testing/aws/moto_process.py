"""moto's server in a process of its own, so that the cloud outlives whatever is killed and shares nobody's modules.

Run as a script by `stratos.testing.aws.moto`: it prints its port, and ends when its standard input does, which happens
however its parent goes.
"""

from __future__ import annotations

import logging
import sys

from moto.server import ThreadedMotoServer


def main() -> None:
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # it prints a line for each request otherwise
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    sys.stdout.write(f"{server.get_host_and_port()[1]}\n")
    sys.stdout.flush()
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    main()
