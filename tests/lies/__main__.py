"""Try the operator in more histories than a test has time for, none of them the same as in the run before.

``python -m tests.lies [--histories N]``
"""

from __future__ import annotations

import argparse
import logging
import sys

import structlog
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.lies.machine import SETTINGS, Lying


def main() -> int:
    """Try; 0 where each lie was caught."""
    parser = argparse.ArgumentParser(prog="python -m tests.lies", description=__doc__)
    parser.add_argument("--histories", type=int, default=100)
    asked = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    run_state_machine_as_test(
        Lying, settings=settings(SETTINGS, max_examples=asked.histories, derandomize=False)
    )
    sys.stdout.write(f"{asked.histories} histories: each lie was caught\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
