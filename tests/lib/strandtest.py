# SPDX-License-Identifier: MIT
"""What every group of tests speaks: Case, Failure, Skip, Context.

A group is a folder under tests/ with a harness.py that has

    def cases(ctx, long):       # yields Case objects; long is False in `make check`

A Case has a name (`group/what`) and run(), which returns None when the test passes, raises
Failure(text) when it does not, and Skip(text) where it cannot be tried here. One run() that covers
several tests (a cmocka program) returns a list of Result instead.

Each case runs in a process of its own, so run() may start what it likes: when the case ends, for
whatever reason, every descendant is killed. State shared by cases lives in files under ctx.cache.
"""
import contextlib
import ctypes
import fcntl
import os
import signal
import subprocess
import tempfile
import time

TIME_LIMIT = 120  # seconds a case may take unless it says otherwise
FEWER = 4
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class Failure(Exception):
    """The test failed; the text says what was expected and what was found."""


class Skip(Exception):
    """The test cannot be tried here; the text says what is missing."""


class Result:
    """One of several results of a case: status is 'passed', 'failed' or 'skipped'."""

    def __init__(self, name, status, text=""):
        self.name, self.status, self.text = name, status, text


class Case:
    """A named test. Give it a function, or subclass it and override run().

    The amount is what the case does more of in the long tests (looks, say). One that waits sleeps
    for most of its time: some of them run beside the others, however many processors there are.
    """

    timeout = TIME_LIMIT
    amount = None
    waits = False

    def __init__(self, name, function=None, timeout=None, amount=None, waits=False):
        self.name = name
        self._function = function
        self.amount = amount
        self.waits = waits
        if timeout is not None:
            self.timeout = timeout

    def run(self):
        return self._function()


class Done:
    """How a finished command ended. status is negative for a signal, as subprocess has it."""

    def __init__(self, argv, status, out, err, seconds):
        self.argv, self.status, self.out, self.err, self.seconds = argv, status, out, err, seconds

    def __str__(self):
        return "%s\nstatus %d after %.1f s\n--- standard output\n%s\n--- standard error\n%s" % (
            " ".join(self.argv), self.status, self.seconds, self.out, self.err)


def die_with_parent():
    """In a new process: be killed when the one that started it dies."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def start_child():
    """preexec_fn of every program that a test starts."""
    os.setpgid(0, 0)
    die_with_parent()


class Context:
    """Where things are, and how to start programs so that none outlives its test."""

    def __init__(self, build, src, quick=False, fewer=False):
        self.build = os.path.abspath(build)
        self.src = os.path.abspath(src)
        self.strand = os.path.join(self.build, "strand")
        self.quick = quick  # sanitizer builds: as few repetitions as still test something
        self.fewer = fewer  # of the long tests all cases, but a quarter of their repetitions
        self.work = os.path.join(self.build, "tests", "work")
        self.cache = os.path.join(self.work, "cache")  # kept between runs: built test programs
        self.tmp = None  # a fresh folder for this run, removed at its end
        self.sanitized = False
        with contextlib.suppress(OSError), open(os.path.join(self.build, "Makefile")) as makefile:
            self.sanitized = any(line.startswith("STRAND_LDFLAGS") and "sanitize" in line
                                 for line in makefile)

    def open(self):
        os.makedirs(self.cache, exist_ok=True)
        self.tmp = tempfile.mkdtemp(prefix="run.", dir=self.work)

    def times(self, number):
        """How often a long test repeats what it could do so often."""
        return -(-number // FEWER) if self.fewer else number

    def path(self, *parts):
        """A file of the source tree."""
        return os.path.join(self.src, *parts)

    def spawn(self, argv, **kwargs):
        """subprocess.Popen in a process group of its own; standard input is /dev/null.

        The child is killed when the thread that started it ends: call this from the main thread.
        """
        kwargs.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.Popen(argv, preexec_fn=start_child, **kwargs)

    def run(self, argv, timeout=60, input=None, **kwargs):
        """Run a command to its end and return a Done; a Failure if it takes too long."""
        begin = time.monotonic()
        stdin = subprocess.DEVNULL if input is None else subprocess.PIPE
        child = self.spawn(argv, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           encoding="utf-8", errors="replace", **kwargs)
        try:
            out, err = child.communicate(input, timeout)
        except subprocess.TimeoutExpired:
            kill_group(child)
            out, err = child.communicate()
            raise Failure("not done after %g s: %s\n%s%s" % (timeout, " ".join(argv), out, err))
        return Done(argv, child.returncode, out, err, time.monotonic() - begin)

    @contextlib.contextmanager
    def lock(self, name):
        """Cases run side by side: hold this while making something in ctx.cache."""
        with open(os.path.join(self.cache, name.replace("/", "_") + ".lock"), "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def kill_group(child):
    """Kill a child started by Context.spawn with its process group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        child.kill()
