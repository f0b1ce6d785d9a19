# SPDX-License-Identifier: MIT
"""What a look must not do to a process, and what must not shake a look.

Programs that would notice (EINTR, signals, stopped threads), strand killed in the middle of a look,
processes that end, execute and fork while they are looked at, servers under load (servers.py), and
whatever cannot be looked at at all: one clear line, status 125 (bad_input.py), or cannot be run
(bad_runs.py). Programs with the shim in front of them, which must not notice (shim.py).
"""
import contextlib
import difflib
import json
import os
import random
import re
import select
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "programs")]

import bad_input  # noqa: E402
import bad_runs  # noqa: E402
import servers  # noqa: E402
import shim  # noqa: E402
from looking import (  # noqa: E402
    Running, build, check_report, check_untraced, look, read_proc, saw_half,
    show_findings, text_report, threads)
from strandtest import Case, Failure, kill_group  # noqa: E402

CHURN_LOOK_S = 10  # a look at a process that changes under it must end within this
MOVED_S = 10  # until all threads of the busy program must have moved
BUSY_THREADS = 64


def start(ctx, name, *args):
    source = ctx.path("tests", "hostile", name + ".c")
    return Running(ctx, [build(ctx, source), *args])


def count(ctx, long, quick, normal, many):
    return quick if ctx.quick else ctx.times(many) if long else normal


def look_often(ctx, name, looks, word):
    """Many looks at a program that checks itself; then it says what it has seen."""
    running = start(ctx, name)
    for _ in range(looks):
        report = look(ctx, running.pid)
        if report["summary"]["stuck"]:
            raise Failure("stuck: %s" % show_findings(report))
    text_report(ctx, running.pid)
    check_untraced(running.pid)
    running.end("quit", word)


def ask(running, order):
    """Send an order to the busy program; its answer is a number."""
    running.out = b""
    running.child.stdin.write(order)
    running.child.stdin.flush()
    deadline = time.monotonic() + MOVED_S
    while b"\n" not in running.out:
        if time.monotonic() > deadline or not running.read(deadline - time.monotonic()):
            raise Failure("the busy program does not answer: %r" % running.out)
    return int(re.search(rb"(\d+)\n", running.out).group(1))


def check_moves(running):
    """Every thread does something, none is stopped or traced."""
    deadline = time.monotonic() + MOVED_S
    ask(running, b"p")
    moved = 0
    while moved < BUSY_THREADS:
        if time.monotonic() > deadline:
            raise Failure("only %d of %d threads moved: %s" % (moved, BUSY_THREADS,
                                                               places_of(running.pid)))
        time.sleep(0.02)
        moved = max(moved, ask(running, b"p"))
    check_untraced_soon(running.pid)


def check_untraced_soon(pid):
    """The kernel lets go of the threads of a killed tracer one by one."""
    deadline = time.monotonic() + 2
    while True:
        try:
            return check_untraced(pid)
        except Failure:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def start_look(ctx, pid):
    return ctx.spawn([ctx.strand, "attach", "--format=json", str(pid)], stdout=subprocess.PIPE,
                     stderr=subprocess.PIPE)


def usual_seconds(ctx, pid):
    begin = time.monotonic()
    for _ in range(5):
        look(ctx, pid)
    return (time.monotonic() - begin) / 5


def kill_in_the_middle(ctx, number, times):
    """strand itself is killed at a random moment of a look; the program goes on."""
    running = start(ctx, "busy")
    seconds = usual_seconds(ctx, running.pid)
    chance = random.Random(number)
    for turn in range(times):
        child = start_look(ctx, running.pid)
        delay = chance.uniform(0, 1.1 * seconds)
        time.sleep(delay)
        child.send_signal(number)
        try:
            child.communicate(timeout=CHURN_LOOK_S)
        except subprocess.TimeoutExpired:
            kill_group(child)
            raise Failure("strand does not end at signal %d" % number)
        try:
            check_moves(running)
        except Failure as failure:
            raise Failure("turn %d, killed after %.1f of %.1f ms: %s" % (
                turn + 1, delay * 1000, seconds * 1000, failure))
    look(ctx, running.pid)
    running.end("quit")


