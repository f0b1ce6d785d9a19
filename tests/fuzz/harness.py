# SPDX-License-Identifier: MIT
"""Each fuzz target for a few seconds, from the same seed every time, with sanitizers (`make fuzz`)."""
import os
import re

from strandtest import Case, Failure

SECONDS = 5
BUILD_S = 400


def fuzz(ctx, name):
    """In a build with other flags the core is compiled anew as well; it may take its time."""
    env = {key: value for key, value in os.environ.items()
           if key not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "T", "CHECK_FLAGS")}
    done = ctx.run(["make", "-s", "--no-print-directory", "-C", ctx.build, "fuzz", "FUZZ=" + name,
                    "FUZZ_SECONDS=%d" % SECONDS, "FUZZ_SEED=1"], timeout=BUILD_S + 60, env=env)
    print(done)
    if done.status:
        raise Failure(str(done))
    if not re.search(r"^fuzz_%s: [1-9]\d* inputs" % name, done.out, re.MULTILINE):
        raise Failure("no input was tried\n%s" % done)


def cases(ctx, long):
    if not long:
        return
    with open(ctx.path("tests", "fuzz", "Makemodule.am"), encoding="utf-8") as file:
        names = re.findall(r"tests/fuzz/fuzz_(\w+)\.c", file.read())
    for name in sorted(set(names) - {"NAME"}):
        yield Case("fuzz/" + name, lambda name=name: fuzz(ctx, name), BUILD_S + 120)
