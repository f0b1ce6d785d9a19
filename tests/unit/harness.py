# SPDX-License-Identifier: MIT
"""The unit tests: every tests/unit/test_*.c is a cmocka program; each of its cases counts."""
import glob
import os
import re
import subprocess

from strandtest import Case, Failure, Result

PLAN = re.compile(r"^1\.\.(\d+)$")
SKIPPED = re.compile(r"^(?:not )?ok \d+ # SKIP (.*)$")
RUN = re.compile(r"^(not ok|ok) \d+ - (.*)$")


class UnitProgram(Case):
    def __init__(self, ctx, name):
        super().__init__("unit/" + name)
        self.ctx = ctx
        self.program = os.path.join(ctx.build, "tests", "unit", name)

    def run(self):
        if not os.path.exists(self.program):
            raise Failure("%s was not built: is it listed in tests/Makemodule.am?" % self.program)
        env = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="tap")
        child = self.ctx.spawn([self.program], env=env, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, encoding="utf-8", errors="replace")
        out = child.communicate()[0]
        results = parse(self.name, out)
        if child.returncode and not any(result.status == "failed" for result in results):
            raise Failure("%s\nended with status %d" % (out, child.returncode))
        return results


def parse(name, out):
    """Results of cmocka's TAP output; the lines after a `not ok` say why."""
    results, planned = [], 0
    for line in out.splitlines():
        plan, skipped, run = PLAN.match(line), SKIPPED.match(line), RUN.match(line)
        if plan:
            planned += int(plan.group(1))
        elif skipped:
            text = "skipped by the test itself"
            results.append(Result("%s/%s" % (name, skipped.group(1)), "skipped", text))
        elif run:
            status = "passed" if run.group(1) == "ok" else "failed"
            results.append(Result("%s/%s" % (name, run.group(2)), status))
        elif results and results[-1].status == "failed":
            results[-1].text += line + "\n"
    if not planned or planned != len(results):
        raise Failure("%s\n%d cases were planned, %d were run" % (out, planned, len(results)))
    return results


def cases(ctx, long):
    for source in sorted(glob.glob(ctx.path("tests", "unit", "test_*.c"))):
        yield UnitProgram(ctx, os.path.basename(source)[:-2])
