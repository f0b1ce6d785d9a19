# SPDX-License-Identifier: MIT
"""Cores: what is found in one is what is found in the process that it was made of.

Programs of tests/programs are looked at, then a core of them is, made by gcore or by the kernel.
Then cores whose files are elsewhere, or are others; cores cut short and damaged, which must not
make anybody stuck who is not; and files that are no cores at all.
"""
import contextlib
import glob
import json
import os
import random
import re
import shlex
import shutil
import signal
import struct
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "programs")]

from corefile import Core, find_kernel_core, kernel_pattern, make_by_gcore, reorder  # noqa: E402
from looking import LOOK_S, Running, build, check_report, look  # noqa: E402
from strandtest import Case, Failure  # noqa: E402

SAME = """abba chain pool rwlock_cycle join_cycle owner_ended self all_cond all_sem cxx_locks
cycle4 abba_robust""".split()
SAME_QUICK = ("abba", "chain", "pool")
LIVE = ("k_queue", "k_unnamed", "t_handler_posts", "t_clone_vm", "t_pshared", "t_timed",
        "t_fork_holder")
NO_GCORE = {  # of which gdb makes no core
    "t_main_gone", "t_adv_word_is_tid",  # the main thread has ended
    "t_vfork", "k_processes"}  # a thread cannot be stopped
NO_GCORE_OF = {("k_memory", "sparse")}  # gdb writes out what was never touched
LIVE_SETTLE_S = 1
REACH = (("r_places", "main_arena"), ("r_places", "thread_arena"), ("r_places", "own_stack"),
         ("r_places", "chain"), ("r_no_handle", "forgotten"))
KERNEL = ("abba", "main_gone", "main_gone_owner", "chain", "all_mixed")
SETTLE_S = 5
FOUND_S = 15
END_S = 60
SLOW_S = 20  # no core may take longer
CUTS, FLIPS = 40, 150  # of a core; fewer with sanitizers, more in the long tests


def source_of(ctx, name):
    for suffix in (".c", ".cpp"):
        path = ctx.path("tests", "programs", name + suffix)
        if os.path.exists(path):
            return path
    raise Failure("no program " + name)


def attach(ctx, *args, timeout=LOOK_S):
    return ctx.run([ctx.strand, "attach", "--format=json", *args], timeout=timeout)


def look_at_core(ctx, path, *options, pid=None):
    """One look at a core, checked as any other."""
    done = attach(ctx, *options, path)
    if done.status != 0 or done.err:
        raise Failure("the look at the core failed\n%s" % done)
    report = json.loads(done.out)
    check_report(report, pid, moment="core")
    return report


def findings(report):
    """What must not differ between a process and its core."""
    return sorted((f["id"], f["verdict"], f["count"], f["tasks"], f["wait"]["op"],
                   f["reason"]["code"], f["reason"]["text"]) for f in report["findings"])


def modules(report):
    return [[m[key] for key in "name path build_id start end offset".split()]
            for m in report["process"]["modules"]]


def check_same(live, core):
    for what in (findings, modules, lambda report: report["process"]["exe"],
                 lambda report: report["process"]["argv"],
                 lambda report: report["process"]["ppid"],
                 lambda report: [(t["id"], t["tid"], t["state"]) for t in report["tasks"]]):
        if what(live) != what(core):
            raise Failure("the core tells otherwise\n%s\n%s\nnotes: %s"
                          % (json.dumps(what(live), indent=1), json.dumps(what(core), indent=1),
                             core["notes"]))


def stuck_threads(report):
    return sorted(task["tid"] for task in report["tasks"] if task["verdict"] == "stuck")


def check_none_stuck(report):
    if report["summary"]["stuck"]:
        raise Failure("stuck: %s" % json.dumps(report["findings"], indent=1))


@contextlib.contextmanager
def running(ctx, argv, setting=None):
    program = Running(ctx, argv, setting)
    program.settle(SETTLE_S)
    try:
        yield program
    finally:
        program.kill()


def look_until_found(ctx, pid):
    """Threads may sleep on their way to where they hang: look until nothing more is found."""
    deadline = time.monotonic() + FOUND_S
    before, now = None, look(ctx, pid)
    while not now["findings"] or before is None or findings(before) != findings(now):
        if time.monotonic() > deadline:
            raise Failure("no end to what is found in the process itself")
        time.sleep(0.4)
        before, now = now, look(ctx, pid)
    return now


def same_by_gcore(ctx, name, variant, *args):
    binary = build(ctx, source_of(ctx, name), variant)
    with running(ctx, [binary, *args]) as program:
        live = look_until_found(ctx, program.pid)
        path = make_by_gcore(ctx, program.pid)
    check_same(live, look_at_core(ctx, path, pid=program.pid))


