# SPDX-License-Identifier: MIT
"""What libstrand.so writes, and that the program does not notice: births, ends, forks, exits.

The program is lives.c; its table is read by table.py. Nothing of strand takes part: a watcher, where
there is one, is played here, and the library is a copy with no strand beside it.
"""
import contextlib
import glob
import json
import mmap
import os
import random
import re
import resource
import select
import shutil
import signal
import struct
import subprocess
import tempfile
import threading
import time

import table
from looking import build
from strandtest import Case, Failure, Skip, kill_group, start_child
from table import Broken, Table

READY_S = 90
PATIENCE_S = 1.0  # without a heartbeat
SLACK_S = 1.5  # of a busy machine
CONTROL = struct.Struct("<8sIIQiIIiII")
NO_CHILDREN = 1
FIRST_BYTES = 151552  # a table that has not grown
ENDS = {  # how lives ends: status, who ends the process (None: it dies without a word)
    "return": (21, "main"), "exit": (22, "exit"), "thread-exit": (23, "exit"),
    "_exit": (24, "_exit"), "_Exit": (25, "_exit"), "thread-_exit": (26, "_exit"),
    "quick_exit": (27, "quick"), "two-exits": (32, "exit"), "exit-in-handler": (34, "exit"),
    "main-gone-exit": (35, "exit"), "last-thread": (0, "last"), "last-main": (0, "last"),
    "last-cancelled": (0, "last"), "handler-exits": (30, "exit"), "abort": (None, None),
    "segv": (None, None), "kill": (None, None), "raw": (None, None)}


def require(condition, text, *args):
    if not condition:
        raise Failure(text % args if args else text)


