# SPDX-License-Identifier: MIT
"""strand run and strand check: statuses, signals, the terminal, and what is left behind: nothing.

The program is ends.c, which ends or hangs as its argument says.
"""
import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import subprocess
import termios
import time

from strandtest import Case, Failure, Skip, kill_group

HERE = os.path.dirname(os.path.abspath(__file__))
SOON_S = 20  # for what takes a moment on a quiet machine

# name, options, arguments of ends.c, status of check, status of run, findings as check sees them
STATUSES = (
    ("single", [], ["single", "0"], 0, 0, {}),
    ("single-own", [], ["single", "3"], 3, 3, {}),
    ("clean", [], ["clean", "0"], 0, 0, {}),
    ("own", [], ["clean", "5"], 5, 5, {}),
    ("own-66", [], ["clean", "66"], 66, 66, {}),
    ("stuck", [], ["stuck", "0"], 66, 0, {"stuck": 2}),
    ("stuck-own-status", [], ["stuck", "7"], 7, 7, {"stuck": 2}),
    ("stuck-other-code", ["--exit-code=9"], ["stuck", "0"], 9, 0, {"stuck": 2}),
    ("stuck-let-pass", ["--fail-on=none"], ["stuck", "0"], 0, 0, {"stuck": 2}),
    ("stuck-allowed", ["--fail-on=stuck:2"], ["stuck", "0"], 0, 0, {"stuck": 2}),
    ("stuck-too-many", ["--fail-on=stuck:1"], ["stuck", "0"], 66, 0, {"stuck": 2}),
    ("alive-passes", [], ["alive", "0"], 0, 0, {"alive": 1}),
    ("alive", ["--fail-on=alive"], ["alive", "0"], 66, 0, {"alive": 1}),
    ("alive-no-grace", ["--fail-on=alive", "--grace=0"], ["alive", "0"], 66, 0, {"alive": 1}),
    ("unjoined", ["--fail-on=unjoined"], ["unjoined", "0"], 66, 0, {"unjoined": 1}),
    ("unjoined-own", ["--fail-on=unjoined"], ["unjoined", "1"], 1, 1, {"unjoined": 1}),
    ("killed", [], ["kill", "9"], 137, 137, {}),
    ("aborted", [], ["kill", "6"], 134, 134, {}),
    ("killed-and-stuck", [], ["stuck-kill", "11"], 139, 139, {}),
    ("hang", [], ["hang"], 66, None, {"stuck": 3}),
    ("hang-let-pass", ["--fail-on=none"], ["hang"], 124, None, {"stuck": 3}),
    ("hang-other-code", ["--exit-code=3"], ["hang"], 3, None, {"stuck": 3}),
    ("timeout", ["--timeout=300ms"], ["sleepers"], 124, 124, {}),
    ("timeout-single", ["--timeout=0.3"], ["sleep", "100"], 124, 124, {}),
    ("timeout-stuck", ["--timeout=700ms"], ["half-hang"], 66, 124, {"stuck": 3}),
    ("timeout-passed", ["--timeout=700ms", "--fail-on=alive"], ["half-hang"], 124, 124,
     {"stuck": 3}),
    ("timeout-deaf", ["--timeout=300ms"], ["deaf"], 124, 124, {}),
    ("timeout-not-reached", ["--timeout=100"], ["clean", "0"], 0, 0, {}),
    ("hang-timeout", ["--no-stop-on-deadlock", "--timeout=2500ms"], ["hang"], 66, 124,
     {"stuck": 3}),
    ("child-stuck", [], ["child", "0"], 66, 0, {"stuck": 2}),
    ("child-own", [], ["child", "4"], 4, 4, {"stuck": 2}),
    ("child-ignored", ["--no-children"], ["child", "0"], 0, 0, {}),
    ("child-hangs", [], ["child-hangs", "0"], 66, None, {"stuck": 3}),
)


def expect(condition, done):
    if not condition:
        raise Failure(str(done))