def make_by_kernel(ctx, argv, filter_bits=0x33):
    """A look, then the core that the kernel writes when the program dies."""
    kernel_pattern()
    folder = os.path.join(ctx.tmp, "kernel-%d-%x" % (os.getpid(), filter_bits))
    os.makedirs(folder)
    words = " ".join(shlex.quote(word) for word in argv)
    program = Running(ctx, ["sh", "-c", "ulimit -c unlimited; cd %s; "
                            "echo %d >/proc/self/coredump_filter; exec %s"
                            % (shlex.quote(folder), filter_bits, words)])
    program.settle(SETTLE_S)
    live = look_until_found(ctx, program.pid)
    os.kill(program.pid, signal.SIGABRT)
    program.child.wait(END_S)
    return live, program.pid, find_kernel_core(folder)


def same_by_kernel(ctx, name, *args):
    live, pid, path = make_by_kernel(ctx, [build(ctx, source_of(ctx, name), "-O2"), *args])
    check_same(live, look_at_core(ctx, path, pid=pid))


def filtered(ctx):
    """What the kernel was told to leave out makes nobody stuck; more of files does no harm."""
    argv = [build(ctx, source_of(ctx, "abba"), "-O2")]
    for bits in (0, 0x1, 0x30):
        live, pid, path = make_by_kernel(ctx, argv, bits)
        report = look_at_core(ctx, path, pid=pid)
        check_none_stuck(report)
        if not report["notes"]:
            raise Failure("nothing is said of what the core (%#x) lacks" % bits)
    for bits in (0x11, 0x7f):
        live, pid, path = make_by_kernel(ctx, argv, bits)
        check_same(live, look_at_core(ctx, path, pid=pid))


def same_from_outside(ctx):
    """gcore numbers threads as they are outside of the PID namespace, locks do not."""
    binary = build(ctx, source_of(ctx, "abba"), "-O2")
    with running(ctx, [binary], "pidns") as program:
        live = look_until_found(ctx, program.pid)
        path = make_by_gcore(ctx, program.pid)
    core = look_at_core(ctx, path)
    if findings(live) != findings(core) or not live["summary"]["stuck"]:
        raise Failure("%s\n%s" % (findings(live), findings(core)))


def read_key(path, key):
    with open(path, encoding="utf-8") as file:
        return " | ".join(re.findall(r"^ \* %s: +(.*\S)$" % key, file.read(), re.MULTILINE))


def live_programs(ctx):
    """Those in which nobody is stuck."""
    for path in sorted(glob.glob(ctx.path("tests", "programs", "[tk]_*.c"))):
        name = os.path.basename(path)[:-2]
        if (name not in NO_GCORE and read_key(path, "expect") == "none"
                and not read_key(path, "needs")):
            yield name


def none_stuck(ctx, name):
    source = source_of(ctx, name)
    for argument in read_key(source, "args").split("|"):
        if (name, argument.strip()) in NO_GCORE_OF:
            continue
        program = Running(ctx, [build(ctx, source, "-O2"), *filter(None, [argument.strip()])])
        program.settle(LIVE_SETTLE_S)
        try:
            path = make_by_gcore(ctx, program.pid)
        finally:
            program.kill()
        check_none_stuck(look_at_core(ctx, path))
        os.unlink(path)


# -- files ----------------------------------------------------------------------------------------


def private_core(ctx, name="abba"):
    """The look at a copy of a program, the core of it, and the path of that copy."""
    copy = os.path.join(ctx.tmp, "program-%d" % os.getpid())
    shutil.copy(build(ctx, source_of(ctx, name), "-O2"), copy)
    with running(ctx, [copy]) as program:
        live = look_until_found(ctx, program.pid)
        path = make_by_gcore(ctx, program.pid)
    return live, path, copy


def elsewhere(ctx):
    """The program has moved: --exe finds it; below --sysroot it is found with all its libraries."""
    live, path, copy = private_core(ctx)
    moved = copy + ".moved"
    os.rename(copy, moved)
    check_same(live, look_at_core(ctx, path, "--exe=" + moved))
    root = os.path.join(ctx.tmp, "root-%d" % os.getpid())
    for module in live["process"]["modules"]:
        if module["path"][0] != "/":
            continue
        inside = root + module["path"]
        os.makedirs(os.path.dirname(inside), exist_ok=True)
        shutil.copy(moved if module["path"] == copy else module["path"], inside)
    check_same(live, look_at_core(ctx, path, "--sysroot=" + root))
    check_absent(ctx, live, path, copy)
    check_without_libraries(ctx, path, moved)


