# SPDX-License-Identifier: MIT
"""What cannot be looked at, and command lines that make no sense.

Each must end with status 125, nothing on standard output, and exactly one line on standard error
that begins with `strand: ` and says what is wrong.
"""
import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

from looking import find_tool
from strandtest import Case, Failure, Skip

LINE_LENGTH = 500
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


def check_refusal(status, out, err, says=""):
    """125, silence, and one line that matches `says`."""
    lines = err.splitlines()
    problem = None
    if status != 125:
        problem = "status %d, not 125" % status
    elif out:
        problem = "something on standard output"
    elif len(lines) != 1 or not err.endswith("\n"):
        problem = "%d lines on standard error, not one" % len(lines)
    elif not lines[0].startswith("strand: ") or len(lines[0]) > LINE_LENGTH:
        problem = "not a short line that begins with «strand: »"
    elif re.search(says, lines[0], re.IGNORECASE) is None:
        problem = "the line does not say «%s»" % says
    if problem:
        raise Failure("%s\n--- standard output\n%s\n--- standard error\n%s" % (
            problem, out[:2000], err[:2000]))


def refuse(ctx, argv, says="", **kwargs):
    done = ctx.run(argv, timeout=20, **kwargs)
    try:
        check_refusal(done.status, done.out, done.err, says)
    except Failure as failure:
        raise Failure("%s\n%s" % (" ".join(argv), failure))


def sleeper(ctx, wrapper=()):
    """A process that sleeps; wrapper is the start of its command line."""
    child = ctx.spawn([*wrapper, "sleep", "600"], stdout=subprocess.DEVNULL)
    wait_for_name(child.pid, "sleep")
    return child.pid


def wait_for_name(pid, name):
    for _ in range(500):
        with contextlib.suppress(OSError), open("/proc/%d/comm" % pid) as file:
            if file.read().strip() == name:
                return
        time.sleep(0.01)
    raise Failure("process %d does not become %s" % (pid, name))


def field(pid, name):
    with open("/proc/%d/status" % pid) as file:
        match = re.search(r"^%s:\s*(.*)$" % name, file.read(), re.MULTILINE)
    return match.group(1) if match else ""


