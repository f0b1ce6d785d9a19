# SPDX-License-Identifier: MIT
"""The command line: help, wrong options and values, where reports go, statuses.

Needs no hung program: where a process must be looked at, it is a sleep.
"""
import contextlib
import json
import os
import pty
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import network  # noqa: E402
import runs  # noqa: E402
from strandtest import Case, Failure, Skip, kill_group  # noqa: E402

NOT_YET = ("watch", "top", "report", "selftest")

# name, arguments, what is said behind "strand: "
WRONG = (
    ("no-command", [], "no command (strand check -- PROGRAM, strand attach PID; strand --help lists more)"),
    ("misspelt-command", ["atach", "1"], "there is no command 'atach' (did you mean attach?)"),
    ("unknown-command", ["frobnicate"],
     "there is no command 'frobnicate' (strand --help lists them)"),
    ("pid-for-command", ["4711"], "there is no command '4711' (did you mean strand attach 4711?)"),
    ("no-pid", ["attach"],
     "attach: no PID and no core given (strand attach PID, strand attach CORE)"),
    ("two-pids", ["attach", "1", "2"], "attach: one PID or core at a time (what is '2'?)"),
    ("word-for-pid", ["attach", "no-such-file"],
     "attach: 'no-such-file' is neither a PID (pidof or pgrep find it) nor a core file"),
    ("pid-zero", ["attach", "0"], "attach: '0' is not a PID (1 to 4194304)"),
    ("pid-too-large", ["attach", "99999999999999999999"],
     "attach: '99999999999999999999' is not a PID (1 to 4194304)"),
    ("pid-with-sign", ["attach", "+1"],
     "attach: '+1' is neither a PID (pidof or pgrep find it) nor a core file"),
    ("empty-pid", ["attach", ""],
     "attach: '' is neither a PID (pidof or pgrep find it) nor a core file"),
    ("core-file", ["attach", "/etc/passwd"],
     "cannot look at '/etc/passwd': it is not a core file "
     "(give a PID, or a core as gcore or the kernel writes it)"),
    ("no-core", ["attach", "/no/such/core"],
     "cannot open '/no/such/core': No such file or directory"),
    ("exe-of-a-process", ["attach", "--exe=x", "1"],
     "attach: --exe is for a core file, not for a PID"),
    ("sysroot-of-a-process", ["attach", "--sysroot=/", "1"],
     "attach: --sysroot is for a core file, not for a PID"),
    ("empty-exe", ["attach", "--exe=", "core"], "attach: --exe=: a file name is needed"),
    ("misspelt-option", ["attach", "--fromat=json", "1"],
     "attach: there is no option --fromat (did you mean --format?)"),
    ("unknown-option", ["attach", "--frobnicate", "1"],
     "attach: there is no option --frobnicate (strand attach --help lists them)"),
    ("unknown-letter", ["attach", "-x", "1"],
     "attach: there is no option -x (strand attach --help lists them)"),
    ("negative-pid", ["attach", "-5"],
     "attach: there is no option -5 (strand attach --help lists them)"),
    ("another-commands-option", ["attach", "--timeout=3", "1"],
     "attach: --timeout is not an option of this command (only of run, check)"),
    ("all-is-for-others", ["attach", "--all", "1"],
     "attach: --all is not an option of this command (only of run, check)"),
    ("no-value", ["attach", "1", "--format"],
     "attach: --format needs a value (--format=NAME[:FILE])"),
    ("needless-value", ["attach", "--help=me"], "attach: --help takes no value"),
    ("unknown-format", ["attach", "--format=xml", "1"],
     "attach: --format=xml: there is no such format; there are: text json"),
    ("two-on-output", ["attach", "--format=text", "--format=json", "1"],
     "attach: --format: only one report can go to standard output "
     "(give the others a file: --format=json:FILE)"),
    ("output-and-two-formats", ["attach", "-o", "x", "--format=text", "--format=json:y", "1"],
     "attach: --output works with exactly one format (give each a file: --format=NAME:FILE)"),
    ("bad-exit-code", ["attach", "--exit-code=256", "1"],
     "attach: --exit-code=256: not a status from 1 to 255"),
    ("bad-max-pause", ["attach", "--max-pause=soon", "1"],
     "attach: --max-pause=soon: not a time from 1ms to 60m (500, 500ms, 2s, 1m)"),
    ("bad-max-tasks", ["attach", "--max-tasks=many", "1"],
     "attach: --max-tasks=many: not a number of at least 1"),
    ("bad-fail-on", ["attach", "--fail-on=stack", "1"],
     "attach: --fail-on=stack: not a list of stuck, alive, unjoined, growing "
     "(each may have a limit: alive:8), or none"),
    ("no-program", ["check", "--all"], "check: no program given (strand check -- PROGRAM)"),
    ("no-program-either", ["run", "--"], "run: no program given (strand run -- PROGRAM)"),
    ("list-of-what", ["list", "x"], "list: it takes no argument (what is 'x'?)"),
    ("bad-timeout", ["run", "--timeout=never", "true"],
     "run: --timeout=never: not a time from 1ms to 60000m (30, 1.5s, 500ms, 10m)"),
    ("bad-grace", ["check", "--grace=-1", "true"],
     "check: --grace=-1: not a time from 0 to 60m (500, 500ms, 2s, 1m)"),
    ("bad-if-blind", ["check", "--if-blind=maybe", "true"],
     "check: --if-blind=maybe: fail or warn"),
    ("if-blind-is-for-check", ["run", "--if-blind=warn", "true"],
     "run: --if-blind is not an option of this command (only of check)"),
    ("two-on-error", ["run", "--format=text", "--format=json", "true"],
     "run: --format: only one report can go to standard error "
     "(give the others a file: --format=json:FILE)"),
    ("control-characters", ["attach", "--a\nb\x1b[31m", "1"],
     "attach: there is no option --a?b?[31m (strand attach --help lists them)"),
)