def check_absent(ctx, live, path, copy):
    """Without the program nobody knows what it may do: nothing new is found, and that is said."""
    report = look_at_core(ctx, path)
    if not any(copy in note and "is not there" in note for note in report["notes"]):
        raise Failure("no note that the program is missing: %s" % report["notes"])
    if not set(stuck_threads(report)) <= set(stuck_threads(live)):
        raise Failure("more than was there: %s" % json.dumps(report["findings"], indent=1))


def check_without_libraries(ctx, path, exe):
    """Without the C library nothing is known of locks, and nothing proved."""
    empty = os.path.join(ctx.tmp, "empty-%d" % os.getpid())
    os.makedirs(empty)
    report = look_at_core(ctx, path, "--sysroot=" + empty, "--exe=" + exe)
    check_none_stuck(report)
    if not any("libc.so.6" in note and "is not there" in note for note in report["notes"]):
        raise Failure("no note that the C library is missing: %s" % report["notes"])


def check_refused(done, pattern):
    if done.status != 125 or done.out or done.err.count("\n") != 1 or not re.search(
            pattern, done.err):
        raise Failure("not refused as it should be (%s)\n%s" % (pattern, done))


def another_program(ctx):
    """A file with another build id is refused, whoever names it."""
    live, path, copy = private_core(ctx)
    other = build(ctx, source_of(ctx, "chain"), "-O2")
    build_id = next(module["build_id"] for module in live["process"]["modules"]
                    if module["path"] == copy)
    pattern = "build id [0-9a-f]{40}, %s ran.*that is not the file that ran" % build_id
    check_refused(attach(ctx, "--exe=" + other, path), pattern)
    shutil.copy(other, copy)
    check_refused(attach(ctx, path), pattern)
    check_refused(attach(ctx, "--exe=/etc/passwd", path), "is not a program for x86-64")
    check_refused(attach(ctx, "--exe=/no/such/file", path), "cannot open '/no/such/file'")
    check_refused(attach(ctx, "--sysroot=/no/such/folder", path), "cannot use the folder")


def another_library(ctx):
    """Another C library than the one that ran is left out."""
    live, path, copy = private_core(ctx)
    root = os.path.join(ctx.tmp, "root-%d" % os.getpid())
    for module in live["process"]["modules"]:
        if module["path"][0] == "/":
            os.makedirs(root + os.path.dirname(module["path"]), exist_ok=True)
            # The program's own file stands for any other ELF file.
            shutil.copy(copy, root + module["path"])
    report = look_at_core(ctx, path, "--sysroot=" + root)
    check_none_stuck(report)
    if not any("libc.so.6 is not the file that ran" in note for note in report["notes"]):
        raise Failure("no note of another C library: %s" % report["notes"])


# -- damage ---------------------------------------------------------------------------------------


def count(ctx, long, normal):
    return normal // 5 if ctx.quick else ctx.times(normal * 4) if long else normal


def try_core(ctx, path):
    """Read, or refused in one line; the report if it was read."""
    done = attach(ctx, path, timeout=SLOW_S)
    if done.status == 125:
        check_refused(done, "^strand: ")
        return None
    if done.status != 0 or done.err:
        raise Failure("a damaged core is neither read nor refused\n%s" % done)
    report = json.loads(done.out)
    check_report(report, None, moment="core")
    return report


def kernel_like(ctx, name, *args):
    binary = build(ctx, source_of(ctx, name), "-O2")
    with running(ctx, [binary, *args]) as program:
        made = make_by_gcore(ctx, program.pid)
    path = os.path.join(ctx.tmp, "ordered-%d-%s" % (os.getpid(), name))
    core = reorder(Core(made), path)
    os.unlink(made)
    return core


def cut_lengths(core, rng, n):
    """Within headers and notes, at borders of segments, in memory."""
    notes = core.notes()
    ends = [0, 1, 63, 64, core.head_bytes(), notes[2], notes[2] + 12, notes[2] + notes[5] - 1,
            notes[2] + notes[5]]
    ends += [fields[2] for fields in core.loads()]
    ends += [rng.randrange(core.bytes) for _ in range(n)]
    rng.shuffle(ends)
    return sorted(ends[:n], reverse=True)


def cut_short(ctx, long):
    """Whoever is stuck in a part is stuck in the whole; without all notes there is no look."""
    rng = random.Random(4)
    for name in ("abba", "pool"):
        core = kernel_like(ctx, name)
        whole = stuck_threads(look_at_core(ctx, core.path))
        notes_end = core.notes()[2] + core.notes()[5]
        for length in cut_lengths(core, rng, count(ctx, long, CUTS)):
            os.truncate(core.path, length)
            report = try_core(ctx, core.path)
            if report is None:
                continue
            if length < notes_end:
                raise Failure("threads were taken from half a list (%d of %d bytes)"
                              % (length, notes_end))
            found = stuck_threads(report)
            if not set(found) <= set(whole):
                raise Failure("cut to %d bytes: %s, not %s" % (length, found, whole))
            if not any("cut short" in note for note in report["notes"]):
                raise Failure("cut to %d bytes, and not said: %s" % (length, report["notes"]))