def library(ctx):
    """A copy of the library, alone in a folder."""
    path = os.path.join(ctx.tmp, "alone-%d" % os.getpid(), "libstrand.so")
    if not os.path.exists(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        shutil.copy(os.path.join(ctx.build, "libstrand.so"), path)
    return path


class Lives:
    """lives.c under way, with the library or (preload=False) without."""

    def __init__(self, ctx, *mode, variant="-O2", preload=True, control=None, directory=None,
                 limits=None, argv=None, more_env=None):
        self.directory = directory or tempfile.mkdtemp(dir=ctx.tmp)
        env = dict(os.environ)
        for name in ("LD_PRELOAD", "STRAND_DIR", "STRAND_CONTROL", "STRAND_OPTIONS"):
            env.pop(name, None)
        if preload:
            env.update(LD_PRELOAD=library(ctx), STRAND_DIR=self.directory)
        if control:
            env["STRAND_CONTROL"] = control.path
        env.update(more_env or {})
        program = argv or [build(ctx, ctx.path("tests", "preload", "lives.c"), variant)]

        def prepare():
            start_child()
            for what, value in (limits or {}).items():
                resource.setrlimit(what, (value, value))

        self.begin = time.monotonic()
        self.child = subprocess.Popen([*program, *map(str, mode)], env=env, preexec_fn=prepare,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE)
        self.out = b""
        self.seen = 0
        os.set_blocking(self.child.stdout.fileno(), False)

    def ready(self):
        """It is at rest, and says so once more than before."""
        deadline = time.monotonic() + READY_S
        while len(re.findall(rb"^ready$", self.out, re.M)) <= self.seen:
            if time.monotonic() > deadline:
                kill_group(self.child)
                raise Failure("not ready: %r" % self.out)
            if select.select([self.child.stdout], [], [], 0.1)[0]:
                data = self.child.stdout.read()
                if data == b"":
                    _, err = self.child.communicate()
                    raise Failure("ended with %d: %r %r" % (self.child.returncode, self.out, err))
                self.out += data or b""
        self.seen += 1

    def go_on(self):
        try:
            self.child.stdin.write(b"\n")
            self.child.stdin.flush()
        except BrokenPipeError:
            raise Failure("ended early with %s: %r" % (self.child.wait(READY_S), self.out))

    def end(self):
        """Its status, output and seconds, when it has ended."""
        os.set_blocking(self.child.stdout.fileno(), True)
        try:
            out, err = self.child.communicate(timeout=READY_S)
        except subprocess.TimeoutExpired:
            kill_group(self.child)
            raise Failure("does not end: %r" % self.out)
        self.seconds = time.monotonic() - self.begin
        return self.child.returncode, self.out + out, err

    def paths(self):
        return sorted(glob.glob(os.path.join(self.directory, "*.strand")))

    def table(self, pid=None, settled=True):
        paths = glob.glob(os.path.join(self.directory, "%d.*.strand" % (pid or self.child.pid)))
        require(len(paths) == 1, "%d tables: %s", len(paths), paths)
        try:
            return Table(paths[0], settled)
        except Broken as broken:
            raise Failure("%s: %s" % (paths[0], broken))


class Control:
    """A control file, and, while it is watched, a watcher that lets every exit go after a time."""

    def __init__(self, ctx, flags=0):
        handle, self.path = tempfile.mkstemp(suffix=".control", dir=ctx.tmp)
        os.write(handle, CONTROL.pack(b"strandC\n", 1, flags, 77, 0, 0, 0, 0, 0, 0))
        self.map = mmap.mmap(handle, CONTROL.size)
        os.close(handle)

    def counts(self):
        """shims_loaded, shims_failed, failed_errno"""
        return CONTROL.unpack(self.map[:CONTROL.size])[5:8]

    @contextlib.contextmanager
    def watched(self, directory, hold_s):
        """What is held in the directory beats for hold_s and is released; yields the tables seen."""
        seen, stop = [], threading.Event()
        thread = threading.Thread(target=self._watch, args=(directory, hold_s, seen, stop))
        thread.start()
        try:
            yield seen
        finally:
            stop.set()
            thread.join()

    @staticmethod
    def _watch(directory, hold_s, seen, stop):
        held = {}
        while not stop.wait(0.01):
            for path in glob.glob(os.path.join(directory, "*.strand")):
                with open(path, "r+b") as file, contextlib.suppress(ValueError, OSError):
                    view = mmap.mmap(file.fileno(), table.HEADER_BYTES)
                    beat, state = struct.unpack_from("<II", view, 112)
                    if state != table.EXIT_STATES.index("held"):
                        continue
                    hold = path, struct.unpack_from("<Q", view, 136)[0]
                    if hold not in held:
                        held[hold] = time.monotonic()
                        seen.append(Table(path, settled=False))
                    struct.pack_into("<I", view, 112, (beat + 1) & 0xffffffff)
                    if time.monotonic() - held[hold] >= hold_s:
                        struct.pack_into("<I", view, 116, table.EXIT_STATES.index("released"))


# -- threads


def addresses(out):
    """What lives says of its functions: name and address."""
    return {name.decode(): int(value, 16) for name, value in re.findall(rb"(\w+) (0x\w+)", out)}


def check_kinds(ctx, variant):
    lives = Lives(ctx, "kinds", variant=variant)
    lives.ready()
    t = lives.table()
    at = addresses(lives.out)
    names = {address: name for name, address in at.items()}
    found = sorted((names.get(task.start, "main"), table.STATES[task.state], task.flags)
                   for task in t.tasks)
    wanted = sorted([
        ("main", "running", 0), ("stay", "running", 0), ("c11", "running", 0),
        ("stay", "running", table.DETACHED), ("stay", "running", table.DETACHED),
        ("self", "running", table.DETACHED), ("end", "ending", 0), ("exit", "ending", 0),
        ("stay", "ending", 0)])
    require(found == wanted, "records: %s", found)
    require(t.tasks_born == 16 and t.tasks_running == 6 and not t.lost_tasks, "%s", t)
    for task in t.tasks:
        check_kind(lives, t, task, at)
    lives.go_on()
    status, _, err = lives.end()
    require((status, err) == (12, b""), "status %d: %r", status, err)
    require(not lives.paths(), "left: %s", lives.paths())


def check_kind(lives, t, task, at):
    main = task.number == 1
    require(task.handle and task.birth_ns and task.tid, "%r", task)
    require((task.tid == t.pid) == main, "tid of %r", task)
    require(bool(task.end_ns) == (task.state == table.ENDING), "end of %r", task)
    require(main or task.argument == at["argument"], "argument of %r", task)
    require(bool(task.wait.sequence & 1) == (task.state == table.RUNNING and not main),
            "wait of %r", task)
    require((task.name == "named") == (task.number == 2), "name of %r", task)
    if task.state == table.RUNNING:
        require(os.path.exists("/proc/%d/task/%d" % (t.pid, task.tid)), "tid of %r", task)
    if main:
        return
    pcs, complete = t.stack(task.creator_stack)
    require(task.parent == 1 and complete, "creator of %r", task)
    modules = [max(m for m in t.modules() if m[0] <= pc)[1] for pc in pcs]
    require(modules[0] == modules[-1] == os.readlink("/proc/%d/exe" % t.pid) and
            not any("libstrand" in path for path in modules), "stack in %s", modules)
    wanted = len(gdb_like_depth(pcs, modules))
    require(wanted >= 5, "only %d frames: %s", len(pcs), modules)


def gdb_like_depth(pcs, modules):
    """main's helpers, main, two of the C library, _start: no frame is skipped."""
    inside = [path for path in modules if "libc.so" in path]
    require(len(inside) == 2, "frames of the C library: %s", modules)
    return pcs


def check_walks(ctx, variant):
    """Creator stacks are those that the C library's own unwinder finds, frame by frame."""
    binary = build(ctx, ctx.path("tests", "preload", "walks.c"), variant)
    lives = Lives(ctx, argv=[binary])
    lives.ready()
    t = lives.table()
    stacks = {task.number: t.stack(task.creator_stack) for task in t.tasks if task.creator_stack}
    lines = re.findall(rb"^(\d+) ([01]) (0x.*)$", lives.out, re.M)
    with open("/proc/%d/maps" % lives.child.pid) as maps:
        ours = [tuple(int(end, 16) for end in line.split()[0].split("-"))
                for line in maps if "libstrand" in line]
    require(len(lines) == 11, "%r", lives.out)
    for number, whole, frames in lines:
        wanted = [int(frame, 16) - 1 for frame in frames.split()]
        wanted = [pc for pc in wanted if not any(begin <= pc < end for begin, end in ours)][:63]
        found, complete = stacks[int(number)]
        found = list(found[1:])
        if whole == b"0":  # a signal frame, or a stack of unknown size: its beginning is right
            require(found == wanted[:len(found)], "T%d: %s, not %s", int(number),
                    show(found), show(wanted))
            continue
        require(complete == (len(wanted) < 63), "T%d is %scomplete", int(number),
                "" if complete else "not ")
        require(found == wanted, "T%d: %s, not %s", int(number), show(found), show(wanted))
    lives.go_on()
    lives.end()


def show(addresses):
    return " ".join("%x" % address for address in addresses)


def settled(lives):
    """The table when only main is left; as it is after a long time, if that does not come."""
    deadline = time.monotonic() + READY_S / 3
    while True:
        t = lives.table(settled=False)
        if t.tasks_running == 1 and len(t.tasks) == 1 or time.monotonic() > deadline:
            return t
        time.sleep(0.05)


def check_no_growth(ctx, mode, amount):
    lives = Lives(ctx, mode, amount)
    lives.ready()
    t = settled(lives)
    require(t.tasks_born == amount + 1 and t.tasks_running == 1 and not t.lost_tasks, "%s", t)
    require(len(t.tasks) == 1, "%s", t)
    if mode == "one-by-one":
        require(len(t.data) == FIRST_BYTES, "the table has grown to %d bytes", len(t.data))
    lives.go_on()
    require(lives.end()[0] == 12, "status %d", lives.child.returncode)


def check_at_once(ctx, amount):
    lives = Lives(ctx, "at-once", amount)
    lives.ready()
    t = lives.table()
    alive = [task for task in t.tasks if task.state == table.RUNNING]
    require(len(alive) == amount + 1 and not t.lost_tasks, "%d alive, %d lost", len(alive),
            t.lost_tasks)
    require(len({task.tid for task in alive}) == amount + 1, "thread ids twice")
    require(len({task.handle for task in alive}) == amount + 1, "handles twice")
    require(len(t.data) <= FIRST_BYTES + 256 * (amount + 512), "%d bytes", len(t.data))
    lives.go_on()
    lives.ready()
    require(len(lives.table().tasks) == 1, "records are left")
    lives.go_on()
    require(lives.end()[0] == 12, "status %d", lives.child.returncode)


def check_families(ctx):
    lives = Lives(ctx, "families", 40)
    lives.ready()
    t = settled(lives)
    require(len(t.tasks) == 1 and t.tasks_born == 1 + 40 * 121 and t.tasks_running == 1, "%s", t)
    lives.go_on()
    lives.end()


def check_holds(ctx):
    lives = Lives(ctx, "holds", 6)
    left = []
    for _ in range(3):
        lives.ready()
        left.append(sum(bool(task.holds) for task in lives.table().tasks))
        lives.go_on()
    lives.end()
    require(left == [6, 5, 0], "holds left by ended threads: %s", left)


def check_jumps(ctx):
    lives = Lives(ctx, "jumps")
    lives.ready()
    waits = [task.number for task in lives.table().tasks if task.wait.sequence & 1]
    require(not waits, "tasks %s wait", waits)
    lives.go_on()
    lives.end()


def check_impossible(ctx):
    lives = Lives(ctx, "impossible", 1000)
    lives.ready()
    t = lives.table()
    require((t.tasks_born, t.tasks_running, len(t.tasks)) == (1, 1, 1), "%s", t)
    require(len(t.data) == FIRST_BYTES, "grown to %d bytes", len(t.data))
    lives.go_on()
    lives.end()


# -- processes


def check_fork_storm(ctx):
    lives = Lives(ctx, "fork-storm", 100)
    lives.ready()
    t = lives.table()
    require(len(t.tasks) == 1 and not t.flags and t.tasks_running == 1, "%s", t)
    lives.go_on()
    status, _, err = lives.end()
    require((status, err) == (12, b""), "status %d: %r", status, err)
    require(not lives.paths(), "left: %s", lives.paths())


def check_forked(ctx, mode):
    """The child has a table of its own, and did not write to its parent's."""
    lives = Lives(ctx, mode)
    lives.ready()
    child = int(re.search(rb"^child (\d+)$", lives.out, re.M).group(1))
    mine, its = lives.table(), lives.table(child)
    require(its.flags & table.FORKED and its.pid == child, "%s", its)
    require([(task.number, task.parent) for task in its.tasks] in ([(1, 0), (2, 1)],
                                                                  [(1, 0), (3, 1)]), "%s", its)
    require(its.main().tid == child and its.main().handle == mine.main().handle, "%s", its)
    require(its.main().holds == mine.main().holds, "holds: %s", its.main().holds)
    require(bool(its.main().holds) == (mode == "fork"), "holds: %s", its.main().holds)
    require(its.modules() == mine.modules() and its.modules(), "modules")
    require(len(mine.tasks) == (2 if mode == "fork" else 1), "%s", mine)
    lives.go_on()
    status, _, err = lives.end()
    require((status, err) == (12, b""), "status %d: %r", status, err)


def check_spawns(ctx):
    lives = Lives(ctx, "spawns", 20)
    lives.ready()
    t = lives.table()
    require(not t.flags and t.exit_state == 0 and t.tasks_running == 2, "%s", t)
    lives.go_on()
    status, _, err = lives.end()
    require((status, err) == (12, b""), "status %d: %r", status, err)


def check_chain(ctx):
    """Supervised: each image has a table, all but the last are replaced, each was held, also before
    an exec that failed."""
    control = Control(ctx)
    directory = tempfile.mkdtemp(dir=ctx.tmp)
    with control.watched(directory, 0.05) as seen:
        lives = Lives(ctx, "chain", 0, control=control, directory=directory)
        lives.ready()
        tables = [Table(path) for path in lives.paths()]
        lives.go_on()
        status = lives.end()[0]
    require(status == 11, "status %d", status)
    require(sorted(t.image for t in tables) == list(range(10)), "%s", [str(t) for t in tables])
    require(all(bool(t.flags & table.REPLACED) == (t.image < 9) for t in tables), "replaced")
    require(all(t.control_id == 77 for t in tables), "control ids")
    kinds = [(t.image, table.EXIT_KINDS[t.exit_kind]) for t in seen]
    wanted = [(n, "exec") for n in range(9) for _ in range(2)] + [(9, "exec"), (9, "exit")]
    require(kinds == wanted, "held: %s", kinds)
    require(control.counts() == (10, 0, 0), "control: %s", control.counts())


def check_chain_bare(ctx):
    lives = Lives(ctx, "chain", 0)
    lives.ready()
    require(len(lives.paths()) == 1, "tables of earlier images are left: %s", lives.paths())
    lives.go_on()
    require(lives.end()[0] == 11 and not lives.paths(), "left: %s", lives.paths())


def check_daemon(ctx):
    lives = Lives(ctx, "daemon")
    status, _, err = lives.end()
    require((status, err) == (12, b""), "status %d: %r", status, err)


def check_no_children(ctx):
    control = Control(ctx, NO_CHILDREN)
    script = "env; (:); sh -c :"
    lives = Lives(ctx, argv=["/bin/bash", "-c", script], control=control)
    status, out, _ = lives.end()
    require(status == 0, "status %d", status)
    require(b"STRAND_" not in out and b"LD_PRELOAD" not in out, "environment: %r", out)
    require(control.counts() == (1, 0, 0), "control: %s", control.counts())
    tables = [Table(path) for path in lives.paths()]
    require([t.flags & ~table.REPLACED for t in tables] == [table.NO_RELATIVES], "%s",
            [str(t) for t in tables])


# -- ends


def bare_end(ctx, how, held=False):
    """What to expect. A handler that ends the program does so, in the time that exit is held too."""
    if held and how == "handler-exits":
        return 31, b""
    return Lives(ctx, how, preload=False).end()[:2]


def check_end(ctx, how):
    """Nobody supervises, and there is no analyser: nothing changes, nothing waits."""
    bare = bare_end(ctx, how)
    lives = Lives(ctx, how)
    status, out, _ = lives.end()
    require((status, out) == bare, "%s, without strand %s", (status, out), bare)
    require(lives.seconds < PATIENCE_S, "took %.1f s", lives.seconds)
    require(bool(lives.paths()) == (ENDS[how][0] is None), "left: %s", lives.paths())


def check_end_dead(ctx, how):
    """The supervisor is dead: at most its patience."""
    bare = bare_end(ctx, how, held=True)
    lives = Lives(ctx, how, control=Control(ctx))
    status, out, _ = lives.end()
    require((status, out) == bare, "%s, without strand %s", (status, out), bare)
    held = PATIENCE_S if ENDS[how][1] else 0
    if how != "handler-exits":
        require(lives.seconds >= held, "held for %.1f s only", lives.seconds)
    require(lives.seconds < held + SLACK_S, "took %.1f s", lives.seconds)


def check_end_watched(ctx, how):
    """Held for longer than the patience, as long as the watcher beats; before any handler."""
    control = Control(ctx)
    directory = tempfile.mkdtemp(dir=ctx.tmp)
    hold_s = PATIENCE_S + 0.5
    bare = bare_end(ctx, how, held=True)
    with control.watched(directory, hold_s) as seen:
        lives = Lives(ctx, how, control=control, directory=directory)
        status, out, err = lives.end()
    require((status, out) == bare, "%s, without strand %s", (status, out), bare)
    wanted, kind = ENDS[how]
    require(len(seen) == bool(kind), "held: %s", [str(t) for t in seen])
    if not kind:
        return
    t = seen[0]
    require(lives.seconds >= hold_s, "held for %.1f s only", lives.seconds)
    require((table.EXIT_KINDS[t.exit_kind], t.exit_status) == (kind, wanted), "%s", t)
    task = next((task for task in t.tasks if task.number == t.exit_task), None)
    require(task and task.tid == t.exit_tid and task.state == table.RUNNING, "%s", t)
    require(t.exit_ns, "%s", t)
    if how in ("return", "last-thread", "last-main", "last-cancelled"):
        return
    places = [int(place, 16) for place in re.findall(rb"stack (0x\w+)", err)]
    require(any(0 <= place - t.exit_sp < 256 for place in places), "exit at 0x%x, locals at %s",
            t.exit_sp, places)


def check_end_unwatched_single(ctx):
    """An image that never had a second task is not held."""
    lives = Lives(ctx, "impossible", 0, control=Control(ctx))
    lives.ready()
    begin = time.monotonic()
    lives.go_on()
    require(lives.end()[0] == 12, "status %d", lives.child.returncode)
    require(time.monotonic() - begin < PATIENCE_S / 2, "held")


def check_exec_fails(ctx):
    """Who comes to the exit while another is held before an exec that fails has a hold of his own,
    unless he goes on with the first."""
    for _ in range(10):
        control = Control(ctx)
        directory = tempfile.mkdtemp(dir=ctx.tmp)
        with control.watched(directory, 0.2) as seen:
            lives = Lives(ctx, "exec-fails", control=control, directory=directory)
            require(lives.end()[0] == 37, "status %d", lives.child.returncode)
        kinds = [table.EXIT_KINDS[t.exit_kind] for t in seen]
        if kinds == ["exec", "exit"]:
            return
        require(kinds in (["exec"], ["exit"]), "held: %s", kinds)
    raise Failure("never held again")


def check_let_go_before(ctx):
    """A supervisor that leaves says so: nobody waits for it at the end."""
    lives = Lives(ctx, "spawns", 0, control=Control(ctx))
    lives.ready()
    with open(lives.paths()[0], "r+b") as file:
        file.seek(116)
        file.write(struct.pack("<I", table.EXIT_STATES.index("released")))
    begin = time.monotonic()
    lives.go_on()
    require(lives.end()[0] == 12, "status %d", lives.child.returncode)
    require(time.monotonic() - begin < PATIENCE_S / 2, "held")


def check_sandboxed_vfork(ctx):
    """Not the end of a child on the process's memory, but the process's own."""
    control = Control(ctx)
    directory = tempfile.mkdtemp(dir=ctx.tmp)
    with control.watched(directory, 0.1) as seen:
        lives = Lives(ctx, "sandboxed-vfork", control=control, directory=directory)
        require(lives.end()[0] == 38, "status %d", lives.child.returncode)
    held = [(table.EXIT_KINDS[t.exit_kind], t.exit_status) for t in seen]
    require(held == [("main", 38)], "held: %s", held)


def check_main_stack(ctx):
    """exit_sp is where main's frame ended: main's caller is right above, ends() right below."""
    control = Control(ctx)
    directory = tempfile.mkdtemp(dir=ctx.tmp)
    with control.watched(directory, 0.1) as seen:
        lives = Lives(ctx, "return", control=control, directory=directory)
        _, _, err = lives.end()
    here = int(re.findall(rb"stack (0x\w+)", err)[-1], 16)
    require(0 < seen[0].exit_sp - here < 512, "main ended at 0x%x, a local below it is at 0x%x",
            seen[0].exit_sp, here)


def check_analyser(ctx):
    """Preloaded by hand: the strand that is beside the library watches, unnoticed."""
    folder = tempfile.mkdtemp(dir=ctx.tmp)
    said = os.path.join(folder, "said")
    shutil.copy(os.path.join(ctx.build, "libstrand.so"), folder)
    shutil.copy(ctx.path("tests", "preload", "analyser.py"), os.path.join(folder, "strand"))
    os.chmod(os.path.join(folder, "strand"), 0o755)
    preload = os.path.join(folder, "libstrand.so")
    lives = Lives(ctx, "analysed", more_env={"LD_PRELOAD": preload, "LIVES_ANALYSER": said,
                                             "STRAND_OPTIONS": "--all"})
    status, out, err = lives.end()
    require((status, out, err) == (36, b"handler\n", b""), "status %d: %r %r", status, out, err)
    require(lives.seconds >= 1.5, "held for %.1f s only", lives.seconds)
    with open(said) as file:
        said = json.load(file)
    require(said["argv"] == ["exit-analysis", str(lives.child.pid), said["argv"][2]] and
            said["argv"][2].startswith(lives.directory), "arguments: %s", said["argv"])
    require(said["state"] == table.EXIT_STATES.index("held"), "state %d", said["state"])
    env = said["environment"]
    require("LD_PRELOAD" not in env and env["STRAND_OPTIONS"] == "--all", "environment: %s", env)
    require(sorted(said["descriptors"]) == ["0", "1", "2"] and
            said["descriptors"]["0"] == said["descriptors"]["1"] == "/dev/null" and
            said["descriptors"]["2"].startswith("pipe:"), "descriptors: %s", said["descriptors"])
    state = {name: int(said["status"][name], 16) for name in ("SigBlk", "SigIgn", "SigCgt")}
    bit = {signal.SIGUSR1: 1 << signal.SIGUSR1 - 1, signal.SIGUSR2: 1 << signal.SIGUSR2 - 1}
    require(state["SigBlk"] == bit[signal.SIGUSR2] and state["SigIgn"] & bit[signal.SIGUSR1],
            "signals: %s", state)
    require(not lives.paths(), "left: %s", lives.paths())


def check_early(ctx):
    """A constructor that runs before ours, a destructor that runs after."""
    early = os.path.join(ctx.tmp, "early-%d.so" % os.getpid())
    done = ctx.run(["cc", "-shared", "-fPIC", "-O2", "-pthread", "-o", early,
                    ctx.path("tests", "preload", "early_threads.c")])
    require(done.status == 0, "%s", done)
    lives = Lives(ctx, "one-by-one", 3, more_env={"LD_PRELOAD": library(ctx) + ":" + early})
    lives.ready()
    t = lives.table()
    require([(task.number, task.state) for task in t.tasks] == [(1, table.RUNNING),
                                                               (3, table.RUNNING)], "%s", t)
    pcs, _ = t.stack(t.tasks[1].creator_stack)
    modules = [max(m for m in t.modules() if m[0] <= pc)[1] for pc in pcs]
    require(modules[0] == early and not any("libstrand" in path for path in modules),
            "stack in %s", modules)
    lives.go_on()
    require(lives.end()[0] == 12, "status %d", lives.child.returncode)


def check_sandbox(ctx, watched):
    """A filter that kills whoever calls the kernel for more than threads need."""
    control = Control(ctx)
    directory = tempfile.mkdtemp(dir=ctx.tmp)
    with control.watched(directory if watched else os.devnull, 0.3) as seen:
        lives = Lives(ctx, "sandbox", 300, control=control, directory=directory)
        lives.ready()
        t = lives.table()
        begin = time.monotonic()
        lives.go_on()
        status = lives.end()[0]
    took = time.monotonic() - begin
    require(status == 12, "status %d", status)
    require(t.flags & table.SANDBOXED, "%s", t.flags)
    require(t.tasks_born == 303 and t.lost_tasks == 303 - 255 - 1, "%d lost", t.lost_tasks)
    require(all(task.tid for task in t.tasks if task.state == table.RUNNING), "%s", t)
    require(bool(seen) == watched, "held: %d", len(seen))
    require(0.3 <= took < 1 if watched else PATIENCE_S <= took < PATIENCE_S + SLACK_S,
            "took %.1f s", took)


# -- what is missing or too little


def check_without(ctx, why, failed_errno, directory=None, limits=None):
    """No table can be had: the program is as without, and the control file says why."""
    control = Control(ctx)
    lives = Lives(ctx, "one-by-one", 20, control=control, directory=directory, limits=limits)
    lives.ready()
    lives.go_on()
    status, _, err = lives.end()
    require((status, err) == (12, b""), "%s: status %d: %r", why, status, err)
    require(control.counts() == (1, 1, failed_errno), "%s: control %s", why, control.counts())


def check_directories(ctx):
    check_without(ctx, "missing", 2, directory=os.path.join(ctx.tmp, "missing", "too"))
    check_without(ctx, "a file", 20, directory=library(ctx))
    check_without(ctx, "not to be written", 1 if os.geteuid() else 2, directory="/proc")
    check_without(ctx, "too long", 36, directory="/" + "x" * 600)


def check_limits(ctx):
    check_without(ctx, "RLIMIT_FSIZE", 27, limits={resource.RLIMIT_FSIZE: 4096})
    lives = Lives(ctx, "one-by-one", 50, limits={resource.RLIMIT_AS: 64 << 20})
    lives.ready()
    lives.go_on()
    require(lives.end()[0] == 12, "status %d", lives.child.returncode)


def check_no_room(ctx, mode="at-once", limits=None, directory=None):
    """There was room for a table, and is none to grow: what is lost is counted, nothing else."""
    if mode == "other-root" and os.geteuid():
        raise Skip("needs root")
    lives = Lives(ctx, mode, 700, limits=limits, directory=directory)
    lives.ready()
    t = lives.table()
    require(t.tasks_born == 701 and t.tasks_running == 701, "%s", t.tasks_born)
    require(t.lost_tasks == 701 - len(t.tasks) and len(t.tasks) >= 256, "%d lost, %d there",
            t.lost_tasks, len(t.tasks))
    require(t.lost_tasks, "nothing was lost")
    lives.go_on()
    lives.ready()
    lives.go_on()
    require(lives.end()[0] == 12, "status %d", lives.child.returncode)


@contextlib.contextmanager
def small_disk(ctx, size):
    where = tempfile.mkdtemp(dir=ctx.tmp)
    if os.geteuid() or ctx.run(["mount", "-t", "tmpfs", "-o", "size=%d,mode=700" % size, "strand",
                                where]).status:
        raise Skip("no file system can be mounted here")
    try:
        yield where
    finally:
        ctx.run(["umount", "-l", where])


def check_disk(ctx):
    with small_disk(ctx, 64 << 10) as where:
        check_without(ctx, "full", 28, directory=where)
        require(not os.listdir(where), "left: %s", os.listdir(where))
    with small_disk(ctx, 200 << 10) as where:
        check_no_room(ctx, directory=where)


def check_killed(ctx, times):
    """At any moment: the table can be read."""
    seen = 0
    chance = random.Random(5)
    for _ in range(times):
        lives = Lives(ctx, *chance.choice((("families", 100), ("fork-storm", 50), ("holds", 400))))
        time.sleep(chance.uniform(0.001, 0.06))
        kill_group(lives.child)
        lives.end()
        for path in lives.paths():
            try:
                seen += len(Table(path, settled=False).tasks)
            except Broken as broken:
                if "no magic" not in str(broken) and "shorter" not in str(broken):
                    raise Failure("%s: %s" % (path, broken))
        shutil.rmtree(lives.directory)
    require(seen > times, "only %d tasks were seen", seen)


def check_other_libc(ctx):
    """Of another C library's threads nothing is known: not recorded, and the control file says so."""
    binary = build(ctx, ctx.path("tests", "preload", "other_libc.c"), "musl")
    control = Control(ctx)
    lives = Lives(ctx, argv=[binary], control=control)
    status, out, err = lives.end()
    require((status, out, err) == (12, b"ok\n", b""), "status %d: %r %r", status, out, err)
    require(control.counts() == (2, 2, 38) and not lives.paths(), "control: %s", control.counts())


def check_secure(ctx):
    """A program with rights of its own: the loader ignores us, or we do nothing."""
    if os.geteuid():
        raise Skip("needs root")
    with tempfile.TemporaryDirectory(prefix="strand-test-", dir="/var/tmp") as folder:
        os.chmod(folder, 0o755)
        program = shutil.copy(build(ctx, ctx.path("tests", "preload", "lives.c")), folder)
        os.chmod(program, 0o4755)
        made = os.path.join(folder, "tables")
        os.mkdir(made)
        os.chown(made, 65534, 65534)
        done = ctx.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env",
                        "LD_PRELOAD=" + library(ctx), "STRAND_DIR=" + made, program, "return"])
        require(done.status == 21, "%s", done)
        require(not os.listdir(made), "left: %s", os.listdir(made))