def program(ctx):
    """ends.c, built once."""
    source, binary = os.path.join(HERE, "ends.c"), os.path.join(ctx.cache, "cli-ends")
    with ctx.lock("cli-ends"):
        if not os.path.exists(binary) or os.path.getmtime(binary) < os.path.getmtime(source):
            done = ctx.run(["gcc", "-g", "-O1", "-pthread", "-o", binary, source])
            if done.status:
                raise Failure(str(done))
    return binary


class Folder:
    """A folder of tables for one test; empty at its end, or the test has failed."""

    def __init__(self, ctx, name):
        self.path = os.path.join(ctx.tmp, "tables.%s.%d" % (name, os.getpid()))
        os.mkdir(self.path, 0o700)

    def environment(self, **changes):
        env = {key: value for key, value in os.environ.items()
               if key not in ("STRAND_OPTIONS", "NO_COLOR", "LD_PRELOAD", "ASAN_OPTIONS")}
        env.update(STRAND_DIR=self.path, **changes)
        return env

    def files(self):
        return sorted(os.listdir(self.path))

    def check_empty(self):
        if self.files():
            raise Failure("left in the folder of tables: %s" % self.files())


def strand(ctx, folder, command, *args, **changes):
    return ctx.run([ctx.strand, command, *args], env=folder.environment(**changes), cwd=ctx.tmp)


def images(report):
    return [report] + report["children"]


def counted(report):
    found = {}
    for image in images(report):
        for finding in image["findings"]:
            found[finding["verdict"]] = found.get(finding["verdict"], 0) + finding["count"]
    return found


