#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Looks at every program of this folder while it hangs or works, and compares.

Each is looked at from outside, by `strand attach`, and run by `strand check` (checking.py). The first comment of a program (*.c, *.cpp, *.rs) says what must be found in it: lines `key: value`,
then `What it is:` and free text.

    expect: VERDICT OP CODE COUNT   the tasks with that verdict, operation and reason code, over all
                                    findings; all such lines together are the whole of what is found
    expect: none                    not one task is stuck, in any look
    check: deadlock                 no live task is left: `strand check` says so and ends it
    checked: VERDICT OP CODE COUNT  what `strand check` finds instead, for the shim has seen more
    check: timeout                  `strand check` ends it by --timeout
    check: ends                     it ends by itself, and what is left then is reported: `expect`
                                    counts alive and unjoined tasks, too, with - for what is null
    check: no                       it cannot be run by `strand check`
    check: handles TERM             it ends by itself when strand is told to end
    untimed: OP                     since when it waits so is not known: the C library waits itself
    look: no                        it is not looked at from outside: only the shim sees enough
    status: N | SIGNAL              how a program that ends by itself does so; 0 without this line
    moment: WORD                    when the report of such a program was made: exit or killed
    options: TEXT                   STRAND_OPTIONS while it runs
    quiet: yes                      of such a program nothing is said in words
    creator: VERDICT NAME...        parts of the names of functions on the creator stack of a finding
                                    with that verdict, innermost first
    object: NAME...                 names of objects that stuck tasks wait for, quoted if need be
    frame: TEXT                     part of a function's name in the stack of a stuck finding
    first20: WORD...                each occurs in the first 20 lines of the text report
    looks: N                        of a program with `expect: none`: how often to look in the long
                                    tests; otherwise 10 times if it is not settled, else 6 times
    load: yes                       it obeys orders (keep.h, reach.h): during the second half of the
                                    looks it allocates and frees
    lost: OP COUNT                  after the looks it is ordered to forget what keeps its waiters
                                    from being stuck: so many must be found to be unreachable then;
                                    or `said`: nothing is, for it cannot be known, and a note says
                                    so; or `no`
    kind: NAME...                   the kinds of all objects that stuck tasks wait for
    runs: N M                       how often it is run in the long tests, and in how many runs all
                                    that is expected must be found (all without M); where M is less,
                                    three times and twice in the others
    library: NAME                   a source file here that is made into a shared library beside it
    long: VARIANT...                variants that only the long tests try, a few looks each
    args: WORD | WORD | ...         one run for each, with that argument; may be repeated
    ends: quit                      at the end it is told to stop by a byte on its standard input,
                                    and must print `ok` and exit with 0
    ends: signal NAME               the same by a signal
    settled: no                     it works on and never comes to rest: look at once
    needs: root | musl-gcc | ...    skipped without it
    variants: WORD...               how it is built and run; -O0 -O2 if the line is missing

A key with @ARG, as in `status@abort: ABRT`, is for the run with that argument only (expect, checked,
status, looks, lost, kind).
Without a `check` line a program that is told to end is told so under `strand check`, too, and every
other one sleeps until strand is told to end it.

Variants: -O0, -O2; built with -O2 and more: static, static-pie, no-pie, stripped, static-stripped,
no-cfi, clang, musl, musl-static; or built with -O2 and run in a setting: pidns (in a PID namespace
of its own, looked at from outside), chroot, deleted (another file has its name), jemalloc,
tcmalloc, mimalloc (that allocator is preloaded).

A program prints `ready` when it is set up, and before it `pid N` if N is to be looked at rather
than the program itself. Exit status 77 before `ready` means that it cannot be tried here.

