# SPDX-License-Identifier: MIT
"""Programs run by strand: `strand check` and `strand run` of them, and the shim alone before them.

Check runs a program of this folder by `strand check` until it comes to its end (all of it
deadlocked, told to end, by itself), and compares status, moment, findings, creators and times.
Ends runs a program that ends by itself bare, by `run`, by `check` and with the shim alone: output
and status must be the same each time, and what is left at its end must be reported.

Several variants and arguments are under way at once: they mostly wait.
"""
import collections
import contextlib
import json
import os
import re
import select
import signal
import time

from looking import (
    Running, build, build_library, check_report, find_tool, read_proc, require, threads)
from strandtest import Case, Failure, Skip, kill_group

AT_ONCE = 8
AT_ONCE_LIVE = 16
TOGETHER_S = 60  # until a deadlock is noticed, a program told to end has ended
TIMEOUT_S = 3  # of programs ended by --timeout
SETTLE_S = 10  # until the threads of a program with findings sleep
SETTLE_LIVE_S = 1.5  # … of one that works
WORK_S = 0.5  # for those that never sleep
# What the shim can be in front of; the others have no libc that loads it.
SHIMMED = ("-O0", "-O2", "no-pie", "stripped", "no-cfi", "clang")
NAMELESS = ("stripped", "no-cfi")
HALF = 4  # looks of a machine so busy that a thread cannot be stopped, before one counts
STOPPED_LONG = "the stop reached its bound"
HALF_SAID = "could not be stopped|not all of it could be seen"
EVERYTHING = "--fail-on=stuck,alive,unjoined"


def images(report):
    """The reports of all images in one file."""
    return [report] + report["children"]


def key_of(finding):
    wait, reason = finding["wait"], finding["reason"]
    return (finding["verdict"], wait["op"] if wait else "-",
            (reason["code"] if reason else None) or "-")


def found_in_images(report):
    found = collections.Counter()
    for image in images(report):
        for finding in image["findings"]:
            found[key_of(finding)] += finding["count"]
    return found


def show(counter):
    return "".join("    %s: %d\n" % (" ".join(map(str, key)), counter[key])
                   for key in sorted(counter)) or "    nothing\n"


def show_report(path):
    """What there is to say of a report that is not as it should be."""
    with contextlib.suppress(Failure):
        report = read_report(path)
        lines = []
        for image in images(report):
            process = image["process"]
            lines.append("process %s, %s, status %s, signal %s: %s" % (
                process["pid"], process["moment"], process["status"], process["signal"],
                json.dumps(image["summary"])))
            lines += ["note: " + note for note in image["notes"]]
            lines += ["%s (%s) %s, %s, %s" % (task["id"], task["tid"], task["state"],
                                              task["verdict"], describe_wait(task))
                      for task in image["tasks"][:20]]
        return "\n".join(lines) + "\n" + json.dumps(report["findings"], indent=1)[:6000]
    return "no report"


def describe_wait(task):
    wait = task["wait"] or {}
    path = (wait.get("object") or {}).get("reached_by")
    return "%s%s" % (wait.get("op"), ", reached by %s" % json.dumps(path) if path else "")


def read_report(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError) as error:
        raise Failure("no report: %s" % error)


def saw_it_move(image):
    """A thread that sleeps was seen running: it had not been stopped, or not come back from a look."""
    return image["seen"] == "partial" or any(task["state"] == "running" and task["verdict"]
                                             for task in image["tasks"])


def saw_half(report, wanted):
    """Something was missed, and the report says so; what is stuck too much is never excused."""
    too_much = any(key[0] == "stuck" for key in found_in_images(report) - wanted)
    return not too_much and any(saw_it_move(image) or any(STOPPED_LONG in note for note in
                                                          image["notes"])
                                for image in images(report))


def kept_by_sleeper(report):
    """Something was kept by a task that waits itself: it was not asleep yet when the look began."""
    for image in images(report):
        blocked = {task["id"] for task in image["tasks"] if task["state"] == "blocked"}
        for task in image["tasks"]:
            path = ((task["wait"] or {}).get("object") or {}).get("reached_by")
            if path and path[0]["task"] in blocked:
                return True
    return False


def functions_of(stack):
    return [frame["function"] or "" for frame in stack or []]