def flipped(ctx, long):
    """Any byte of headers and notes, and some of memory, where nobody is stuck."""
    rng = random.Random(5)
    core = kernel_like(ctx, "t_timed")
    end = core.notes()[2] + core.notes()[5]
    check_none_stuck(look_at_core(ctx, core.path))
    with open(core.path, "r+b", buffering=0) as file:
        for _ in range(count(ctx, long, FLIPS)):
            places = [rng.randrange(end if rng.random() < 0.9 else core.bytes)
                      for _ in range(rng.choice((1, 1, 1, 8, 64)))]
            before = [os.pread(file.fileno(), 1, place) for place in places]
            for place in places:
                os.pwrite(file.fileno(), bytes([rng.choice((0, 255, rng.randrange(256)))]), place)
            report = try_core(ctx, core.path)
            if report is not None:
                check_none_stuck(report)
            for place, byte in reversed(list(zip(places, before))):
                os.pwrite(file.fileno(), byte, place)


def elf_header(kind=4, machine=62, width=2, segments=0):
    return struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF" + bytes([width, 1, 1]), kind, machine, 1, 0,
                       64, 0, 0, 64, 56, segments, 0, 0, 0)


NO_CORES = (  # name, content, what is said
    ("empty", b"", "it is not a core file"),
    ("text", b"core\n" * 100, "it is not a core file"),
    ("program", elf_header(kind=3), "it is not a core file"),
    ("32-bit", elf_header(machine=3, width=1), "of a 32-bit program.*of another machine"),
    ("arm", elf_header(machine=183), "machine 183.*of another machine"),
    ("no-segments", elf_header(), "its program headers are not there"),
    ("half-a-table", elf_header(segments=3), "its program headers are not there"),
    ("no-threads", elf_header(segments=1) + bytes(56), "no thread is in the core"),
    ("zstd", b"\x28\xb5\x2f\xfd" + bytes(200), r"compressed with zstd \(unpack it first: unzstd"),
    ("xz", b"\xfd7zXZ\0" + bytes(200), r"compressed with xz \(unpack it first: unxz"),
    ("lz4", b"\x04\x22\x4d\x18" + bytes(200), r"compressed with lz4 \(unpack it first: unlz4"),
    ("gzip", b"\x1f\x8b\x08\0" + bytes(200), r"compressed with gzip \(unpack it first: gunzip"),
)


def no_cores(ctx):
    path = os.path.join(ctx.tmp, "no-core-%d" % os.getpid())
    for name, content, said in NO_CORES:
        with open(path, "wb") as file:
            file.write(content)
        check_refused(attach(ctx, path), said)
    check_refused(attach(ctx, ctx.tmp), "it is not a core file")
    check_refused(attach(ctx, "/no/such/core"), "cannot open '/no/such/core'")
    os.unlink(path)
    os.mkfifo(path)
    check_refused(attach(ctx, path), "it is not a core file")


def cases(ctx, long):
    for name in SAME_QUICK if ctx.quick else SAME:
        for variant in ("-O0", "-O2"):
            yield Case("cores/gcore/%s/%s" % (name, variant),
                       lambda n=name, v=variant: same_by_gcore(ctx, n, v))
    for name, word in REACH:
        yield Case("cores/gcore/%s/%s" % (name, word),
                   lambda n=name, w=word: same_by_gcore(ctx, n, "-O2", w))
        yield Case("cores/kernel/%s/%s" % (name, word),
                   lambda n=name, w=word: same_by_kernel(ctx, n, w))
    for name in KERNEL:
        yield Case("cores/kernel/" + name, lambda n=name: same_by_kernel(ctx, n))
    for name in live_programs(ctx):
        if long or name in LIVE:
            yield Case("cores/none/" + name, lambda n=name: none_stuck(ctx, n), timeout=400)
    yield Case("cores/kernel/filtered", lambda: filtered(ctx))
    yield Case("cores/gcore/from-outside", lambda: same_from_outside(ctx))
    yield Case("cores/files/elsewhere", lambda: elsewhere(ctx))
    yield Case("cores/files/another-program", lambda: another_program(ctx))
    yield Case("cores/files/another-library", lambda: another_library(ctx))
    yield Case("cores/damaged/cut", lambda: cut_short(ctx, long), amount=count(ctx, long, CUTS),
               timeout=600)
    yield Case("cores/damaged/flipped", lambda: flipped(ctx, long),
               amount=count(ctx, long, FLIPS), timeout=600)
    yield Case("cores/damaged/none", lambda: no_cores(ctx))