@contextlib.contextmanager
def public_strand(ctx):
    """A copy of strand that any user may execute."""
    folder = tempfile.mkdtemp(prefix="strand-test-")
    try:
        os.chmod(folder, 0o755)
        yield shutil.copy(ctx.strand, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def needs_root(*tools):
    if os.geteuid() != 0:
        raise Skip("needs root")
    for tool in tools:
        find_tool(tool)


# Processes that cannot be looked at

def gone(ctx):
    child = ctx.spawn(["true"])
    child.wait()
    refuse(ctx, [ctx.strand, "attach", str(child.pid)], "no such process")


def other_user(ctx):
    needs_root("setpriv")
    pid = sleeper(ctx)
    with public_strand(ctx) as strand:
        refuse(ctx, NOBODY + [strand, "attach", str(pid)], "another user")


def zombie(ctx):
    child = ctx.spawn(["true"])
    for _ in range(500):
        if field(child.pid, "State").startswith("Z"):
            break
        time.sleep(0.01)
    refuse(ctx, [ctx.strand, "attach", str(child.pid)], "zombie")


def kernel_thread(ctx):
    try:
        if not os.path.exists("/proc/2") or os.readlink("/proc/2/exe"):
            raise Skip("process 2 is no kernel thread here")
    except FileNotFoundError:
        pass
    except PermissionError:
        raise Skip("needs root")
    refuse(ctx, [ctx.strand, "attach", "2"], "kernel thread")


def under_tracer(ctx, tool, argv):
    find_tool(tool)
    pid = sleeper(ctx)
    ctx.spawn([word.replace("PID", str(pid)) for word in argv], stdin=subprocess.PIPE,
              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(1000):
        if field(pid, "TracerPid") not in ("", "0"):
            break
        time.sleep(0.01)
    else:
        raise Skip("%s may not trace here" % tool)
    refuse(ctx, [ctx.strand, "attach", str(pid)], "trace")


def under_strace(ctx):
    under_tracer(ctx, "strace", ["strace", "-o", "/dev/null", "-p", "PID"])


def under_gdb(ctx):
    under_tracer(ctx, "gdb", ["gdb", "-nx", "-q", "-p", "PID"])


def other_namespace(ctx):
    """In a user namespace of its own strand has no power over processes outside."""
    find_tool("unshare")
    if ctx.run(["unshare", "--user", "true"]).status != 0:
        raise Skip("no user namespace may be made here")
    refuse(ctx, ["unshare", "--user", ctx.strand, "attach", str(sleeper(ctx))],
           "permi|another user|user namespace")


def no_capability(ctx):
    """Root without CAP_SYS_PTRACE may not trace a process that has it."""
    needs_root("setpriv")
    refuse(ctx, ["setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace", ctx.strand,
                 "attach", str(sleeper(ctx))], "ptrace")


def undumpable(ctx):
    """One's own process, which has asked the kernel to protect it."""
    needs_root("setpriv")
    child = ctx.spawn(NOBODY + ["/usr/bin/python3", "-c", "import ctypes, time\n"
                                "ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)\n"
                                "print(flush=True)\n"
                                "time.sleep(600)"], stdout=subprocess.PIPE)
    if child.stdout.readline() != b"\n":
        raise Skip("no /usr/bin/python3")
    with public_strand(ctx) as strand:
        refuse(ctx, NOBODY + [strand, "attach", str(child.pid)], "kernel|permi")


def own_pid(ctx):
    refuse(ctx, ["sh", "-c", 'exec "$0" attach $$', ctx.strand], "itself")


def thread_number(ctx):
    """A thread's number is no process's."""
    child = ctx.spawn(["python3", "-c", "import threading, time\n"
                       "threading.Thread(target=time.sleep, args=(600,)).start()"])
    for _ in range(500):
        tids = os.listdir("/proc/%d/task" % child.pid)
        if len(tids) > 1:
            break
        time.sleep(0.01)
    tid = next(tid for tid in tids if int(tid) != child.pid)
    refuse(ctx, [ctx.strand, "attach", tid], "thread")


def old_program(ctx):
    """A 32-bit program, where such a one can be built."""
    binary = os.path.join(ctx.cache, "pause32")
    source = binary + ".c"
    with open(source, "w") as file:
        file.write("int pause(void); int main(void) { return pause(); }\n")
    if ctx.run(["gcc", "-m32", "-o", binary, source]).status != 0:
        raise Skip("no 32-bit C library")
    refuse(ctx, [ctx.strand, "attach", str(ctx.spawn([binary]).pid)], "64")


PROCESSES = {
    "gone": gone,
    "other-user": other_user,
    "zombie": zombie,
    "kernel-thread": kernel_thread,
    "under-strace": under_strace,
    "under-gdb": under_gdb,
    "user-namespace": other_namespace,
    "no-capability": no_capability,
    "undumpable": undumpable,
    "own-pid": own_pid,
    "thread": thread_number,
    "32-bit": old_program,
}


# Command lines. PID stands for a process that could be looked at.

COMMAND_LINES = {
    "no-command": [],
    "unknown-command": ["atach", "PID"],
    "no-pid": ["attach"],
    "two-pids": ["attach", "PID", "PID"],
    "pid-zero": ["attach", "0"],
    "pid-negative": ["attach", "--", "-1"],
    "pid-negative-bare": ["attach", "-1"],
    "pid-text": ["attach", "nginx"],
    "pid-empty": ["attach", ""],
    "pid-blank": ["attach", " "],
    "pid-trailing-text": ["attach", "PIDx"],
    "pid-hexadecimal": ["attach", "0x10"],
    "pid-fraction": ["attach", "1.5"],
    "pid-2-to-the-31": ["attach", "2147483648"],
    "pid-2-to-the-32-and-1": ["attach", "4294967297"],
    "pid-2-to-the-64": ["attach", "18446744073709551616"],
    "pid-endless": ["attach", "9" * 400],
    "no-such-core": ["attach", "/nonexistent/core"],
    "no-core": ["attach", "/etc/passwd"],
    "a-folder": ["attach", "/tmp"],
    "unknown-option": ["attach", "--nonsense", "PID"],
    "unknown-letter": ["attach", "-Q", "PID"],
    "unknown-format": ["attach", "--format=yaml2", "PID"],
    "empty-format": ["attach", "--format=", "PID"],
    "no-format": ["attach", "PID", "--format"],
    "two-reports-on-stdout": ["attach", "--format=text", "--format=json", "PID"],
    "output-and-two-formats": ["attach", "-o", "/dev/null", "--format=text:/dev/null",
                               "--format=json:/dev/null", "PID"],
    "output-empty": ["attach", "--output=", "PID"],
    "output-no-folder": ["attach", "-o", "/nonexistent/report", "PID"],
    "output-is-a-folder": ["attach", "-o", "/tmp", "PID"],
    "output-full": ["attach", "-o", "/dev/full", "PID"],
    "format-file-no-folder": ["attach", "--format=json:/nonexistent/report", "PID"],
    "format-file-full": ["attach", "--format=json:/dev/full", "PID"],
    "fail-on-unknown": ["attach", "--fail-on=sleepy", "PID"],
    "fail-on-empty": ["attach", "--fail-on=", "PID"],
    "fail-on-bad-count": ["attach", "--fail-on=alive:x", "PID"],
    "exit-code-text": ["attach", "--exit-code=x", "PID"],
    "exit-code-too-large": ["attach", "--exit-code=256", "PID"],
    "exit-code-negative": ["attach", "--exit-code=-1", "PID"],
    "max-pause-text": ["attach", "--max-pause=soon", "PID"],
    "max-pause-negative": ["attach", "--max-pause=-1", "PID"],
    "max-pause-unit": ["attach", "--max-pause=10fortnights", "PID"],
    "max-pause-overflow": ["attach", "--max-pause=99999999999999999999", "PID"],
    "max-tasks-text": ["attach", "--max-tasks=many", "PID"],
    "max-tasks-negative": ["attach", "--max-tasks=-5", "PID"],
    "option-of-another-command": ["attach", "--grace=5", "PID"],
}


def bad_command_line(ctx, words):
    pid = str(sleeper(ctx)) if any("PID" in word for word in words) else ""
    refuse(ctx, [ctx.strand] + [word.replace("PID", pid) for word in words])


def environment(ctx, options):
    refuse(ctx, [ctx.strand, "attach", str(sleeper(ctx))],
           env=dict(os.environ, STRAND_OPTIONS=options))


def stdout_full(ctx):
    """The report cannot be written where it goes by default."""
    with open("/dev/full", "w") as full:
        child = ctx.spawn([ctx.strand, "attach", str(sleeper(ctx))], stdout=full,
                          stderr=subprocess.PIPE)
        err = child.communicate(timeout=20)[1].decode()
    check_refusal(child.returncode, "", err)


def stdout_closed(ctx):
    refuse(ctx, ["sh", "-c", '"$0" attach "$1" >&-', ctx.strand, str(sleeper(ctx))])


def sparing_the_process(ctx):
    """A refusal leaves the process as it was."""
    pid = sleeper(ctx)
    for words in (["--format=json:/nonexistent/x"], ["--max-pause=x"], ["-o", "/dev/full"]):
        refuse(ctx, [ctx.strand, "attach", *words, str(pid)])
        if not field(pid, "State").startswith("S") or field(pid, "TracerPid") != "0":
            raise Failure("left as %s, traced by %s" % (field(pid, "State"),
                                                        field(pid, "TracerPid")))
    os.kill(pid, signal.SIGTERM)


def cases(ctx):
    def case(name, function, *args):
        return Case("hostile/refused/" + name, lambda: function(ctx, *args))

    for name, function in PROCESSES.items():
        yield case(name, function)
    for name, words in COMMAND_LINES.items():
        yield case(name, bad_command_line, words)
    yield case("environment-unknown-option", environment, "--nonsense")
    yield case("environment-bad-value", environment, "--max-pause=x")
    yield case("environment-quote", environment, "--format='json")
    yield case("stdout-full", stdout_full)
    yield case("stdout-closed", stdout_closed)
    yield case("process-spared", sparing_the_process)
