# SPDX-License-Identifier: MIT
"""Programs of tests/programs on other releases of glibc: the same verdicts on each.

A program is compiled against a release's own headers and libraries (roots.py) and runs with that
release's loader and libraries, beside those of this system; it is looked at from outside, and run by
`strand check` with the same libstrand.so as everywhere. A release that strand does not know is a copy
of one that it knows, which says another number: nothing of it may be relied upon.
"""
import glob
import os
import re
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAMS = os.path.join(os.path.dirname(HERE), "programs")
sys.path[:0] = [HERE, PROGRAMS]

import checking  # noqa: E402
import looking  # noqa: E402
import programs_harness  # noqa: E402
