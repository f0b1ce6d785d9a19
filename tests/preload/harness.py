# SPDX-License-Identifier: MIT
"""libstrand.so by itself: what it stands in front of (wrapping.py), and what it writes (recording.py)."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "programs")]

import recording  # noqa: E402
import wrapping  # noqa: E402


def cases(ctx, long):
    for module in (wrapping, recording):
        for case in module.cases(ctx, long):
            case.name = "preload/" + case.name
            case.waits = not case.name.startswith("preload/record-")
            yield case