def check_origin(finding, source, nameless):
    """A finding's creator is known, its stack whole, with lines of the program's own file."""
    creator = finding["created_by"]
    require(creator and creator["task"] and creator["stack"], "no creator", finding)
    if nameless:
        return
    own = [frame for frame in creator["stack"]
           if frame["file"] and os.path.basename(frame["file"]) in source]
    require(own and all(frame["line"] and frame["function"] for frame in own),
            "a creator stack without a line of the program", finding)
    if creator["task"] == "T1" and not any("main" in name
                                           for name in functions_of(creator["stack"])):
        raise Failure("the creator stack does not reach main: %s" % functions_of(creator["stack"]))


def check_origins(report, program, variant, elapsed_ns, verdicts):
    """What the shim adds to each finding: who created its tasks, and since when they wait."""
    source = (os.path.basename(program.path), "prog.h")
    for image in images(report):
        for finding in image["findings"]:
            if finding["verdict"] in verdicts and finding["tasks"] != ["T1"]:
                check_origin(finding, source, variant in NAMELESS)
            if finding["verdict"] == "stuck":
                check_since(finding["wait"], program, elapsed_ns)


def check_since(wait, program, elapsed_ns):
    since = wait["since_ns"]
    if since is None:
        require(wait["op"] == program.untimed, "since when?", wait)
    else:
        require(0 <= since <= elapsed_ns, "blocked for longer than there was time", wait)


def check_creators(report, creators):
    """Each of them: a verdict and functions on the creator stack of a finding, innermost first."""
    for verdict, names in creators:
        stacks = [functions_of((finding["created_by"] or {}).get("stack"))
                  for image in images(report) for finding in image["findings"]
                  if finding["verdict"] == verdict]
        if not any(in_this_order(names, stack) for stack in stacks):
            raise Failure("no %s task was created by %s, but by %s" % (verdict, names, stacks))


def in_this_order(names, functions):
    left = iter(functions)
    return all(any(name in function for function in left) for name in names)


class Checked(Running):
    """A program under `strand check`; self.pid is the program, self.child is strand."""

    def __init__(self, ctx, program, variant, arg, options=()):
        self.program, self.variant, self.arg = program, variant, arg
        binary = build(ctx, program.path, variant)
        self.file = os.path.join(ctx.tmp, "%s%s.%s.%d.json" % (program.name, variant, arg,
                                                               os.getpid()))
        self.begin = time.monotonic()
        super().__init__(ctx, [ctx.strand, "check", "--format=json:" + self.file, *options, "--",
                               binary] + ([arg] if arg else []))
        if self.pid == self.child.pid:
            self.pid = first_child(self.pid)

    def finish(self):
        """Wait until strand has ended; its status as a shell gives it."""
        deadline = time.monotonic() + TOGETHER_S
        while self.child.poll() is None and time.monotonic() < deadline:
            self.read(0.02)
        self.elapsed_ns = int((time.monotonic() - self.begin) * 1e9)
        if self.child.returncode is None:
            kill_group(self.child)
            raise Failure("strand check does not end")
        while select.select([self.child.stdout], [], [], 0)[0] and self.read(0):
            pass
        return self.child.returncode

    def report(self, moment):
        """Children may have ended by themselves, the program may when it is told to."""
        report = read_report(self.file)
        for image in images(report):
            if image["seen"] != "none":
                own = image["process"]["moment"]
                check_report(image, None, own if own in ("exit", "killed") and (
                    moment == "signal" or image is not report) else moment)
        return report


def first_child(pid):
    for tid in threads(pid):
        found = read_proc(pid, tid, "children").split()
        if found:
            return int(found[0])
    raise Failure("strand has no child")