# name, STRAND_OPTIONS, what is said
WRONG_ENVIRONMENT = (
    ("unknown-option", "--timout=3",
     "STRAND_OPTIONS: there is no option --timout (did you mean --timeout?)"),
    ("bad-value", "--exit-code=x", "STRAND_OPTIONS: --exit-code=x: not a status from 1 to 255"),
    ("word", "json", "STRAND_OPTIONS: 'json' is not an option"),
    ("open-quote", "--output='x", "STRAND_OPTIONS: a quote or a backslash ends nowhere"),
)


def expect(condition, done):
    if not condition:
        raise Failure(str(done))


def environment(**changes):
    """The environment of a command: nothing of the caller's that would change its output."""
    env = {key: value for key, value in os.environ.items()
           if key not in ("STRAND_OPTIONS", "NO_COLOR")}
    env.update(changes)
    return env


def run(ctx, *args, **changes):
    return ctx.run([ctx.strand, *args], env=environment(**changes), cwd=ctx.tmp)


def check_wrong(ctx, args, said, **changes):
    done = run(ctx, *args, **changes)
    expect(done.status == 125 and done.out == "" and done.err == "strand: %s\n" % said, done)


def check_help(ctx):
    done = run(ctx, "--help")
    expect(done.status == 0 and done.err == "" and "strand attach PID" in done.out and
           "strand check [--] PROGRAM [ARG...]" in done.out, done)
    for name in NOT_YET:
        expect(not re.search(r"strand %s\b" % name, done.out), done)
    done = run(ctx, "attach", "--help")
    expect(done.status == 0 and done.err == "", done)
    for option in ("--format=NAME[:FILE]", "-o, --output=FILE", "--fail-on=LIST", "--exit-code=N",
                   "--max-pause=MS", "--max-tasks=N", "--help", "--version"):
        expect(option in done.out, done)
    expect(max(map(len, done.out.splitlines())) <= 100, done)


def check_version(ctx):
    done = run(ctx, "--version")
    expect(done.status == 0 and re.fullmatch(r"strand \d+\.\d+\.\d+\n", done.out), done)
    expect(run(ctx, "attach", "--version").out == done.out, done)


def check_not_yet(ctx):
    for name in NOT_YET:
        check_wrong(ctx, [name, "true"], "%s: not available in this version "
                    "(run, check, attach and list are)" % name)


@contextlib.contextmanager
def sleeper(ctx):
    child = ctx.spawn(["sleep", "1000"])
    try:
        yield str(child.pid)
    finally:
        kill_group(child)
        child.wait()


def attach(ctx, *args, **changes):
    """A look at a sleep; returns its PID and how the look ended."""
    with sleeper(ctx) as pid:
        return pid, run(ctx, "attach", *args, pid, **changes)


def expect_text(text, pid, done):
    expect(text.startswith("process %s, " % pid) and "none proved stuck" in text, done)


def expect_json(text, pid, done):
    try:
        report = json.loads(text)
    except ValueError as why:
        raise Failure("%s\n%s" % (why, done))
    expect(report["schema"] == "strand-report/1" and report["process"]["pid"] == int(pid) and
           report["process"]["moment"] == "attach" and report["findings"] == [] and
           report["summary"]["tasks"] == len(report["tasks"]) == 1, done)


def read(ctx, name):
    with open(os.path.join(ctx.tmp, name), encoding="utf-8") as file:
        return file.read()


def check_standard_output(ctx):
    pid, done = attach(ctx)
    expect(done.status == 0 and done.err == "" and "\x1b" not in done.out, done)
    expect_text(done.out, pid, done)
    pid, done = attach(ctx, "--format=json")
    expect(done.status == 0 and done.err == "", done)
    expect_json(done.out, pid, done)


def check_files(ctx):
    pid, done = attach(ctx, "--format=json:both.%p.json", "--format", "text")
    expect(done.status == 0, done)
    expect_text(done.out, pid, done)
    expect_json(read(ctx, "both.%s.json" % pid), pid, done)
    pid, done = attach(ctx, "-o", "out.%p", "--format=json")
    expect(done.status == 0 and done.out == "", done)
    expect_json(read(ctx, "out." + pid), pid, done)


