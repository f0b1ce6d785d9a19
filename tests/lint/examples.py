# SPDX-License-Identifier: MIT
"""The reports that the documents show are what strand says today.

A document shows the report on a program of tests/programs/ between two marks, in README.md

    <!-- report: demo_deadlock --> ... <!-- end of report -->

and in a manual page the same as comments. With `check` in the place of `report` it is that of
`strand check --timeout=2`, which ends the program; with `why-T4` that of `strand attach --why=T4`. A
line with nothing but … stands for what was left out. Compared is everything that does not differ from machine to machine: addresses, process IDs, port
numbers and times are masked, and so are folders; frames of system libraries, which look different
with and without debug symbols, are left out, and line breaks do not count.
"""
import difflib
import os
import re
import shutil
import subprocess
import time

from strandtest import Failure, Skip

REST = "…"
MARKS = {
    ".md": (r"<!-- (report|check|why-T\d+): (\w+) -->\n```\w*\n", r"```\n<!-- end of report -->\n"),
    ".1": (r"\.\\\" (report|check|why-T\d+): (\w+)\n", r"\.\\\" end of report\n"),
}
ESCAPES = (("\\(ga", "`"), ("\\(<-", "←"), ("\\(->", "→"), ("\\-", "-"), ("\\&", ""),
           ("\\e", "\\"))
READY_S = 20


def examples(name, text):
    """The reports that a document shows, as (how, program, lines)."""
    begin, end = MARKS[os.path.splitext(name)[1]]
    found = re.findall(begin + r"(.*?)" + end, text, re.DOTALL)
    if not found:
        raise Failure("%s shows no report" % name)
    for how, program, shown in found:
        if name.endswith(".1"):
            for escape, character in ESCAPES:
                shown = shown.replace(escape, character)
        yield how, program, shown.splitlines()


def is_system_frame(line, program):
    return re.match(r" *#\d+ ", line) and not re.search(r"%s\.\w+:\d+" % program, line)


def mask(line, program):
    line = re.sub(r"0x[0-9a-f]+", "ADDRESS", line)
    line = re.sub(r"^process \d+, \S*?(%s)[^\s:,]*([:,])" % program, r"process PID, \1\2", line)
    line = re.sub(r"\bstopped \d+ times", "stopped N times", line)
    line = re.sub(r"\S*/(%s\.\w+:\d+)" % program, r"\1", line)
    line = re.sub(r"\b\d+(\.\d+)? (ms|s|min|h)\b", "TIME", line)
    line = re.sub(r"\b(socket:\[)\d+|(\d\.\d+:)\d+", r"\1\2NUMBER", line)
    return re.sub(r"#\d+ ", "# ", line)


def words(lines, program):
    """What is compared."""
    found = []
    for line in lines:
        if not is_system_frame(line, program):
            found += mask(line, program).split()
    return found


def find_words(part, whole, begin):
    """Where the words of part stand in whole, -1 if nowhere."""
    for at in range(begin, len(whole) - len(part) + 1):
        if whole[at:at + len(part)] == part:
            return at
    return -1


def parts(lines):
    """The lines between those that stand for what was left out."""
    found = [[]]
    for line in lines:
        if line.strip() == REST:
            found.append([])
        else:
            found[-1].append(line)
    return found


def compare(shown, real, program):
    """Failure if the shown lines are not those of the real report."""
    whole, at = words(real, program), 0
    shown_parts = [words(part, program) for part in parts(shown)]
    for number, part in enumerate(shown_parts):
        last = number == len(shown_parts) - 1
        begin = len(whole) - len(part) if last and number else at
        found = find_words(part, whole, max(begin, at))
        if found < 0 or (number == 0 and found) or (last and found + len(part) != len(whole)):
            raise Failure("not what a real run says:\n" + "\n".join(difflib.unified_diff(
                shown, real, "shown", "real", lineterm="", n=100)))
        at = found + len(part)


