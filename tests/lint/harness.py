# SPDX-License-Identifier: MIT
"""What is checked without running strand on anything: pages, formatting, lists, the runner itself.

Everything is found by walking the folders of the source tree, so that a tarball is checked like a
checkout.
"""
import os
import re
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import examples  # noqa: E402
import pages  # noqa: E402
from strandtest import Case, Failure, Skip  # noqa: E402

FOLDERS = ("src", "preload", "viewer", "tests", "man")
FIRST_COMMENT = re.compile(r"/\* SPDX-License-Identifier: MIT(?: \*/\n/\*)?\n"
                           r"((?: \*(?: .*)?\n)* \* \S.*\n(?: \*(?: .*)?\n)*?) \*/\n")
COMMENT_LINES = 18
FILE_LINES = 600


def is_product(root, name):
    """Is it something that a build in the source tree leaves there?"""
    return (name.endswith(("~", ".a", ".o", ".pyc")) or name == ".dirstamp" or
            (root.endswith("tests/unit") and "." not in name))


def walk(ctx, *suffixes):
    """Files of the source tree, relative to it."""
    for folder in FOLDERS:
        for root, folders, files in os.walk(ctx.path(folder)):
            folders[:] = sorted(set(folders) - {"__pycache__", ".deps", "work"})
            for name in sorted(files):
                if name.endswith(suffixes or ("",)) and not is_product(root, name):
                    yield os.path.relpath(os.path.join(root, name), ctx.src)


def read(ctx, name):
    with open(ctx.path(name), encoding="utf-8") as file:
        return file.read()


def complain(lines):
    if lines:
        raise Failure("\n".join(lines))


def check_listed(ctx):
    """Every file is named by a Makemodule.am, so that it is in the tarball."""
    lists = read(ctx, "Makefile.am") + "".join(read(ctx, name) for name in walk(ctx, ".am"))
    words = set(re.split(r"[\s\\=]+", lists))
    words |= {word + ".c" for word in words if word.startswith("tests/unit/test_")}
    complain(["%s is in no Makemodule.am" % name for name in walk(ctx) if name not in words])


def check_headers(ctx):
    """Every C file begins with its licence and says what it is for."""
    bad = []
    for name in walk(ctx, ".c", ".h", ".def"):
        text = read(ctx, name)
        match = FIRST_COMMENT.match(text)
        if match is None:
            bad.append("%s: no SPDX line followed by a comment on what the file is for" % name)
        elif match.group(1).count("\n") > COMMENT_LINES and name.startswith("src/"):
            bad.append("%s: its first comment has more than %d lines" % (name, COMMENT_LINES))
        if text.count("\n") > FILE_LINES and not name.startswith("tests/"):
            bad.append("%s: more than %d lines" % (name, FILE_LINES))
    complain(bad)


def check_clang_format(ctx):
    """.clang-format is that of version 14; other versions differ in details."""
    tool = None
    for name in ("clang-format-14", "clang-format"):
        path = shutil.which(name)
        if path and " version 14." in ctx.run([path, "--version"]).out:
            tool = path
            break
    if tool is None:
        raise Skip("no clang-format 14")
    files = [ctx.path(name) for name in walk(ctx, ".c", ".h")]
    done = ctx.run([tool, "--dry-run", "-Werror", "--style=file"] + files)
    if done.status:
        raise Failure(done.err)


def check_scripts(ctx):
    for shell, name in (("sh", "bootstrap.sh"), ("bash", ".ci/run")):
        done = ctx.run([shell, "-n", ctx.path(name)])
        if done.status or done.err:
            raise Failure(done.err)


TRIAL = '''
import os, subprocess, time
from strandtest import Case, Failure, Result, Skip

def cases(ctx, long):
    def fail():
        raise Failure("what was found")
    def skip():
        raise Skip("what is missing")
    def leave():
        subprocess.Popen(["setsid", "sh", "-c", "sleep SECONDS & sleep SECONDS"])
        time.sleep(0.3)
    def hang():
        leave()
        time.sleep(3600)
    def die():
        os._exit(0)
    def several():
        return [Result("unit/one", "passed"), Result("unit/two", "failed", "why")]
    yield Case("unit/passes", lambda: None)
    yield Case("unit/fails", fail)
    yield Case("unit/skips", skip)
    yield Case("unit/leaves", leave, waits=True)
    yield Case("unit/hangs", hang, timeout=2)
    yield Case("unit/dies", die)
    yield Case("unit/several", several)
'''


def processes(text):
    """The processes whose command line has this text."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as file:
                if text in file.read().replace(b"\0", b" "):
                    yield int(pid)
        except OSError:
            continue


def check_runner(ctx):
    """A runner that could not fail would make every other test worthless."""
    tree = os.path.join(ctx.tmp, "trial")
    seconds = str(1000000 + os.getpid())  # another run may be under way beside this one
    for folder in ("lib", "unit"):
        os.makedirs(os.path.join(tree, "tests", folder))
    for name in ("run", "lib/strandtest.py"):
        shutil.copy(ctx.path("tests", name), os.path.join(tree, "tests", name))
    with open(os.path.join(tree, "tests", "unit", "harness.py"), "w") as file:
        file.write(TRIAL.replace("SECONDS", seconds))
    run = [os.path.join(tree, "tests", "run"), "--build", tree, "unit"]
    done = ctx.run(run)
    last = done.out.splitlines()[-1:]
    if done.status != 1 or last != ["3 passed, 4 failed, 1 skipped"]:
        raise Failure(str(done))
    for text in ("what was found", "skip  unit/skips: what is missing", "time limit of 2 s",
                 "the test's process died", "FAIL  unit/two"):
        if text not in done.out:
            raise Failure("no «%s» in\n%s" % (text, done))
    if ctx.run(run[:-1] + ["unit/passes"]).status != 0:
        raise Failure("one passing test alone does not give status 0")
    if ctx.run(run[:-1] + ["unit/nothing-of-that-name"]).status != 1:
        raise Failure("naming no test at all gives status 0")
    left = list(processes(b"sleep " + seconds.encode()))
    if left:
        raise Failure("still there after the run: %s" % left)


def cases(ctx, long):
    yield Case("lint/files-listed", lambda: check_listed(ctx))
    yield Case("lint/file-headers", lambda: check_headers(ctx))
    yield Case("lint/clang-format", lambda: check_clang_format(ctx))
    yield Case("lint/man-page", lambda: pages.check_mdoc(ctx))
    yield Case("lint/options-documented", lambda: pages.check_options(ctx))
    yield Case("lint/formats-documented", lambda: pages.check_formats(ctx))
    yield Case("lint/keys-documented", lambda: pages.check_keys(ctx))
    yield Case("lint/names-exist", lambda: pages.check_names(ctx))
    yield Case("lint/readme-report", lambda: examples.check(ctx, "README.md"))
    yield Case("lint/man-report", lambda: examples.check(ctx, "man/strand.1"))
    yield Case("lint/report-comparison", examples.check_comparison)
    yield Case("lint/scripts", lambda: check_scripts(ctx))
    yield Case("lint/runner", lambda: check_runner(ctx), waits=True)