def check_environment(ctx):
    options = "--timeout 3 --all --format='json:env $x.json' --exit-code=9"
    pid, done = attach(ctx, STRAND_OPTIONS=options)
    expect(done.status == 0 and done.out == "", done)
    expect_json(read(ctx, "env $x.json"), pid, done)
    os.unlink(os.path.join(ctx.tmp, "env $x.json"))
    pid, done = attach(ctx, "--format=text", STRAND_OPTIONS=options)
    expect_text(done.out, pid, done)
    expect(not os.path.exists(os.path.join(ctx.tmp, "env $x.json")), done)


def check_gate(ctx):
    for fail_on in ("none", "stuck", "stuck,alive:8,unjoined,growing"):
        done = attach(ctx, "--fail-on=" + fail_on, "--exit-code=7")[1]
        expect(done.status == 0, done)


def check_unwritable(ctx):
    done = attach(ctx, "-o", "no/such/folder")[1]
    expect(done.status == 125 and done.out == "" and done.err ==
           "strand: cannot write the report to no/such/folder: No such file or directory\n", done)
    for name in ("text", "json"):
        pid, done = attach(ctx, "--format=%s:/dev/full" % name, "--format=json")
        expect(done.status == 125 and done.err ==
               "strand: cannot write the report to /dev/full: No space left on device\n", done)
        expect_json(done.out, pid, done)


def shell(ctx, script, *args):
    """The status and messages of a shell line in which "$@" is strand attach of a sleep."""
    with sleeper(ctx) as pid:
        return ctx.run(["bash", "-c", script, "bash", ctx.strand, "attach", *args, pid],
                       env=environment(), cwd=ctx.tmp)


def check_closed_streams(ctx):
    """A report must not end up in a file that got the number of a closed stream."""
    done = shell(ctx, '"$@" >&-')
    expect(done.status == 125 and done.err ==
           "strand: cannot write the report to standard output: Bad file descriptor\n", done)
    done = shell(ctx, '"$@" >/dev/full')
    expect(done.status == 125 and "No space left on device" in done.err, done)
    done = shell(ctx, '"$@" <&- 2>&-')
    expect(done.status == 0 and done.out.startswith("process "), done)


def check_closed_pipe(ctx):
    """Like other tools: the signal ends it, in silence. The process looked at lives on."""
    with sleeper(ctx) as pid:
        # The reader is gone before anything is written: true ends, then the look begins.
        done = ctx.run(["bash", "-c", '{ sleep 0.2; "$@"; echo $? >status; } | true; cat status',
                        "bash", ctx.strand, "attach", "--format=json", pid],
                       env=environment(), cwd=ctx.tmp)
        expect(done.out == "141\n" and done.err == "", done)
        with open("/proc/%s/stat" % pid, encoding="ascii") as file:
            state = file.read().rsplit(")", 1)[1].split()[0]
        expect(state == "S", state)


def check_ignored_child_signal(ctx):
    pid, done = None, None
    with sleeper(ctx) as pid:
        done = ctx.run(["env", "--ignore-signal=CHLD", ctx.strand, "attach", pid],
                       env=environment())
    expect(done.status == 0, done)
    expect_text(done.out, pid, done)


def on_terminal(ctx, *args, **changes):
    """What strand writes to a terminal."""
    try:
        master, slave = pty.openpty()
    except OSError as why:
        raise Skip("no pseudo-terminals here: %s" % why)
    with sleeper(ctx) as pid:
        child = ctx.spawn([ctx.strand, "attach", *args, pid], stdout=slave,
                          env=environment(**changes))
        os.close(slave)
        text = b""
        with contextlib.suppress(OSError):  # EIO: the other end is closed
            while True:
                part = os.read(master, 65536)
                if not part:
                    break
                text += part
        child.wait()
        os.close(master)
    return text.decode("utf-8")


def check_colours(ctx):
    expect("\x1b[1m" in on_terminal(ctx, TERM="xterm"), "no colours on a terminal")
    for changes in ({"TERM": "dumb"}, {"TERM": "xterm", "NO_COLOR": "1"}):
        expect("\x1b" not in on_terminal(ctx, **changes), "colours with %s" % changes)
    expect("\x1b[1m" in on_terminal(ctx, TERM="xterm", NO_COLOR=""), "an empty NO_COLOR counts")
    expect("\x1b" not in on_terminal(ctx, "--format=json", TERM="xterm"), "colours in JSON")


def cases(ctx, long):
    for name, args, said in WRONG:
        yield Case("cli/wrong/" + name, lambda args=args, said=said: check_wrong(ctx, args, said))
    for name, line, said in WRONG_ENVIRONMENT:
        yield Case("cli/wrong-environment/" + name, lambda line=line, said=said: check_wrong(
            ctx, ["attach", "1"], said, STRAND_OPTIONS=line))
    for check in (check_help, check_version, check_not_yet, check_standard_output, check_files,
                  check_environment, check_gate, check_unwritable, check_closed_streams,
                  check_closed_pipe, check_ignored_child_signal, check_colours):
        name = check.__name__.replace("check_", "").replace("_", "-")
        yield Case("cli/" + name, lambda check=check: check(ctx))
    yield from network.cases(ctx)
    for case in runs.cases(ctx):
        case.waits = True
        yield case