def finish_look(child, pid):
    """A look at something that may have ended: a report, or one line and 125; never anything else.

    True if it was a report.
    """
    try:
        out, err = child.communicate(timeout=CHURN_LOOK_S)
    except subprocess.TimeoutExpired:
        places = "strand: %s\nthe program: %s" % (places_of(child.pid), places_of(pid))
        kill_group(child)
        raise Failure("a look takes more than %d s\n%s" % (CHURN_LOOK_S, places))
    out, err = out.decode(), err.decode()
    if child.returncode == 0:
        check_report(json.loads(out), pid)
        return True
    bad_input.check_refusal(child.returncode, out, err)
    return False


def places_of(pid):
    """Where in the kernel each thread is."""
    found = []
    for tid in threads(pid):
        state = re.search(r"^State:\s+(\S)", read_proc(pid, tid, "status"), re.MULTILINE)
        if state:
            found.append("%d %s in %s" % (tid, state.group(1), read_proc(pid, tid, "wchan")))
    return ", ".join(found)


def look_at_churn(ctx, how, looks):
    """Looks at a process that changes all the time."""
    running = start(ctx, "churn", how)
    chance, reports = random.Random(how), 0
    for _ in range(looks):
        reports += finish_look(start_look(ctx, running.pid), running.pid)
        time.sleep(chance.uniform(0, 0.005))
        if running.child.poll() is not None:
            raise Failure("the program ended: status %d" % running.child.returncode)
    check_untraced_soon(running.pid)
    if reports == 0:
        raise Failure("not one of %d looks gave a report" % looks)


def look_at_the_dying(ctx, looks, kill):
    """A fresh process for each look, which ends (or is killed) somewhere within it."""
    chance = random.Random(looks)
    program = build(ctx, ctx.path("tests", "hostile", "churn.c"))
    for _ in range(looks):
        child = ctx.spawn([program, "threads" if kill else "exit"], stdout=subprocess.PIPE)
        child.stdout.readline()
        time.sleep(chance.uniform(0, 0.004))
        strand = start_look(ctx, child.pid)
        if kill:
            time.sleep(chance.uniform(0, 0.008))
            child.kill()
        status = None
        with contextlib.suppress(subprocess.TimeoutExpired):
            status = child.wait(CHURN_LOOK_S)
        if status != (-signal.SIGKILL if kill else 0):
            raise Failure("the program ended with status %s" % status)
        finish_look(strand, child.pid)


def stopped_by_its_user(ctx, looks):
    """A process that was stopped by SIGSTOP stays so, and goes on at SIGCONT."""
    running = start(ctx, "busy")
    for _ in range(looks):
        os.kill(running.pid, signal.SIGSTOP)
        wait_all_stopped(running.pid)
        look(ctx, running.pid)
        time.sleep(0.02)
        wait_all_stopped(running.pid)
        os.kill(running.pid, signal.SIGCONT)
        check_moves(running)
    running.end("quit")


def wait_all_stopped(pid):
    deadline = time.monotonic() + 5
    while True:
        states = [re.search(r"^State:\s+(\S)", read_proc(pid, tid, "status"), re.M).group(1)
                  for tid in threads(pid)]
        if set(states) == {"T"}:
            return
        if time.monotonic() > deadline:
            raise Failure("not stopped: %s" % "".join(states))
        time.sleep(0.005)


def stop_during_look(ctx, times):
    """SIGSTOP and SIGCONT from somebody else arrive in the middle of looks."""
    running = start(ctx, "busy")
    seconds = usual_seconds(ctx, running.pid)
    chance = random.Random(times)
    for _ in range(times):
        child = start_look(ctx, running.pid)
        time.sleep(chance.uniform(0, seconds))
        os.kill(running.pid, signal.SIGSTOP)
        finish_look(child, running.pid)
        wait_all_stopped(running.pid)
        os.kill(running.pid, signal.SIGCONT)
        check_moves(running)
    running.end("quit")


def two_at_once(ctx, times):
    """Two looks at the same process: each gets a report or a clear refusal, and one succeeds."""
    running = start(ctx, "busy")
    for _ in range(times):
        children = [start_look(ctx, running.pid) for _ in range(2)]
        if not any([finish_look(child, running.pid) for child in children]):
            raise Failure("neither of two looks at once gave a report")
    check_moves(running)
    running.end("quit")


