#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Looks at every program of this folder while it hangs or works, and compares.

The first comment of a program (*.c, *.cpp, *.rs) says what must be found in it: lines `key: value`,
then `What it is:` and free text.

    expect: VERDICT OP CODE COUNT   the tasks with that verdict, operation and reason code, over all
                                    findings; all such lines together are the whole of what is found
    expect: none                    not one task is stuck, in any look
    object: NAME...                 names of objects that stuck tasks wait for ("quoted" if with a blank)
    frame: TEXT                     part of a function's name in the stack of a stuck finding
    first20: WORD...                each occurs in the first 20 lines of the text report
    looks: N                        of a program with `expect: none`: how often to look in the long
                                    tests (20 times otherwise)
    args: WORD | WORD | ...         one run for each, with that argument; may be repeated
    ends: quit                      at the end it is told to stop by a byte on its standard input, and
                                    must print `ok` and exit with 0
    ends: signal NAME               the same by a signal
    settled: no                     it works on and never comes to rest: look at once
    needs: root | musl-gcc | ...    skipped without it
    variants: WORD...               how it is built and run; -O0 -O2 if the line is missing

Variants: -O0, -O2; and, all with -O2: pidns (in a PID namespace of its own, looked at from
outside), static, stripped, static-stripped, musl, musl-static.

A program prints `ready` when it is set up, and before it `pid N` if N is to be looked at rather
than the program itself. Exit status 77 before `ready` means that it cannot be tried here.