class Check(Case):
    """One program by `strand check`, in some variants and with some arguments at once."""

    def __init__(self, ctx, program, runs):
        super().__init__("programs/%s/check" % program.name, timeout=120 + 20 * len(runs))
        self.ctx, self.program, self.runs = ctx, program, runs
        self.variant, self.arg = "check", None
        self.amount = runs
        self.waits = program.settled

    def run(self):
        for need in self.program.needs:
            if need != "root":
                find_tool(need)
        if self.program.library:
            build_library(self.ctx, os.path.join(os.path.dirname(self.program.path),
                                                 self.program.library + ".c"))
        skipped = []
        some = AT_ONCE if self.program.expected_by_arg else AT_ONCE_LIVE
        for start in range(0, len(self.runs), some):
            skipped += self._run_together(self.runs[start:start + some])
        if len(skipped) == len(self.runs):
            raise Skip(skipped[0])

    def _run_together(self, runs):
        way = self.program.check
        options = ["--timeout=%d" % TIMEOUT_S] if way == "timeout" else []
        under_way, skipped = [], []
        for variant, arg in runs:
            try:
                under_way.append(Checked(self.ctx, self.program, variant, arg, options))
            except Skip as skip:
                skipped.append(str(skip))
            except Failure as failure:
                raise Failure("%s %s: %s" % (variant, arg or "", failure))
        if way in ("signal", "own"):
            self._let_settle(under_way)
        for checked in under_way:
            self._end(checked, options)
        return skipped

    def _end(self, checked, options):
        """Where the machine was too busy to see it all the program is run again, alone."""
        for left in reversed(range(HALF)):
            try:
                return getattr(self, "_end_by_" + self.program.check)(checked)
            except Failure as failure:
                if not left or not self._missed(checked):
                    raise Failure("%s %s: %s\n%s" % (checked.variant, checked.arg or "", failure,
                                                     show_report(checked.file)))
            checked = Checked(self.ctx, self.program, checked.variant, checked.arg, options)
            if self.program.check in ("signal", "own"):
                self._let_settle([checked])

    def _missed(self, checked):
        """Also in one of the runs in which a program may hide what there is to find."""
        wanted = self.program.wanted_by_check(checked.arg)
        with contextlib.suppress(Failure):
            report = read_report(checked.file)
            return saw_half(report, wanted) or (
                not found_in_images(report) - wanted and
                (self.program.may_miss() or kept_by_sleeper(report)))
        return False

    def _let_settle(self, under_way):
        time.sleep(0 if self.program.settled else WORK_S)
        for checked in under_way:
            if self.program.settled:
                checked.settle(SETTLE_S if self.program.wanted_by_check(checked.arg)
                               else SETTLE_LIVE_S)

    def _end_by_deadlock(self, checked):
        self._compare(checked, checked.finish(), 66, "deadlock")

    def _end_by_timeout(self, checked):
        status = 66 if self.program.wanted_by_check(checked.arg) else 124
        self._compare(checked, checked.finish(), status, "timeout")

    def _end_by_signal(self, checked):
        """strand is told to end: one look, then the program is."""
        checked.child.send_signal(signal.SIGTERM)
        self._compare(checked, checked.finish(), self.program.ended_by_term, "signal")

    def _end_by_own(self, checked):
        """The program is told to end, as without strand."""
        ends = self.program.ends
        if ends == "quit":
            checked.child.stdin.write(b"q")
        else:
            os.kill(checked.pid, ends)
        checked.child.stdin.close()
        status = checked.finish()
        if "ok" not in checked.out.decode().splitlines():
            raise Failure("the program did not say that all is well: status %d, %r" % (
                status, checked.out))
        self._compare(checked, status, 0, "exit")

    def _compare(self, checked, status, expected_status, moment):
        if status != expected_status:
            raise Failure("strand check ends with status %d, not %d" % (status, expected_status))
        report = checked.report(moment)
        found = collections.Counter({key: count for key, count in found_in_images(report).items()
                                     if key[0] == "stuck"})
        wanted = self.program.wanted_by_check(checked.arg)
        if found != wanted:
            raise Failure("expected:\n%sfound:\n%s" % (show(wanted), show(found)))
        check_origins(report, self.program, checked.variant, checked.elapsed_ns, ("stuck",))
        check_creators(report, self.program.creators)


# Programs that end by themselves

def run_bare(ctx, argv, **kwargs):
    return ctx.run(argv, timeout=60, **kwargs)


def as_shell(status):
    return 128 - status if status < 0 else status