By hand: tests/programs/harness.py NAME [-O2] [VARIANT|check] [ARG] [--strand PATH] [--looks N]
[--text]
"""
import argparse
import collections
import contextlib
import glob
import os
import re
import shlex
import shutil
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
if __name__ == "__main__":
    sys.dont_write_bytecode = True
    sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lib"))

import checking  # noqa: E402
from looking import (  # noqa: E402
    CODES, KINDS, OPS, SETTINGS, VARIANTS, Running, build, build_library, find_tool, look, saw_half,
    show_findings, text_report)
from strandtest import Case, Context, Failure, Skip  # noqa: E402

SUFFIXES = (".c", ".cpp", ".rs")
KEYS = {"expect", "object", "frame", "first20", "looks", "args", "ends", "settled", "needs",
        "variants", "check", "look", "status", "moment", "options", "quiet", "creator",
        "checked", "untimed", "load", "lost", "kind", "runs", "library", "long"}
OF_AN_ARGUMENT = {"expect", "checked", "status", "looks", "lost", "kind"}
VERDICTS = ("stuck", "alive", "unjoined")
CHECKS = ("deadlock", "timeout", "ends", "no", "handles TERM")
KNOWN = set(VARIANTS) | set(SETTINGS)
BY_HAND = KNOWN | {"check"}
LOOKS = 10  # of a twin that works, outside the long tests
LOOKS_SETTLED = 6  # of one that sleeps, where looks differ little
LOOKS_QUICK = 3
SETTLE_S = 2  # until its threads sleep
FOUND_S = 10  # until the verdicts are complete
LOOKS_HALF = 5  # of which one must see it all: a busy machine stops a thread late, or wakes it late
LOOKS_AFTER = 3  # of a stuck program, once the verdicts are complete
FOUND_OR_NOT_S = 3  # … until it counts as a run in which they are not
LIBRARY = "lib_"  # how the names of what is no program begin


class Program:
    """A source file and what its first comment says of it."""

    def __init__(self, path):
        self.path = path
        self.name, self.suffix = os.path.splitext(os.path.basename(path))
        self.expected_by_arg = collections.defaultdict(collections.Counter)
        self.checked_by_arg = collections.defaultdict(collections.Counter)
        self.status_by_arg, self.creators, self.untimed = {}, [], None
        self.lost_by_arg, self.kinds_by_arg = {}, {}
        self.load, self.library, self.long_variants = False, None, []
        self.runs, self.runs_found = 1, 1
        self.ended_by_term = 128 + signal.SIGTERM
        self.check, self.looked_at, self.moment = None, True, "exit"
        self.options, self.quiet = None, False
        self.objects, self.frames, self.first20, self.needs = [], [], [], []
        self.args, self.variants = [], []
        self.looks_by_arg, self.ends, self.settled = {}, None, True
        seen = set()
        for key, arg, value in self._lines():
            if key not in KEYS or arg and key not in OF_AN_ARGUMENT:
                raise Failure("%s: unknown key %s" % (path, key))
            seen.add(key)
            if key in OF_AN_ARGUMENT:
                getattr(self, "_read_" + key)(value, arg)
            else:
                getattr(self, "_read_" + key)(value)
        if "expect" not in seen:
            raise Failure("%s does not say what to expect" % path)
        self.args = self.args or [None]
        self.variants = self.variants or ["-O0", "-O2"]
        self.check = self.check or ("own" if self.ends else "signal")

    def wanted(self, arg):
        """What must be found in the run with that argument."""
        return (self.expected_by_arg[None] if arg is None
                else self.expected_by_arg[None] + self.expected_by_arg[arg])

    def wanted_by_check(self, arg):
        """… by the shim, too."""
        for key in (arg, None):
            if key in self.checked_by_arg:
                return self.checked_by_arg[key]
        return self.wanted(arg)

    def lost_for(self, arg):
        """What must be found once it has forgotten; None if it cannot forget."""
        return self.lost_by_arg.get(arg, self.lost_by_arg.get(None))

    def looks_for(self, arg):
        return self.looks_by_arg.get(arg, self.looks_by_arg.get(None, LOOKS))

    def kinds_for(self, arg):
        return self.kinds_by_arg.get(arg, self.kinds_by_arg.get(None))

    def may_miss(self):
        return self.runs_found < self.runs

    def status_for(self, arg):
        return self.status_by_arg.get(arg, self.status_by_arg.get(None, 0))

    def _lines(self):
        with open(self.path, encoding="utf-8") as file:
            comment = file.read().split("*/")[0]
        if "What it is:" not in comment:
            raise Failure("%s does not say what it is" % self.path)
        for line in comment.split("What it is:")[0].splitlines():
            match = re.match(r"^ \* ([a-z0-9]+)(?:@(\w+))?: +(.*\S)$", line)
            if match:
                yield match.groups()
            elif line.strip("/* ") and "SPDX" not in line:
                raise Failure("%s: not a key and a value: %s" % (self.path, line))

    def _read_expect(self, value, arg):
        if value != "none":
            self._count(self.expected_by_arg[arg], value)

    def _read_checked(self, value, arg):
        self._count(self.checked_by_arg[arg], value)

    def _read_lost(self, value, arg):
        self.lost_by_arg[arg] = None
        if value == "said":
            self.lost_by_arg[arg] = collections.Counter()
        elif value != "no":
            op, *count = value.split()
            if op not in OPS:
                raise Failure("%s: lost: %s" % (self.path, value))
            self.lost_by_arg[arg] = collections.Counter(
                {("stuck", op, "unreachable"): int(*count or [1])})

    def _read_kind(self, value, arg):
        self.kinds_by_arg[arg] = set(value.split())
        if not self.kinds_by_arg[arg] <= set(KINDS):
            raise Failure("%s: kind: %s" % (self.path, value))

    def _read_load(self, value):
        self.load = value == "yes"

    def _read_runs(self, value):
        self.runs, self.runs_found = (value.split() * 2)[:2]
        self.runs, self.runs_found = int(self.runs), int(self.runs_found)

    def _read_library(self, value):
        self.library = value

    def _read_long(self, value):
        self.long_variants += value.split()

    def _count(self, expected, value):
        verdict, op, code, count = value.split()
        if verdict not in VERDICTS or op not in OPS + ["-"] or (
                code not in CODES + ["main-returned", "-"]):
            raise Failure("%s: expect: %s" % (self.path, value))
        expected[verdict, op, code] += int(count)

    def _read_status(self, value, arg):
        self.status_by_arg[arg] = (int(value) if value.isdigit()
                                   else 128 + getattr(signal, "SIG" + value))

    def _read_check(self, value):
        if value not in CHECKS:
            raise Failure("%s: check: %s" % (self.path, value))
        self.check = value
        if value == "handles TERM":
            self.check, self.ended_by_term = "signal", 66
        self.looked_at = self.looked_at and value != "ends"

    def _read_look(self, value):
        if value != "no":
            raise Failure("%s: look: %s" % (self.path, value))
        self.looked_at = False

    def _read_untimed(self, value):
        self.untimed = value

    def _read_moment(self, value):
        self.moment = value

    def _read_options(self, value):
        self.options = value

    def _read_quiet(self, value):
        self.quiet = value == "yes"

    def _read_creator(self, value):
        verdict, *names = value.split()
        if verdict not in VERDICTS or not names:
            raise Failure("%s: creator: %s" % (self.path, value))
        self.creators.append((verdict, names))

    def _read_object(self, value):
        self.objects += shlex.split(value)

    def _read_frame(self, value):
        self.frames.append(value)

    def _read_first20(self, value):
        self.first20 += value.split()

    def _read_looks(self, value, arg):
        self.looks_by_arg[arg] = int(value)

    def _read_args(self, value):
        self.args += [word.strip() for word in value.split("|")]

    def _read_ends(self, value):
        word, *rest = value.split()
        if word == "quit" and not rest:
            self.ends = "quit"
        elif word == "signal" and len(rest) == 1:
            self.ends = getattr(signal, "SIG" + rest[0])
        else:
            raise Failure("%s: ends: %s" % (self.path, value))

    def _read_settled(self, value):
        if value != "no":
            raise Failure("%s: settled: %s" % (self.path, value))
        self.settled = False

    def _read_needs(self, value):
        self.needs += value.split()

    def _read_variants(self, value):
        self.variants += value.split()
        unknown = set(self.variants) - KNOWN
        if unknown:
            raise Failure("%s: no such variant: %s" % (self.path, " ".join(unknown)))


def check_needs(program, variant):
    for need in program.needs:
        if need == "root":
            if os.geteuid() != 0:
                raise Skip("needs root")
        else:
            find_tool(need)
    if variant == "pidns":
        find_tool("unshare")


def found_in(report):
    found = collections.Counter()
    for finding in report["findings"]:
        found[finding["verdict"], finding["wait"]["op"], finding["reason"]["code"]] += (
            finding["count"])
    return found


def beyond(found, expected):
    """What was found and not expected. Of those who are all asleep in the end, some may be seen out of
    everybody's reach while another one is about to fall asleep again."""
    asleep = {op for _, op, reason in expected if reason == "all-asleep"}
    return [key for key in found - expected
            if not (key[0] == "stuck" and key[2] == "unreachable" and key[1] in asleep)]