By hand: tests/programs/harness.py NAME [-O2] [VARIANT] [ARG] [--strand PATH] [--looks N] [--text]
"""
import argparse
import collections
import contextlib
import glob
import json
import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
if __name__ == "__main__":
    sys.dont_write_bytecode = True
    sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lib"))

from strandtest import Case, Context, Failure, Skip  # noqa: E402

SUFFIXES = (".c", ".cpp", ".rs")
KEYS = {"expect", "object", "frame", "first20", "looks", "args", "ends", "settled", "needs",
        "variants"}
VARIANTS = {  # name: flags of gcc and g++, flags of rustc, compiler if not the usual one
    "-O0": (["-O0"], ["-Copt-level=0"], None),
    "-O2": (["-O2"], ["-Copt-level=2"], None),
    "pidns": (["-O2"], ["-Copt-level=2"], None),
    "static": (["-O2", "-static"], None, None),
    "stripped": (["-O2", "-s"], ["-Copt-level=2", "-Cstrip=symbols"], None),
    "static-stripped": (["-O2", "-static", "-s"], None, None),
    "musl": (["-O2"], None, "musl-gcc"),
    "musl-static": (["-O2", "-static"], None, "musl-gcc"),
}
C_FLAGS = ["-g", "-Wall", "-Wextra", "-Werror", "-pthread"]

LOOKS = 20  # of a twin, outside the long tests
LOOKS_QUICK = 3
READY_S = 30  # until a program says ready
SETTLE_S = 2  # until its threads sleep
FOUND_S = 10  # until the verdicts are complete
LOOK_S = 30  # for one look
END_S = 30  # until a program that was told to stop has ended
LOOKS_AFTER = 3  # of a stuck program, once the verdicts are complete


class Program:
    """A source file and what its first comment says of it."""

    def __init__(self, path):
        self.path = path
        self.name, self.suffix = os.path.splitext(os.path.basename(path))
        self.expected = collections.Counter()
        self.objects, self.frames, self.first20, self.needs = [], [], [], []
        self.args, self.variants = [], []
        self.looks, self.ends, self.settled = LOOKS, None, True
        seen = set()
        for key, value in self._lines():
            if key not in KEYS:
                raise Failure("%s: unknown key %s" % (path, key))
            seen.add(key)
            getattr(self, "_read_" + key)(value)
        if "expect" not in seen:
            raise Failure("%s does not say what to expect" % path)
        self.args = self.args or [None]
        self.variants = self.variants or ["-O0", "-O2"]

    def _lines(self):
        with open(self.path, encoding="utf-8") as file:
            comment = file.read().split("*/")[0]
        if "What it is:" not in comment:
            raise Failure("%s does not say what it is" % self.path)
        for line in comment.split("What it is:")[0].splitlines():
            match = re.match(r"^ \* ([a-z0-9]+): +(.*\S)$", line)
            if match:
                yield match.groups()
            elif line.strip("/* ") and "SPDX" not in line:
                raise Failure("%s: not a key and a value: %s" % (self.path, line))

    def _read_expect(self, value):
        if value == "none":
            return
        verdict, op, code, count = value.split()
        if verdict != "stuck" or op not in OPS or code not in CODES:
            raise Failure("%s: expect: %s" % (self.path, value))
        self.expected[verdict, op, code] += int(count)

    def _read_object(self, value):
        self.objects += shlex.split(value)

    def _read_frame(self, value):
        self.frames.append(value)

    def _read_first20(self, value):
        self.first20 += value.split()

    def _read_looks(self, value):
        self.looks = int(value)

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
        unknown = set(self.variants) - set(VARIANTS)
        if unknown:
            raise Failure("%s: no such variant: %s" % (self.path, " ".join(unknown)))


def find_tool(name):
    path = shutil.which(name) or shutil.which(os.path.expanduser("~/.cargo/bin/" + name))
    if path is None:
        raise Skip("no " + name)
    return path


def compile_command(program, variant, binary):
    c_flags, rust_flags, compiler = VARIANTS[variant]
    if program.suffix == ".rs":
        if rust_flags is None:
            raise Skip("there is no variant %s of Rust programs" % variant)
        return [find_tool("rustc"), "--edition=2021", "-g", "-Dwarnings"] + rust_flags + [
            "-o", binary, program.path]
    if program.suffix == ".cpp":
        tool, standard = "g++", "-std=gnu++20"
    else:
        tool, standard = compiler or "gcc", "-std=gnu11"
    return [find_tool(tool), standard] + C_FLAGS + c_flags + ["-o", binary, program.path]


def newest_source(program):
    headers = glob.glob(os.path.join(os.path.dirname(program.path), "*.h"))
    return max(os.stat(path).st_mtime for path in [program.path, __file__] + headers)


def build(ctx, program, variant):
    """The binary of that variant, made if it is missing or older than a source."""
    kind = "-O2" if variant == "pidns" else variant
    folder = os.path.join(ctx.cache, "programs")
    os.makedirs(folder, exist_ok=True)
    binary = os.path.join(folder, program.name + kind)
    with ctx.lock("programs." + program.name + kind):
        with contextlib.suppress(OSError):
            if os.stat(binary).st_mtime > newest_source(program):
                return binary
        fresh = os.path.join(folder, "new-%d" % os.getpid())
        done = ctx.run(compile_command(program, kind, fresh), timeout=120)
        if done.status:
            raise Failure("does not compile\n%s" % done)
        os.rename(fresh, binary)
    return binary


def check_needs(program, variant):
    for need in program.needs:
        if need == "root":
            if os.geteuid() != 0:
                raise Skip("needs root")
        else:
            find_tool(need)
    if variant == "pidns":
        find_tool("unshare")


def in_namespace(argv):
    unshare = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if os.geteuid() != 0:
        unshare += ["--user", "--map-root-user"]
    return unshare + argv


class Running:
    """A program under way. pid is the process to look at."""

    def __init__(self, ctx, argv, namespace=False):
        self.child = ctx.spawn(in_namespace(argv) if namespace else argv, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)
        os.set_blocking(self.child.stdout.fileno(), False)
        self.out = b""
        self.pid = self.child.pid
        self._wait_ready(namespace)
        if namespace:
            self.pid = only_child(self.child.pid)
        match = re.search(rb"^pid (\d+)$", self.out, re.MULTILINE)
        if match:
            self.pid = int(match.group(1))

    def _read(self, timeout):
        """Take what it printed; False at the end of its output."""
        if not select.select([self.child.stdout], [], [], timeout)[0]:
            return True
        data = self.child.stdout.read()
        self.out += data or b""
        return data != b""

    def _wait_ready(self, namespace):
        deadline = time.monotonic() + READY_S
        while not re.search(rb"^ready$", self.out, re.MULTILINE):
            if not self._read(deadline - time.monotonic()):
                status = self.child.wait()
                if status == 77:
                    raise Skip("the kernel does not offer here what it needs")
                if namespace and status == 1 and not self.out:
                    raise Skip("no PID namespace may be made here")
                raise Failure("ended with status %d before it was ready: %r" % (status, self.out))
            if time.monotonic() > deadline:
                raise Failure("not ready after %d s: %r" % (READY_S, self.out))

    def settle(self, timeout):
        """Wait until no thread runs or has run for a moment; True if it came to that."""
        deadline = time.monotonic() + timeout
        before = None
        while time.monotonic() < deadline:
            now = thread_activity(self.pid)
            if now == before and not any(state in "RW" for state, _ in now.values()):
                return True
            before = now
            time.sleep(0.03)
        return False

    def check_unharmed(self):
        """It is alive, and neither stopped nor traced."""
        if self.child.poll() is not None:
            raise Failure("the program ended during the looks: status %d" % self.child.returncode)
        check_untraced(self.pid)

    def end(self, how):
        """Tell it to stop; it must say that all is well."""
        if how == "quit":
            self.child.stdin.write(b"q")
        else:
            os.kill(self.pid, how)
        self.child.stdin.close()
        deadline = time.monotonic() + END_S
        while time.monotonic() < deadline and self._read(deadline - time.monotonic()):
            pass
        try:
            status = self.child.wait(max(1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise Failure("the program did not stop when it was told to: %r" % self.out)
        if status != 0 or not re.search(rb"^ok$", self.out, re.MULTILINE):
            raise Failure("the program ended with status %d and %r" % (status, self.out))


def only_child(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
        children = file.read().split()
    if len(children) != 1:
        raise Failure("process %d has the children %s, not one" % (pid, children))
    return int(children[0])


def threads(pid):
    """Thread numbers; a thread may end at any moment."""
    with contextlib.suppress(OSError):
        return sorted(int(name) for name in os.listdir("/proc/%d/task" % pid))
    return []


def read_proc(pid, tid, name):
    with contextlib.suppress(OSError):
        with open("/proc/%d/task/%d/%s" % (pid, tid, name), encoding="utf-8",
                  errors="replace") as file:
            return file.read()
    return ""


def thread_activity(pid):
    """For each thread its state and how often it has left a processor."""
    activity = {}
    for tid in threads(pid):
        status = read_proc(pid, tid, "status")
        state = re.search(r"^State:\s+(\S)", status, re.MULTILINE)
        if state:
            activity[tid] = state.group(1), re.findall(r"ctxt_switches:\s+(\d+)", status)
    return activity


def check_untraced(pid):
    """No thread is stopped, and none has a tracer."""
    for tid in threads(pid):
        status = read_proc(pid, tid, "status")
        if re.search(r"^State:\s+[tT]", status, re.MULTILINE):
            raise Failure("thread %d was left stopped\n%s" % (tid, status))
        if re.search(r"^TracerPid:\s+[1-9]", status, re.MULTILINE):
            raise Failure("thread %d was left traced\n%s" % (tid, status))


OPS = """mutex-lock rwlock-rdlock rwlock-wrlock cond-wait sem-wait barrier-wait join futex-wait
chan-send chan-recv select waitgroup-wait queue-push queue-pop io sleep other""".split()
KINDS = """mutex rwlock cond semaphore barrier thread futex channel waitgroup queue pipe eventfd
other""".split()
CODES = """cycle self owner-ended owner-stuck unreachable nil-channel empty-select
all-asleep""".split()
STATES = "running blocked sleeping io ended".split()
KEYS_OF = {
    "report": "schema strand process seen proof pause_ns summary findings tasks truncated notes"
              " children",
    "process": "pid ppid exe argv moment status signal modules",
    "summary": "tasks stuck alive unjoined suppressed lost",
    "finding": "id site verdict count tasks trend wait reason stack created_by",
    "wait": "op since_ns deadline object objects",
    "reason": "code group text",
    "task": "id kind system name tid goid parent state verdict finding wait wait_reason labels stack"
            " created_by",
    "frame": "function file line module address",
    "module": "name path build_id start end offset",
}


def require(condition, what, found):
    if not condition:
        raise Failure("%s:\n%s" % (what, json.dumps(found, indent=1)[:4000]))


def check_keys(kind, found):
    """Unknown is null, never absent."""
    missing = [key for key in KEYS_OF[kind].split() if key not in found]
    require(not missing, "%s without %s" % (kind, " ".join(missing)), found)


def check_wait(wait):
    check_keys("wait", wait)
    require(wait["op"] in OPS, "an unknown operation", wait)
    for thing in wait["objects"] + ([wait["object"]] if wait["object"] else []):
        for key in "kind address name owner".split():
            require(key in thing, "an object without " + key, wait)
        require(thing["kind"] in KINDS, "an unknown kind of object", wait)
    if wait["objects"]:
        require(wait["objects"][0]["address"] == wait["object"]["address"],
                "the object is not the first of the objects", wait)


def check_stack(stack):
    for frame in stack or []:
        check_keys("frame", frame)


def check_finding(finding, task_of):
    check_keys("finding", finding)
    require(finding["count"] == len(finding["tasks"]), "a count that is not the tasks'", finding)
    check_wait(finding["wait"])
    check_stack(finding["stack"])
    require(finding["stack"], "a finding without a stack", finding)
    if finding["verdict"] == "stuck":
        check_keys("reason", finding["reason"])
        require(finding["reason"]["code"] in CODES, "an unknown reason", finding)
        require(finding["reason"]["text"], "a reason without a text", finding)
        require(finding["wait"]["deadline"] is False, "stuck with a deadline", finding)
    for name in finding["tasks"]:
        task = task_of.get(name)
        require(task, "a finding's task %s is not listed" % name, finding)
        require(task["finding"] == finding["id"] and task["verdict"] == finding["verdict"],
                "a task that does not agree with its finding", [task, finding])
        require(task["state"] == "blocked" and not task["system"], "a task that is not blocked", task)


def check_report(report, pid):
    """What the schema promises of any report of one look at a process."""
    check_keys("report", report)
    require(report["schema"] == "strand-report/1", "another schema", report["schema"])
    check_keys("process", report["process"])
    process, summary = report["process"], report["summary"]
    require(process["pid"] == pid, "another pid", process["pid"])
    require(process["moment"] == "attach", "another moment", process["moment"])
    require(process["status"] is None and process["signal"] is None, "an end", process)
    for module in process["modules"]:
        check_keys("module", module)
    require(report["seen"] in ("full", "partial", "none"), "seen", report["seen"])
    require(report["proof"] in ("full", "owners", "none"), "proof", report["proof"])
    check_keys("summary", summary)
    task_of = {task["id"]: task for task in report["tasks"]}
    require(len(task_of) == len(report["tasks"]), "a task that is listed twice", list(task_of))
    if report["truncated"] is None:
        require(summary["tasks"] == len(task_of), "another number of tasks", summary)
    for task in report["tasks"]:
        check_keys("task", task)
        require(task["state"] in STATES, "an unknown state", task)
        require((task["finding"] is None) == (task["verdict"] is None), "half a verdict", task)
        check_stack(task["stack"])
        if task["wait"] is not None:
            check_wait(task["wait"])
    require(len({finding["id"] for finding in report["findings"]}) == len(report["findings"]),
            "two findings of one id", [finding["id"] for finding in report["findings"]])
    for finding in report["findings"]:
        check_finding(finding, task_of)
    stuck = [finding for finding in report["findings"] if finding["verdict"] == "stuck"]
    require(summary["stuck"] == sum(finding["count"] for finding in stuck),
            "the summary does not agree with the findings", summary)
    check_groups(stuck)


def check_groups(stuck):
    """The findings of a cycle have a group, and a cycle has at least two tasks."""
    tasks_of = collections.Counter()
    for finding in stuck:
        reason = finding["reason"]
        if reason["code"] == "cycle":
            require(reason["group"] is not None, "a cycle without a group", finding)
            tasks_of[reason["group"]] += finding["count"]
    require(all(count > 1 for count in tasks_of.values()), "a cycle of one", stuck)


def look(ctx, pid):
    """One look in JSON, checked."""
    done = ctx.run([ctx.strand, "attach", "--format=json", str(pid)], timeout=LOOK_S)
    if done.status != 0:
        raise Failure("the look failed\n%s" % done)
    try:
        report = json.loads(done.out)
    except ValueError as error:
        raise Failure("not JSON: %s\n%s" % (error, done))
    if done.err:
        raise Failure("something on standard error\n%s" % done.err)
    check_report(report, pid)
    return report


def found_in(report):
    found = collections.Counter()
    for finding in report["findings"]:
        found[finding["verdict"], finding["wait"]["op"], finding["reason"]["code"]] += (
            finding["count"])
    return found


def show(counter):
    return "".join("    %s: %d\n" % (" ".join(map(str, key)), counter[key])
                   for key in sorted(counter)) or "    nothing\n"


def stuck_names(report):
    """Names of the objects that stuck tasks wait for."""
    waits = [finding["wait"] for finding in report["findings"] if finding["verdict"] == "stuck"]
    waits += [task["wait"] for task in report["tasks"] if task["verdict"] == "stuck" and task["wait"]]
    return {thing["name"] for wait in waits for thing in wait["objects"] + [wait["object"]]
            if thing}


def stuck_functions(report):
    stacks = [finding["stack"] for finding in report["findings"] if finding["verdict"] == "stuck"]
    return [frame["function"] or "" for stack in stacks for frame in stack]


def text_report(ctx, pid):
    done = ctx.run([ctx.strand, "attach", str(pid)], timeout=LOOK_S)
    if done.status != 0:
        raise Failure("the look failed\n%s" % done)
    return done.out


class Look(Case):
    """One program in one variant with one argument."""

    def __init__(self, ctx, program, variant, arg, looks):
        name = "programs/%s/%s" % (program.name, variant)
        super().__init__(name + ("/" + arg if arg else ""), timeout=120 + looks)
        self.ctx, self.program, self.variant, self.arg = ctx, program, variant, arg
        self.looks = looks

    def run(self):
        check_needs(self.program, self.variant)
        binary = build(self.ctx, self.program, self.variant)
        running = Running(self.ctx, [binary] + ([self.arg] if self.arg else []),
                          self.variant == "pidns")
        if self.program.settled:
            running.settle(SETTLE_S)
        try:
            if self.program.expected:
                self._look_stuck(running.pid)
            else:
                self._look_live(running.pid)
            running.check_unharmed()
        except Failure as failure:
            raise Failure("%s\nprocess %d\n%s" % (failure, running.pid, self._text(running.pid)))
        if self.program.ends:
            running.end(self.program.ends)

    def _text(self, pid):
        with contextlib.suppress(Failure):
            return text_report(self.ctx, pid)
        return ""

    def _look_stuck(self, pid):
        """Look until all that is expected is found; then it must stay so."""
        deadline = time.monotonic() + FOUND_S
        expected = self.program.expected
        while True:
            report = look(self.ctx, pid)
            if found_in(report) == expected:
                break
            if time.monotonic() > deadline:
                raise Failure("expected:\n%sfound:\n%s" % (show(expected), show(found_in(report))))
            time.sleep(0.2)
        self._check_names(report)
        for _ in range(1 if self.ctx.quick else LOOKS_AFTER):
            report = look(self.ctx, pid)
            if found_in(report) != expected:
                raise Failure("what was complete is no longer:\n%s" % show(found_in(report)))

    def _check_names(self, report):
        if "stripped" in self.variant:
            return
        missing = [name for name in self.program.objects if name not in stuck_names(report)]
        if missing:
            raise Failure("no object named %s, but %s" % (missing, stuck_names(report)))
        functions = stuck_functions(report)
        missing = [text for text in self.program.frames
                   if not any(text in function for function in functions)]
        if missing:
            raise Failure("no function like %s, but %s" % (missing, functions))

    def _look_live(self, pid):
        for number in range(self.looks):
            report = look(self.ctx, pid)
            if report["summary"]["stuck"]:
                raise Failure("look %d of %d found\n%s%s" % (
                    number + 1, self.looks, show(found_in(report)),
                    json.dumps(report["findings"], indent=1)))
        if self.program.first20 and not self.ctx.quick:
            head = "\n".join(text_report(self.ctx, pid).splitlines()[:20])
            missing = [word for word in self.program.first20 if word not in head]
            if missing:
                raise Failure("not in the first 20 lines: %s" % " ".join(missing))


def programs(folder=HERE):
    for path in sorted(glob.glob(os.path.join(folder, "*"))):
        if path.endswith(SUFFIXES):
            yield path


def failing(name, text):
    def fail():
        raise Failure(text)
    return Case("programs/" + name, fail)


def looks_at(ctx, program, long):
    if ctx.quick:
        return LOOKS_QUICK
    return program.looks if long else min(program.looks, LOOKS)


def cases(ctx, long):
    for path in programs(ctx.path("tests", "programs")):
        try:
            program = Program(path)
        except Failure as failure:
            yield failing(os.path.basename(path), str(failure))
            continue
        for variant in program.variants:
            for arg in program.args:
                yield Look(ctx, program, variant, arg, looks_at(ctx, program, long))


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
        for_variant = [word for word in words if word in VARIANTS]
        for_arg = [word for word in words if word not in VARIANTS]
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
        case.looks = args.looks or case.looks
        begin = time.monotonic()
        try:
            if args.text:
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
    binary = build(ctx, case.program, case.variant)
    running = Running(ctx, [binary] + ([case.arg] if case.arg else []), case.variant == "pidns")
    running.settle(SETTLE_S)
    print(text_report(ctx, running.pid))
    running.child.kill()
    running.child.wait()


if __name__ == "__main__":
    sys.exit(main())