class Ends(Case):
    """A program that ends by itself, run bare and in all ways of strand."""

    def __init__(self, ctx, program, variant, arg):
        name = "programs/%s/%s" % (program.name, variant)
        super().__init__(name + ("/" + arg if arg else ""), timeout=240, waits=True)
        self.ctx, self.program, self.variant, self.arg = ctx, program, variant, arg

    def run(self):
        binary = build(self.ctx, self.program.path, self.variant)
        argv = [binary] + ([self.arg] if self.arg else [])
        self.env = dict(os.environ)
        if self.program.options:
            self.env["STRAND_OPTIONS"] = self.program.options
        bare = run_bare(self.ctx, argv, env=self.env)
        expected = self.program.status_for(self.arg)
        if as_shell(bare.status) != expected:
            raise Failure("the program itself ends with another status than %d\n%s" % (expected,
                                                                                     bare))
        for left in reversed(range(HALF)):
            if self._by_check(argv, bare, expected, left > 0):
                break
        self._check_words(bare, lambda: self._by_run(argv, bare))
        self._check_words(bare, lambda: self._by_shim(argv, bare))

    def _by_check(self, argv, bare, expected, again):
        """False if the machine was too busy to see it all, and it may be run again."""
        wanted = self.program.wanted(self.arg)
        file = os.path.join(self.ctx.tmp, "end.%d.json" % os.getpid())
        begin = time.monotonic()
        done = run_bare(self.ctx, [self.ctx.strand, "check", EVERYTHING, "--format=json:" + file,
                                   "--", *argv], env=self.env)
        elapsed_ns = int((time.monotonic() - begin) * 1e9)
        same_output(bare, done)
        same_errors(bare, done)
        report = read_report(file)
        if again and found_in_images(report) != wanted and saw_half(report, wanted):
            return False
        try:
            if done.status != (expected or (66 if wanted else 0)):
                raise Failure("another status\n%s" % done)
            self._compare(report, wanted, elapsed_ns, expected)
        except Failure as failure:
            raise Failure("%s\n%s" % (failure, show_report(file)))
        return True

    def _compare(self, report, wanted, elapsed_ns, expected):
        moment = self.program.moment
        for image in images(report):
            if image["seen"] != "none":
                check_report(image, None, moment)
        found = found_in_images(report)
        if moment == "killed":
            require(report["notes"], "a report of the dead that does not say what it lacks", report)
            require(report["summary"]["tasks"] > 1, "no tasks of the dead", report["summary"])
            found = collections.Counter({key: number for key, number in found.items()
                                         if key[0] == "stuck"})
        if found != wanted:
            raise Failure("expected:\n%sfound:\n%s" % (show(wanted), show(found)))
        check_end(report["process"], expected)
        check_origins(report, self.program, self.variant, elapsed_ns,
                      ("stuck", "alive", "unjoined"))
        check_creators(report, self.program.creators)

    def _by_run(self, argv, bare):
        done = run_bare(self.ctx, [self.ctx.strand, "run", "--", *argv], env=self.env)
        same_output(bare, done)
        if done.status != as_shell(bare.status):
            raise Failure("strand run ends with another status\n%s" % done)
        return done

    def _by_shim(self, argv, bare):
        shim = os.path.join(self.ctx.build, "libstrand.so")
        done = run_bare(self.ctx, argv, env=dict(self.env, LD_PRELOAD=shim))
        same_output(bare, done)
        if done.status != bare.status:
            raise Failure("another status with the shim alone\n%s" % done)
        return done if self.program.moment == "exit" else None

    def _check_words(self, bare, run):
        """The report in words tells how many of each verdict there are, or nothing at all."""
        for _ in range(HALF):
            done = run()
            if done is None:
                return
            said = done.err[len(bare.err):] if done.err.startswith(bare.err) else done.err
            if not re.search(HALF_SAID, said, re.IGNORECASE):
                break
        if self.program.quiet and said:
            raise Failure("something is said\n%s" % done)
        for verdict in ("stuck", "alive", "unjoined"):
            count = sum(number for key, number in self.program.wanted(self.arg).items()
                        if key[0] == verdict)
            if count and not re.search(r"%d\D{0,40}%s|%s\D{0,40}%d" % (count, verdict, verdict,
                                                                   count), said):
                raise Failure("the report does not say «%d %s»\n%s" % (count, verdict, done))


def check_end(process, expected):
    """How the program ended, in the report: a status or a signal, both null if it is not known."""
    if process["signal"] is not None:
        number = process["signal"]
        number = number if isinstance(number, int) else getattr(signal, number)
        require(128 + number == expected, "another signal", process)
    else:
        require(process["status"] == expected, "another status", process)


def same_output(bare, done):
    if done.out != bare.out:
        raise Failure("another output\n%s\n--- not\n%s" % (done, bare.out))


def same_errors(bare, done):
    if done.err != bare.err:
        raise Failure("something else on standard error\n%s\n--- not\n%s" % (done, bare.err))


def runs_of(program, long, quick):
    """Variants and arguments by `strand check`; outside the long tests one variant of twins."""
    variants = [variant for variant in program.variants + (program.long_variants if long else [])
                if variant in SHIMMED]
    if not long:
        variants = [variant for variant in variants if variant in ("-O0", "-O2")]
    if quick or not long and not any(program.wanted(arg) for arg in program.args):
        variants = variants[-1:]
    return [(variant, arg) for variant in variants for arg in program.args]


def cases(ctx, program, long):
    """How this program is run by strand, if at all."""
    if program.check == "ends":
        for variant in program.variants:
            for arg in program.args:
                yield Ends(ctx, program, variant, arg)
    elif program.check != "no":
        runs = runs_of(program, long, ctx.quick)
        if runs:
            yield Check(ctx, program, runs)