def build(ctx, name):
    compiler = shutil.which("gcc")
    if compiler is None:
        raise Skip("no gcc")
    folder = os.path.join(ctx.tmp, "example.%d" % os.getpid())
    os.makedirs(folder, exist_ok=True)
    program = os.path.join(folder, name)
    done = ctx.run([compiler, "-std=gnu11", "-D_GNU_SOURCE", "-g", "-O0", "-pthread", "-o",
                    program, ctx.path("tests", "programs", name + ".c")])
    if done.status:
        raise Failure(str(done))
    return program


def wait_until_asleep(pid):
    """Until no thread has been switched to for a while."""
    before, calm, end = None, 0, time.monotonic() + READY_S
    while calm < 5:
        if time.monotonic() > end:
            raise Failure("the program does not come to rest")
        time.sleep(0.1)
        now = []
        for task in sorted(os.listdir("/proc/%d/task" % pid)):
            with open("/proc/%d/task/%s/status" % (pid, task)) as file:
                now += [line for line in file if "ctxt_switches" in line]
        calm = calm + 1 if now == before else 0
        before = now


def start(ctx, name):
    """The program, at rest."""
    child = ctx.spawn([build(ctx, name)], stdout=subprocess.PIPE)
    while child.stdout.readline() not in (b"ready\n", b""):
        pass
    wait_until_asleep(child.pid)
    return child


def checked_report(ctx, name):
    """By strand check, until its time is up."""
    for _ in range(5):
        done = ctx.run([ctx.strand, "check", "--timeout=2", build(ctx, name)])
        if "\nNot all of it could be seen" not in done.err:
            break
    if done.status != 66:
        raise Failure(str(done))
    return done.err.splitlines()


def real_report(ctx, name, *options):
    """On a busy machine a look may miss a thread, and says so: then it is taken again."""
    child = start(ctx, name)
    for _ in range(20):
        done = ctx.run([ctx.strand, "attach", *options, str(child.pid)])
        if "\nNot all of it could be seen" not in done.out:
            break
    child.kill()
    child.wait()
    if done.status or done.err:
        raise Failure(str(done))
    return done.out.splitlines()


def check(ctx, document):
    with open(ctx.path(document), encoding="utf-8") as file:
        text = file.read()
    for how, program, shown in examples(document, text):
        if how == "check":
            compare_patiently(ctx, shown, program, checked_report)
        else:
            options = ["--" + how.replace("-", "=")] if how != "report" else []
            compare_patiently(ctx, shown, program, real_report, *options)


def compare_patiently(ctx, shown, program, report, *options):
    """A program on a busy machine may not be where it hangs yet; what is wrong stays wrong."""
    for left in reversed(range(5)):
        try:
            return compare(shown, report(ctx, program, *options), program)
        except Failure:
            if not left:
                raise
            time.sleep(0.5)


def check_comparison():
    """A comparison that could not fail would be worth nothing."""
    real = ["process 12, …/x/prog: 2 tasks (stopped for 0.7 ms)", "",
            "  T1 waits for mutex 0x55 `lock`, held by T2", "    #0 wait  futex.c:1",
            "    #1 main  /home/prog.c:12", "  T2 is in recv(3)", "    #0 recv  (libc.so.6)"]
    same = ["process 9, /tmp/prog: 2 tasks (stopped for 11 ms)",
            "  T1 waits for mutex 0x66 `lock`,", "      held by T2", "    #7 main  ./prog.c:12",
            "  T2 is in recv(3)"]
    compare(same, real, "prog")
    compare(same[:1] + [REST] + same[3:], real, "prog")
    compare(same[:3] + [REST], real, "prog")
    for wrong in (same[:4], same[1:], same[:1] + same[3:], same[:1] + [REST] + same[3:4],
                  [REST] + same[:1] + same[3:],
                  same[:3] + ["    #7 main  ./prog.c:13"] + same[4:], []):
        try:
            compare(wrong, real, "prog")
        except Failure:
            continue
        raise Failure("these are taken to be equal:\n%s\n\n%s" % (
            "\n".join(wrong), "\n".join(real)))