def show(counter):
    return "".join("    %s: %d\n" % (" ".join(map(str, key)), counter[key])
                   for key in sorted(counter)) or "    nothing\n"


def stuck_objects(report):
    waits = [finding["wait"] for finding in report["findings"] if finding["verdict"] == "stuck"]
    waits += [task["wait"] for task in report["tasks"]
              if task["verdict"] == "stuck" and task["wait"]]
    return [thing for wait in waits for thing in wait["objects"] + [wait["object"]] if thing]


def stuck_names(report):
    """Names of the objects that stuck tasks wait for."""
    return {thing["name"] for thing in stuck_objects(report)}


def stuck_kinds(report):
    return {thing["kind"] for thing in stuck_objects(report)}


def stuck_functions(report):
    stacks = [finding["stack"] for finding in report["findings"] if finding["verdict"] == "stuck"]
    return [frame["function"] or "" for stack in stacks for frame in stack]


class Look(Case):
    """One program in one variant with one argument."""

    def __init__(self, ctx, program, variant, arg, looks):
        name = "programs/%s/%s" % (program.name, variant)
        super().__init__(name + ("/" + arg if arg else ""), timeout=120 + looks)
        self.ctx, self.program, self.variant, self.arg = ctx, program, variant, arg
        self.looks = looks
        self.expected = program.wanted(arg)
        self.runs, self.runs_found = 1, 1
        self.amount = looks if not self.expected else None
        self.waits = program.settled

    def run_often(self, long):
        """Run it as often as its `runs` line says."""
        if long:
            self.runs, self.runs_found = self.program.runs, self.program.runs_found
        elif self.program.may_miss():
            self.runs, self.runs_found = 3, 2
        self.timeout += 15 * self.runs
        self.amount = self.runs if self.program.runs > 1 else self.amount
        return self

    def run(self):
        check_needs(self.program, self.variant)
        binary = build(self.ctx, self.program.path, self.variant)
        if self.program.library:
            build_library(self.ctx, os.path.join(os.path.dirname(self.program.path),
                                                 self.program.library + ".c"))
        missed = []
        for _ in range(self.runs):
            try:
                self._run_once(binary)
            except Failure as failure:
                missed.append(str(failure))
                if len(missed) > self.runs - self.runs_found:
                    raise Failure("not found in %d of %d runs\n%s" % (
                        len(missed), self.runs, "\n".join(missed)))
        print("found in %d of %d runs\n%s" % (self.runs - len(missed), self.runs,
                                              "\n".join(missed)))

    def _run_once(self, binary):
        running = Running(self.ctx, [binary] + ([self.arg] if self.arg else []),
                          self.variant)
        if self.program.settled:
            running.settle(SETTLE_S)
        lost = self.program.lost_for(self.arg)
        try:
            if self.expected:
                self._look_stuck(running.pid)
            else:
                self._look_live(running)
            if lost is not None:
                running.order("x")
                self._wait_for(running.pid, lost, FOUND_S)
            running.check_unharmed()
        except Failure as failure:
            raise Failure("%s\nprocess %d\n%s" % (failure, running.pid, self._text(running.pid)))
        if self.program.ends and lost is None:
            running.end(self.program.ends)
        else:
            running.kill()

    def _text(self, pid):
        with contextlib.suppress(Failure):
            return text_report(self.ctx, pid)
        return ""

    def _look_stuck(self, pid):
        """Look until all that is expected is found; then it must stay so."""
        self._wait_for(pid, self.expected, FOUND_OR_NOT_S if self.runs_found < self.runs
                       else FOUND_S)
        if self.runs > 1:
            return
        for _ in range(1 if self.ctx.quick else LOOKS_AFTER):
            for _ in range(LOOKS_HALF):
                report = look(self.ctx, pid)
                found = found_in(report)
                if found == self.expected or beyond(found, self.expected):
                    break
            if found != self.expected:
                raise Failure("what was complete is no longer:\n%s%s" % (show(found),
                                                                         show_rest(report)))

    def _wait_for(self, pid, expected, seconds):
        deadline = time.monotonic() + seconds
        while True:
            missing = self._missing(look(self.ctx, pid), expected)
            if not missing:
                return
            if time.monotonic() > deadline:
                raise Failure(missing)
            time.sleep(0.2)

    def _missing(self, report, expected):
        """What differs from what is expected, in words; None if nothing does."""
        found = found_in(report)
        if not expected and not report["notes"]:
            return "it does not say that it cannot know"
        if found != expected:
            return "expected:\n%sfound:\n%s" % (show(expected), show(found))
        kinds = self.program.kinds_for(self.arg)
        if kinds and stuck_kinds(report) != kinds:
            return "objects of kind %s, not %s" % (sorted(stuck_kinds(report)), sorted(kinds))
        if "stripped" in self.variant:
            return None
        names, functions = stuck_names(report), stuck_functions(report)
        if not names.issuperset(self.program.objects):
            return "objects %s, not %s" % (sorted(map(str, names)), self.program.objects)
        for text in self.program.frames:
            if not any(text in function for function in functions):
                return "no function like %s, but %s" % (text, functions)
        return None

    def _look_live(self, running):
        pid = running.pid
        for number in range(self.looks):
            if self.program.load and number == (self.looks + 1) // 2:
                running.order("l")
            report = look(self.ctx, pid)
            if report["summary"]["stuck"]:
                raise Failure("look %d of %d found\n%s%s" % (
                    number + 1, self.looks, show(found_in(report)),
                    show_findings(report)))
        if self.program.first20 and not self.ctx.quick:
            head = "\n".join(text_report(self.ctx, pid).splitlines()[:20])
            missing = [word for word in self.program.first20 if word not in head]
            if missing:
                raise Failure("not in the first 20 lines: %s" % " ".join(missing))