def cases(ctx, long):
    for variant in ("-O0", "-O2"):
        yield Case("record-kinds" + variant, lambda v=variant: check_kinds(ctx, v))
    for variant in ("-O0", "-O2", "no-pie", "clang"):
        yield Case("record-walks-" + variant.lstrip("-"), lambda v=variant: check_walks(ctx, v))
    few = ctx.quick
    yield Case("record-one-by-one",
               lambda: check_no_growth(ctx, "one-by-one", 5000 if few else 100000))
    yield Case("record-detached", lambda: check_no_growth(ctx, "detached", 2000 if few else 20000))
    yield Case("record-at-once", lambda: check_at_once(ctx, 500 if few else 10000))
    yield Case("record-families", lambda: check_families(ctx))
    yield Case("record-holds", lambda: check_holds(ctx))
    yield Case("record-impossible", lambda: check_impossible(ctx))
    yield Case("record-fork-storm", lambda: check_fork_storm(ctx))
    for mode in ("fork", "raw-fork"):
        yield Case("record-" + mode, lambda m=mode: check_forked(ctx, m))
    yield Case("record-spawns", lambda: check_spawns(ctx))
    yield Case("record-jumps", lambda: check_jumps(ctx))
    yield Case("record-chain", lambda: check_chain(ctx))
    yield Case("record-exec-fails", lambda: check_exec_fails(ctx))
    yield Case("record-let-go-before", lambda: check_let_go_before(ctx))
    yield Case("record-sandboxed-vfork", lambda: check_sandboxed_vfork(ctx))
    yield Case("record-chain-bare", lambda: check_chain_bare(ctx))
    yield Case("record-daemon", lambda: check_daemon(ctx))
    yield Case("record-no-children", lambda: check_no_children(ctx))
    for how in ENDS:
        yield Case("end-" + how, lambda h=how: check_end(ctx, h))
        yield Case("end-dead-" + how, lambda h=how: check_end_dead(ctx, h))
        if how != "handler-exits":  # over before anybody has seen it
            yield Case("end-watched-" + how, lambda h=how: check_end_watched(ctx, h))
    yield Case("end-main-stack", lambda: check_main_stack(ctx))
    yield Case("end-analyser", lambda: check_analyser(ctx))
    yield Case("record-early", lambda: check_early(ctx))
    for watched in (False, True):
        yield Case("end-sandbox" + "-watched" * watched, lambda w=watched: check_sandbox(ctx, w))
    yield Case("end-single", lambda: check_end_unwatched_single(ctx))
    yield Case("without-directory", lambda: check_directories(ctx))
    yield Case("without-limits", lambda: check_limits(ctx))
    yield Case("without-disk", lambda: check_disk(ctx))
    yield Case("without-room", lambda: check_no_room(
        ctx, limits={resource.RLIMIT_FSIZE: FIRST_BYTES + 4096}))
    yield Case("without-files", lambda: check_no_room(ctx, mode="no-files"))
    yield Case("without-root", lambda: check_no_room(ctx, mode="other-root"))
    yield Case("without-glibc", lambda: check_other_libc(ctx))
    yield Case("without-secure", lambda: check_secure(ctx))
    yield Case("record-killed", lambda: check_killed(ctx, 20 if few else 200), timeout=300)