def read_json(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def check_status(ctx, row):
    name, options, args, check, run, found = row
    folder, argv = Folder(ctx, name), [program(ctx), *args]
    for command, status in (("check", check), ("run", run)):
        if status is None:
            continue
        file = os.path.join(ctx.tmp, "%s.%s.json" % (name, command))
        done = strand(ctx, folder, command, *options, "--format=json:" + file, "--", *argv)
        expect(done.status == status, done)
        expect(done.err == "", done)
        report = read_json(file)
        expect(counted(report) == found, "%s\n%s" % (counted(report), done))
        check_end(report["process"], args, status, done)
        folder.check_empty()


def check_end(process, args, status, done):
    """The report tells how the program ended."""
    if args[0].startswith("kill") or args[0] == "stuck-kill":
        expect(process["signal"] == int(args[1]) and process["status"] is None and
               process["moment"] == "killed", process)
    elif args[0] in ("hang", "half-hang", "sleepers", "deaf", "sleep"):
        expect(process["signal"] in (signal.SIGTERM, signal.SIGKILL) and
               process["moment"] in ("deadlock", "timeout"), process)
    else:
        expect(process["signal"] is None and process["status"] == int(args[1]), process)
        expect(process["moment"] == "exit", process)


def check_text(ctx):
    """The report in words goes to standard error, and is silent about nothing."""
    folder = Folder(ctx, "text")
    done = strand(ctx, folder, "check", program(ctx), "single", "0")
    expect(done.status == 0 and done.out == "" and done.err == "", done)
    done = strand(ctx, folder, "check", program(ctx), "clean", "0")
    expect(done.status == 0 and done.out == "" and len(done.err.splitlines()) <= 2 and
           "nothing left behind" in done.err, done)
    done = strand(ctx, folder, "check", program(ctx), "stuck", "0")
    expect(done.status == 66 and done.out == "" and "2 stuck" in done.err and
           "lock_left_first" in done.err and "created by T1" in done.err, done)
    done = strand(ctx, folder, "check", "-o", "-", program(ctx), "stuck", "0")
    expect(done.status == 66 and done.err == "" and "2 stuck" in done.out, done)
    folder.check_empty()


def check_json_always(ctx):
    """Every file asked for is written, also when there was nothing to look at."""
    folder = Folder(ctx, "json")
    done = strand(ctx, folder, "run", "--format=json:one.%p.json", program(ctx), "single", "0")
    expect(done.status == 0 and done.out == done.err == "", done)
    names = [name for name in os.listdir(ctx.tmp) if re.fullmatch(r"one\.\d+\.json", name)]
    expect(len(names) == 1, names)
    report = read_json(os.path.join(ctx.tmp, names[0]))
    expect(report["seen"] == "none" and report["summary"]["tasks"] == 0 and
           report["process"]["status"] == 0 and report["process"]["argv"][1] == "single" and
           names[0] == "one.%d.json" % report["process"]["pid"], report)


def check_refused(ctx):
    """Nothing is started if the report could not be written."""
    folder = Folder(ctx, "refused")
    done = strand(ctx, folder, "run", "-o", "no/such/folder", "--", "touch", "started")
    expect(done.status == 125 and done.err == "strand: cannot write the report to no/such/folder: "
           "No such file or directory\n", done)
    expect(not os.path.exists(os.path.join(ctx.tmp, "started")), "it was started")
    folder.check_empty()


def check_words(ctx):
    """Options end where the program begins."""
    folder = Folder(ctx, "words")
    done = strand(ctx, folder, "run", "echo", "--format=json", "--", "-x")
    expect(done.status == 0 and done.out == "--format=json -- -x\n" and done.err == "", done)
    done = strand(ctx, folder, "run", "--", "echo", "--")
    expect(done.out == "--\n", done)


def check_blind(ctx):
    folder, binary = Folder(ctx, "blind"), os.path.join(ctx.tmp, "blind.static")
    done = ctx.run(["gcc", "-static", "-O1", "-pthread", "-o", binary,
                    os.path.join(HERE, "ends.c")])
    expect(done.status == 0, done)
    says = ("strand: could not look at the end of '%s': the program is statically linked\n"
            % binary)
    for options, args, status in (([], ["clean", "0"], 125), ([], ["clean", "3"], 3),
                                  (["--if-blind=warn"], ["clean", "0"], 0),
                                  (["--if-blind=fail"], ["single", "0"], 125)):
        done = strand(ctx, folder, "check", *options, binary, *args)
        expect(done.status == status and done.err == says, done)
    done = strand(ctx, folder, "run", binary, "clean", "0")
    expect(done.status == 0 and done.err == says, done)
    # Looked at from outside: a deadlock is found all the same.
    done = strand(ctx, folder, "check", binary, "hang")
    expect(done.status == 66 and "3 stuck" in done.err, done)
    folder.check_empty()


def check_start(ctx):
    """A program starts as it would without strand."""
    folder, argv = Folder(ctx, "start"), [program(ctx), "start", "a b", ""]
    for before in ([], ["env", "--ignore-signal=CHLD,HUP,INT", "--block-signal=USR1,TERM"],
                   ["bash", "-c", 'ulimit -Sn 77; umask 027; exec "$@"', "bash"],
                   ["bash", "-c", 'exec "$@" <&- 2>&-', "bash"]):
        bare = ctx.run([*before, *argv], env=folder.environment())
        done = ctx.run([*before, ctx.strand, "run", *argv], env=folder.environment())
        # In bare the program leads the group that strand leads in done.
        expect(done.status == 0 and
               done.out.replace("group 0", "group 1") == bare.out, "%s\n%s" % (bare, done))
        folder.check_empty()


def check_environment(ctx):
    folder = Folder(ctx, "environment")
    done = strand(ctx, folder, "run", "env", LD_PRELOAD="", ASAN_OPTIONS="verbosity=0")
    lines = done.out.splitlines()
    shim = os.path.join(ctx.build, "libstrand.so")
    expect("LD_PRELOAD=" + shim in lines and "STRAND_DIR=" + folder.path in lines and
           "ASAN_OPTIONS=verbosity=0:verify_asan_link_order=0" in lines, done)
    expect(sum(line.startswith("LD_PRELOAD=") for line in lines) == 1, done)


@contextlib.contextmanager
def started(ctx, folder, *args, **kwargs):
    """strand under way, in a session of its own so that nothing is left of it; its program says
    ready on standard output."""
    child = ctx.spawn([ctx.strand, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                      encoding="utf-8", env=folder.environment(), cwd=ctx.tmp, **kwargs)
    try:
        expect(child.stdout.readline() == "ready\n", "the program does not say that it is ready")
        yield child
    finally:
        kill_group(child)
        child.wait()
        child.stdout.close()
        child.stderr.close()


def finish(child):
    try:
        out, err = child.communicate(timeout=SOON_S)
    except subprocess.TimeoutExpired:
        raise Failure("strand does not end")
    return child.returncode, out, err


def first_child(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as file:
        found = file.read().split()
    expect(found, "strand has no child")
    return int(found[0])


def check_signal(ctx, number):
    """One look, then the signal is the program's."""
    folder, file = Folder(ctx, "signal%d" % number), os.path.join(ctx.tmp, "s%d.json" % number)
    with started(ctx, folder, "check", "--format=json:" + file, program(ctx), "sleepers") as child:
        time.sleep(0.2)
        child.send_signal(number)
        status, out, err = finish(child)
    expect(status == 128 + number and err == "", (status, out, err))
    process = read_json(file)["process"]
    expect(process["moment"] == "signal" and process["signal"] == number, process)
    folder.check_empty()


def check_caught_signal(ctx):
    """A program that catches it and ends by itself has the last word."""
    folder = Folder(ctx, "caught")
    with started(ctx, folder, "run", program(ctx), "catch") as child:
        time.sleep(0.2)
        child.send_signal(signal.SIGTERM)
        status, out, err = finish(child)
    expect(status == 0 and out == "TERM came\n" and "1 alive" in err, (status, out, err))
    folder.check_empty()


def check_passed_signal(ctx):
    folder = Folder(ctx, "passed")
    with started(ctx, folder, "run", program(ctx), "sleepers") as child:
        child.send_signal(signal.SIGUSR1)
        status, out, err = finish(child)
    expect(status == 128 + signal.SIGUSR1, (status, out, err))


def check_supervisor_killed(ctx):
    """The program goes on, ends as it would, and the next command tidies up."""
    folder = Folder(ctx, "orphan")
    with started(ctx, folder, "run", program(ctx), "catch") as child:
        pid = first_child(child.pid)
        child.kill()
        child.wait()
        os.kill(pid, signal.SIGTERM)
        out = child.stdout.read()  # until the program has closed it: it has ended
    expect(out == "TERM came\n", out)
    expect(folder.files(), "no files: the test tests nothing")
    deadline = time.monotonic() + SOON_S
    while folder.files() and time.monotonic() < deadline:
        done = strand(ctx, folder, "list")
        expect(done.status == 0 and done.err == "", done)
    folder.check_empty()


def check_report_at_once(ctx):
    """run reports a deadlock when it is there, once, and waits on."""
    folder = Folder(ctx, "at-once")
    child = ctx.spawn([ctx.strand, "run", program(ctx), "hang"], stdout=subprocess.PIPE,
                      stderr=subprocess.PIPE, encoding="utf-8", env=folder.environment())
    try:
        first = child.stderr.readline()
        expect("3 stuck" in first and child.poll() is None, first)
        time.sleep(2)
        expect(child.poll() is None, "it was ended")
        child.terminate()
        status, _, err = finish(child)
    finally:
        kill_group(child)
        child.wait()
    expect(status == 128 + signal.SIGTERM and "stuck (" not in err, (status, err))
    folder.check_empty()


def check_child_report(ctx):
    """A child is ended alone, and its parent goes on."""
    folder, file = Folder(ctx, "lonely"), os.path.join(ctx.tmp, "lonely.json")
    done = strand(ctx, folder, "check", "--format=json:" + file, "--", "sh", "-c",
                  '"$0" hang; echo "it gave $?"', program(ctx))
    expect(done.status == 66 and done.out == "it gave 143\n", done)
    report = read_json(file)
    expect(report["seen"] == "none" and report["process"]["status"] == 0 and
           len(report["children"]) == 1 and
           report["children"][0]["process"]["moment"] == "deadlock", report)
    folder.check_empty()


def check_left_running(ctx):
    """What outlives the program is let go, and noted."""
    folder, file = Folder(ctx, "outlives"), os.path.join(ctx.tmp, "outlives.json")
    begin = time.monotonic()
    done = strand(ctx, folder, "run", "--format=json:" + file, "--", "sh", "-c",
                  '"$0" sleep 3 >/dev/null 2>&1 & sleep 0.5', program(ctx))
    expect(done.status == 0 and time.monotonic() - begin < 2.5, done)
    notes = read_json(file)["notes"]
    expect(any("still ran" in note for note in notes), notes)
    deadline = time.monotonic() + SOON_S
    while folder.files() and time.monotonic() < deadline:
        time.sleep(0.2)
        strand(ctx, folder, "list")
    folder.check_empty()


def check_exec(ctx):
    """Images of one process: what the first left behind is told."""
    folder, file = Folder(ctx, "exec"), os.path.join(ctx.tmp, "exec.json")
    done = strand(ctx, folder, "check", "--format=json:" + file, "--", "sh", "-c",
                  'exec env "$0" stuck 0', program(ctx))
    report = read_json(file)
    expect(done.status == 66 and counted(report) == {"stuck": 2} and
           report["process"]["exe"].endswith("cli-ends"), done)
    folder.check_empty()


def check_list(ctx):
    folder = Folder(ctx, "list")
    done = strand(ctx, folder, "list")
    expect(done.status == 0 and done.out == done.err == "", done)
    with open(os.path.join(folder.path, "999999.1.0.strand"), "w") as file:
        file.write("stale")
    with started(ctx, folder, "run", program(ctx), "sleepers") as child:
        pid = first_child(child.pid)
        done = strand(ctx, folder, "list")
        lines = done.out.splitlines()
        expect(done.status == 0 and done.err == "" and len(lines) == 2 and
               re.fullmatch(r" *%d +2 .*cli-ends" % pid, lines[1]), done)
        expect(not any(name.startswith("999999.") for name in folder.files()), folder.files())
        done = strand(ctx, folder, "attach", str(pid))
        expect(done.status == 0 and "created by T1" in done.out, done)


def check_odd_path(ctx):
    """A build in a folder with a space: the loader would split its name."""
    folder, odd = Folder(ctx, "odd"), os.path.join(ctx.tmp, "odd: name")
    os.mkdir(odd)
    for name in ("strand", "libstrand.so"):
        with open(os.path.join(ctx.build, name), "rb") as file:
            data = file.read()
        with open(os.path.join(odd, name), "wb") as file:
            file.write(data)
        os.chmod(os.path.join(odd, name), 0o755)
    done = ctx.run([os.path.join(odd, "strand"), "check", program(ctx), "stuck", "0"],
                   env=folder.environment())
    expect(done.status == 66 and "2 stuck" in done.err, done)
    folder.check_empty()


class Terminal:
    """A shell's part: a session with a terminal, strand as its foreground job."""

    def __init__(self, ctx, folder, *args):
        try:
            self.master, slave = pty.openpty()
        except OSError as why:
            raise Skip("no pseudo-terminals here: %s" % why)
        self.text = b""
        read_end, write_end = os.pipe()
        self.shell = os.fork()
        if not self.shell:
            os.close(read_end)
            self._be_shell(slave, write_end, [ctx.strand, *args], folder.environment())
        os.close(slave)
        os.close(write_end)
        self.events = os.fdopen(read_end, encoding="ascii")

    def _be_shell(self, slave, events, argv, env):
        """Start the job in the foreground; tell when it stops, and continue it."""
        try:
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
            signal.signal(signal.SIGTTOU, signal.SIG_IGN)
            job = os.fork()
            if not job:
                os.setpgid(0, 0)
                os.tcsetpgrp(slave, os.getpid())
                signal.signal(signal.SIGTTOU, signal.SIG_DFL)
                for fd in range(3):
                    os.dup2(slave, fd)
                os.execve(argv[0], argv, env)
            while True:
                _, status = os.waitpid(job, os.WUNTRACED)
                if not os.WIFSTOPPED(status):
                    break
                os.write(events, b"stopped\n")
                time.sleep(0.3)
                os.tcsetpgrp(slave, job)
                os.killpg(job, signal.SIGCONT)
            os.write(events, b"ended %d\n" % os.waitstatus_to_exitcode(status))
        finally:
            os._exit(0)

    def type(self, keys):
        os.write(self.master, keys)

    def read_until(self, text, seconds=SOON_S):
        deadline = time.monotonic() + seconds
        while text not in self.text:
            ready = select.select([self.master], [], [], max(0, deadline - time.monotonic()))[0]
            part = os.read(self.master, 65536) if ready else b""
            if not part:
                raise Failure("no %r on the terminal, but %r" % (text, self.text))
            self.text += part

    def event(self):
        if not select.select([self.events], [], [], SOON_S)[0]:
            raise Failure("nothing happens; on the terminal %r" % self.text)
        return self.events.readline().strip()

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.shell, signal.SIGKILL)
        os.waitpid(self.shell, 0)
        os.close(self.master)
        self.events.close()


def check_terminal(ctx, name, keys, args, event):
    folder = Folder(ctx, "terminal-" + name)
    terminal = Terminal(ctx, folder, "run", program(ctx), *args)
    try:
        terminal.read_until(b"ready")
        time.sleep(0.3)
        terminal.type(keys)
        expect(terminal.event() == event, (event, terminal.text))
        if event == "stopped":  # and is continued
            time.sleep(0.6)
            terminal.type(b"\x03")
            expect(terminal.event() == "ended 130", terminal.text)
    finally:
        terminal.close()
    deadline = time.monotonic() + SOON_S
    while folder.files() and time.monotonic() < deadline:
        time.sleep(0.1)
    folder.check_empty()


def check_self_stop(ctx):
    """A program that stops itself gives its shell the terminal back."""
    folder = Folder(ctx, "self-stop")
    terminal = Terminal(ctx, folder, "run", "sh", "-c", "echo ready; kill -STOP $$; echo again")
    try:
        expect(terminal.event() == "stopped", terminal.text)
        expect(terminal.event() == "ended 0", terminal.text)
        terminal.read_until(b"again")
    finally:
        terminal.close()
    folder.check_empty()


def cases(ctx):
    for row in STATUSES:
        yield Case("cli/status/" + row[0], lambda row=row: check_status(ctx, row))
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        yield Case("cli/signal/" + number.name[3:].lower(),
                   lambda number=number: check_signal(ctx, number))
    for name, keys, args, event in (("interrupt", b"\x03", ["sleepers"], "ended 130"),
                                    ("quit", b"\x1c", ["sleepers"], "ended 131"),
                                    ("stop", b"\x1a", ["sleepers"], "stopped")):
        yield Case("cli/terminal/" + name, lambda name=name, keys=keys, args=args, event=event:
                   check_terminal(ctx, name, keys, args, event))
    for check in (check_text, check_json_always, check_refused, check_words, check_blind,
                  check_start, check_environment, check_caught_signal, check_passed_signal,
                  check_supervisor_killed, check_report_at_once, check_child_report,
                  check_left_running, check_exec, check_list, check_odd_path, check_self_stop):
        name = check.__name__.replace("check_", "").replace("_", "-")
        yield Case("cli/run/" + name, lambda check=check: check(ctx))