def show_rest(report):
    """What a look says of tasks that it did not find stuck, and its notes."""
    return "".join("    %s %s, %s\n" % (task["id"], task["state"], (task["wait"] or {}).get("op"))
                   for task in report["tasks"][:20]) + "\n".join(report["notes"])


def programs(folder=HERE):
    for path in sorted(glob.glob(os.path.join(folder, "*"))):
        if path.endswith(SUFFIXES) and not os.path.basename(path).startswith(LIBRARY):
            yield path


def failing(name, text):
    def fail():
        raise Failure(text)
    return Case("programs/" + name, fail)


def looks_at(ctx, program, variant, arg, long):
    looks = program.looks_for(arg)
    if ctx.quick or program.load and not long:
        return LOOKS_QUICK
    if long and variant not in program.long_variants:
        return ctx.times(looks)
    return min(looks, LOOKS_SETTLED if program.settled else LOOKS)


def look_case(ctx, program, variant, arg, long):
    looks = looks_at(ctx, program, variant, arg, long)
    return Look(ctx, program, variant, arg, looks).run_often(long)


def cases(ctx, long):
    for path in programs(ctx.path("tests", "programs")):
        try:
            program = Program(path)
        except Failure as failure:
            yield failing(os.path.basename(path), str(failure))
            continue
        if program.looked_at:
            for variant in program.variants + (program.long_variants if long else []):
                for arg in program.args:
                    yield look_case(ctx, program, variant, arg, long)
        yield from checking.cases(ctx, program, long)