def reader_goes_away(ctx, times):
    """The reader of the report ends early: no harm to the process looked at."""
    running = start(ctx, "busy")
    for _ in range(times):
        child = start_look(ctx, running.pid)
        child.stdout.close()
        select.select([child.stderr], [], [], CHURN_LOOK_S)
        try:
            child.wait(CHURN_LOOK_S)
        except subprocess.TimeoutExpired:
            raise Failure("strand hangs when nobody reads its report")
        if child.returncode not in (125, -signal.SIGPIPE):
            raise Failure("status %d without a reader" % child.returncode)
        check_moves(running)
    running.end("quit")


def odd_names(ctx):
    """Names that are no text: JSON stays valid UTF-8, text stays free of control characters."""
    odd = b"odd\n name \x1b[31m\xff\xc3("
    folder = os.path.join(os.fsencode(ctx.tmp), b"odd-%d" % os.getpid())
    os.mkdir(folder)
    program = os.path.join(folder, odd)
    os.link(build(ctx, ctx.path("tests", "hostile", "odd_names.c")), program)
    running = Running(ctx, [program, os.path.join(folder, odd + b".fifo"), odd])
    running.settle(2)
    report = look_raw(ctx, running.pid, "json")
    check_report(json.loads(report), running.pid)
    if json.loads(report)["summary"]["stuck"] != 3:
        raise Failure("not three stuck tasks\n%s" % report)
    text = look_raw(ctx, running.pid, "text")
    bad = sorted({char for char in text if not char.isprintable() and char != "\n"})
    if bad:
        raise Failure("the text report has %s in it\n%r" % (bad, text))
    check_untraced(running.pid)


def same_every_time(ctx, looks):
    """Looks at a process that sleeps differ in the length of the stop only."""
    running = Running(ctx, [build(ctx, ctx.path("tests", "programs", "chain.c"))])
    running.settle(2)
    first = None
    for number in range(looks):
        report = look(ctx, running.pid)
        if saw_half(report):
            continue
        report["pause_ns"] = report["stopped_ns"] = None
        text = json.dumps(report, indent=1)
        first = first or text
        if text != first:
            lines = difflib.unified_diff(first.splitlines(), text.splitlines(), lineterm="")
            raise Failure("look %d differs\n%s" % (number + 1, "\n".join(lines)))


def look_raw(ctx, pid, name):
    """A report, which must be UTF-8."""
    child = ctx.spawn([ctx.strand, "attach", "--format=" + name, str(pid)],
                      stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = child.communicate(timeout=CHURN_LOOK_S)
    if child.returncode or err:
        raise Failure("status %d, %r" % (child.returncode, err))
    try:
        return out.decode("utf-8", "strict")
    except UnicodeDecodeError as error:
        raise Failure("the report is no UTF-8: %s" % error)


def cases(ctx, long):
    def case(name, function, *args, timeout=600):
        return Case("hostile/" + name, lambda: function(ctx, *args), timeout, args)

    looks = count(ctx, long, 5, 50, 1000)
    kills = count(ctx, long, 5, 50, 300)
    churns = count(ctx, long, 10, 50, 500)
    few = count(ctx, long, 3, 10, 50)
    yield case("eintr", look_often, "eintr", looks, "eintr: none")
    yield case("eintr-more", look_often, "eintr_more", looks, "eintr: none")
    yield case("deadlines", look_often, "deadlines", looks, "ok")
    yield case("signals", look_often, "signals", looks, "ok")
    yield case("traffic", look_often, "traffic", count(ctx, long, 10, 100, 2000), "ok",
               timeout=1200)
    yield case("strand-killed", kill_in_the_middle, signal.SIGKILL, kills)
    yield case("strand-terminated", kill_in_the_middle, signal.SIGTERM, kills)
    yield case("strand-interrupted", kill_in_the_middle, signal.SIGINT, few)
    for how in ("exec", "thread", "fork", "threads"):
        yield case("churn-" + how, look_at_churn, how, churns)
    yield case("target-ends", look_at_the_dying, churns, False)
    yield case("target-killed", look_at_the_dying, churns, True)
    yield case("stopped", stopped_by_its_user, few)
    yield case("stopped-during", stop_during_look, few)
    yield case("two-at-once", two_at_once, few)
    yield case("no-reader", reader_goes_away, few)
    yield case("odd-names", odd_names)
    yield case("same-every-time", same_every_time, looks)
    yield from bad_input.cases(ctx)
    yield from bad_runs.cases(ctx)
    yield from shim.cases(ctx, long)
    yield from servers.cases(ctx, long)