def arguments():
    parser = argparse.ArgumentParser(description="Look at one program by hand.")
    parser.add_argument("name", help="a program of this folder, without the suffix")
    parser.add_argument("words", nargs="*", help="variants and arguments (default: all)")
    parser.add_argument("-O", dest="level", help="only this level of optimisation")
    parser.add_argument("--strand", default=None, help="the strand to look with")
    parser.add_argument("--build", default="build", help="the build tree (default: build)")
    parser.add_argument("--looks", type=int, help="how often to look at a live program")
    parser.add_argument("--text", action="store_true", help="show the text report as well")
    return parser.parse_args()


def chosen(ctx, args):
    words = args.words + (["-O" + args.level] if args.level else [])
    for case in cases(ctx, False):
        if getattr(case, "program", None) is None or case.program.name != args.name:
            continue
        for_variant = [word for word in words if word in BY_HAND]
        for_arg = [word for word in words if word not in BY_HAND]
        if (not for_variant or case.variant in for_variant) and (
                not for_arg or case.arg in for_arg):
            yield case


def main():
    args = arguments()
    build_tree = os.path.dirname(args.strand) if args.strand else args.build
    ctx = Context(build_tree, os.path.dirname(os.path.dirname(HERE)))
    ctx.open()
    ctx.strand = os.path.abspath(args.strand) if args.strand else ctx.strand
    failed, found = 0, 0
    for case in chosen(ctx, args):
        found += 1
        if isinstance(case, Look):
            case.looks = args.looks or case.looks
        begin = time.monotonic()
        try:
            if args.text and isinstance(case, Look):
                show_text(ctx, case)
            case.run()
            print("ok    %s (%.1f s)" % (case.name, time.monotonic() - begin))
        except Skip as skip:
            print("skip  %s: %s" % (case.name, skip))
        except Failure as failure:
            failed += 1
            print("FAIL  %s\n%s" % (case.name, failure))
    shutil.rmtree(ctx.tmp, ignore_errors=True)
    return 1 if failed or not found else 0


def show_text(ctx, case):
    binary = build(ctx, case.program.path, case.variant)
    running = Running(ctx, [binary] + ([case.arg] if case.arg else []), case.variant)
    running.settle(SETTLE_S)
    print(text_report(ctx, running.pid))
    running.child.kill()
    running.child.wait()


if __name__ == "__main__":
    sys.exit(main())
