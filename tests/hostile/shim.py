# SPDX-License-Identifier: MIT
"""Hostile programs with the shim: each must behave as without it.

A row of PROGRAMS is a program of shim/ and the arguments that it is run with, each of them in the
ways of WAYS: with the shim alone, by `strand run`, by `strand check`. Output and exit status must be
those of the bare program. What needs more than that is a function below, or in shim_settings.py.
"""
import glob
import json
import os
import subprocess
import tempfile
import time

from looking import C_FLAGS, find_tool
from strandtest import Case, Failure, Skip

PROGRAM_S = 60
READERS_AT_ONCE = 25
DAEMON_S = 10  # until what a program leaves behind has ended

# name: arguments ("" for none), what else it is. "LIB:x" is the path of a library x of shim/.
PROGRAMS = {
    "early": (["return", "exit", "quick"], {"libraries": ["lib_early"]}),
    "lock_malloc": ([""], {}),
    "forks": (["storm", "raw", "vfork", "spawn", "system", "popen", "twice", "handlers",
               "in_threads"], {}),
    "execs": (["threads", "alone"], {}),
    "cancel": (["cond", "cond_timed", "cond_clock", "sem", "sem_timed", "sem_clock", "join",
                "join_timed", "sleep", "asynchronous"], {}),
    "jumps": (["sem", "mutex", "rwlock", "sleep", "swapcontext"], {}),
    "storm": ([""], {}),
    "thread_ends": ([""], {}),
    "libraries": (["load LIB:lib_threads", "lazy LIB:lib_threads", "deepbind LIB:lib_threads",
                   "in_thread LIB:lib_threads", "throw LIB:lib_throws"], {}),
    "small_stack": ([""], {}),
    "old_cond": ([""], {}),
    "limits": (["files", "memory", "size0", "size1", "stack", "memory_later", "files_later",
                "size_later"], {}),
    "sandbox": (["strict", "filter", "filter_call", "filter_trap", "filter_late", "chroot", "user"],
                {"root": ("chroot", "user")}),
    "daemon": (["range", "from", "loop", "libc"], {}),
    "plain": (["", "said", "zero"], {}),
    "undisturbed": ([""], {}),
}


def newest(ctx):
    folders = (ctx.path("tests", "hostile", "shim"), ctx.path("tests", "programs"))
    return max(os.stat(path).st_mtime for folder in folders for path in
               glob.glob(os.path.join(folder, "*.h")))


def make(ctx, name, flags=(), compiler=None, suffix="", libraries=()):
    """A binary of shim/NAME, or with the name lib_... a library; made again if it is too old."""
    source = next(path for path in glob.glob(ctx.path("tests", "hostile", "shim", name + ".*")))
    shared = name.startswith("lib_")
    folder = os.path.join(ctx.cache, "shim")
    os.makedirs(folder, exist_ok=True)
    binary = os.path.join(folder, name + suffix + (".so" if shared else ""))
    links = [make(ctx, library) for library in libraries]
    with ctx.lock("shim." + name + suffix):
        if os.path.exists(binary) and os.stat(binary).st_mtime > max(os.stat(source).st_mtime,
                                                                    newest(ctx)):
            return binary
        tool = compiler or ("g++" if source.endswith(".cpp") else "gcc")
        standard = "-std=gnu++20" if source.endswith(".cpp") else "-std=gnu11"
        fresh = os.path.join(folder, "new-%d" % os.getpid())
        done = ctx.run([find_tool(tool), standard, "-O2", *C_FLAGS,
                        "-I" + ctx.path("tests", "programs"), *(["-fPIC", "-shared"] if shared
                                                                else []),
                        *flags, "-o", fresh, source, *links], timeout=120)
        if done.status:
            raise Failure("does not compile\n%s" % done)
        os.rename(fresh, binary)
    return binary


def shim_of(ctx):
    path = os.path.join(ctx.build, "libstrand.so")
    if not os.path.exists(path):
        raise Failure("there is no %s" % path)
    return path


def environment(ctx, folder, **more):
    """Tables in a folder of this test, so that what is left there is its own."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("STRAND_")}
    return dict(env, STRAND_DIR=folder, **more)


def fresh_folder(ctx, name):
    return tempfile.mkdtemp(prefix=name + ".", dir=ctx.tmp)


def as_shell(status):
    return 128 - status if status < 0 else status


def with_shim(ctx, argv, env):
    preload = shim_of(ctx) + (":" + env["LD_PRELOAD"] if "LD_PRELOAD" in env else "")
    return ctx.run(argv, timeout=PROGRAM_S, env=dict(env, LD_PRELOAD=preload))


def by_run(ctx, argv, env):
    return ctx.run([ctx.strand, "run", "--grace=20", "--", *argv], timeout=PROGRAM_S, env=env)


def by_check(ctx, argv, env):
    file = os.path.join(env["STRAND_DIR"], "report.json")
    done = ctx.run([ctx.strand, "check", "--grace=20", "--format=json:" + file, "--", *argv],
                   timeout=PROGRAM_S, env=env)
    try:
        with open(file, encoding="utf-8") as report:
            done.report = json.load(report)
        os.unlink(file)
    except (OSError, ValueError) as error:
        raise Failure("no report: %s\n%s" % (error, done))
    return done


WAYS = {"shim": with_shim, "run": by_run, "check": by_check}


def compare(bare, done, way):
    """Output and status are the bare program's, in the terms of a shell where strand stands between."""
    status = bare.status if way == "shim" else as_shell(bare.status)
    if done.status != status:
        raise Failure("%s: status %d, not %d\n%s\n--- bare\n%s" % (way, done.status, status, done,
                                                                bare))
    if done.out != bare.out:
        raise Failure("%s: another output\n%s\n--- bare\n%s" % (way, done, bare))


def check_left(folder):
    """Nothing but tables of processes that have ended, or no table at all, may be there."""
    left = [name for name in os.listdir(folder) if not name.endswith((".strand", ".control"))]
    if left:
        raise Failure("left in the folder of tables: %s" % left)


def check_removed(ctx, folder, env):
    """Any strand command removes the tables of processes that are gone. Daemons may take a while."""
    deadline = time.monotonic() + DAEMON_S
    while True:
        done = ctx.run([ctx.strand, "list"], env=env)
        left = os.listdir(folder)
        if done.status != 0:
            raise Failure("strand list fails\n%s" % done)
        if not left:
            return
        if time.monotonic() > deadline:
            raise Failure("tables of dead processes are left: %s\n%s" % (left, done))
        time.sleep(0.1)


def behave(ctx, name, argument, ways, rounds):
    """Bare, then in each of the ways."""
    _, options = PROGRAMS[name]
    libraries = options.get("libraries", [])
    flags = ["-Wl,-rpath," + os.path.join(ctx.cache, "shim")] if libraries else []
    binary = make(ctx, name, flags, libraries=libraries)
    words = [make(ctx, word[4:]) if word.startswith("LIB:") else word for word in argument.split()]
    folder = fresh_folder(ctx, "tables")
    env = environment(ctx, folder)
    bare = ctx.run([binary, *words], timeout=PROGRAM_S, env=env)
    if bare.status >= 98 or bare.status < 0:
        raise Failure("the program does not work bare\n%s" % bare)
    for _ in range(rounds):
        for way in ways:
            done = WAYS[way](ctx, [binary, *words], env)
            compare(bare, done, way)
            if way == "check" and done.report["summary"]["stuck"]:
                raise Failure("stuck\n%s" % json.dumps(done.report["findings"], indent=1)[:6000])
    check_left(folder)
    check_removed(ctx, folder, env)


def map_reader(ctx, way, rounds):
    """The reader must not see the map destroyed: what holds the exit holds it before destructors,
    here for longer than the reader would wait.
    """
    binary = make(ctx, "map_reader")
    folder = fresh_folder(ctx, "tables")
    env = environment(ctx, folder, STRAND_OPTIONS="--grace=600")
    if way == "shim":
        argv, env = [binary], dict(env, LD_PRELOAD=shim_of(ctx))
    else:
        argv = [ctx.strand, "check", "--format=json:/dev/null", "--", binary]
    for start in range(0, rounds, READERS_AT_ONCE):
        children = [ctx.spawn(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
                    for _ in range(READERS_AT_ONCE)]
        for child in children:
            out, err = child.communicate(timeout=PROGRAM_S)
            if child.returncode != 0 or out != b"read\n":
                raise Failure("round %d: status %d, %r\n%s" % (start, child.returncode, out,
                                                              err.decode("utf-8", "replace")))


def table_bytes(folder):
    return {name: os.stat(os.path.join(folder, name)).st_size for name in os.listdir(folder)
            if name.endswith(".strand")}


def read_line(child, line):
    said = child.stdout.readline().decode()
    if said != line + "\n":
        raise Failure("%r, not %r" % (said, line))


def sequence(ctx, number):
    """So many threads one after another: records are used again, the table does not grow."""
    binary = make(ctx, "many")
    folder = fresh_folder(ctx, "tables")
    child = ctx.spawn([binary, "sequence", str(number)], stdin=subprocess.PIPE,
                      stdout=subprocess.PIPE,
                      env=environment(ctx, folder, LD_PRELOAD=shim_of(ctx)))
    read_line(child, "half")
    half = table_bytes(folder)
    child.stdin.write(b"x")
    child.stdin.flush()
    read_line(child, "end")
    end = table_bytes(folder)
    child.stdin.write(b"x")
    child.stdin.close()
    if child.wait(PROGRAM_S) != 0:
        raise Failure("status %d" % child.returncode)
    if len(half) != 1 or half != end or max(half.values()) > 1 << 20:
        raise Failure("the table grows: %s, then %s" % (half, end))


def at_once(ctx, number):
    binary = make(ctx, "many")
    folder = fresh_folder(ctx, "tables")
    env = environment(ctx, folder)
    argv = [binary, "crowd", str(number)]
    bare = ctx.run(argv, timeout=PROGRAM_S, env=env)
    if bare.status != 0:
        raise Skip("so many threads cannot be had here")
    compare(bare, with_shim(ctx, argv, env), "shim")
    done = by_check(ctx, argv, env)
    compare(bare, done, "check")
    summary = done.report["summary"]
    if summary["lost"] or summary["alive"] or summary["unjoined"] or summary["stuck"]:
        raise Failure("not as it was: %s" % summary)


def cases(ctx, long):
    def case(name, function, *args, timeout=300):
        return Case("hostile/shim/" + name, lambda: function(ctx, *args), timeout, args,
                    waits=not name.startswith(("forks", "storm")))

    rounds = ctx.times(5) if long else 1
    for name, (arguments, options) in PROGRAMS.items():
        for argument in arguments:
            if argument in options.get("root", ()) and os.geteuid() != 0:
                continue
            full = name + ("-" + argument.split()[0].replace("_", "-") if argument else "")
            yield case(full.replace("_", "-"), behave, name, argument, list(WAYS), rounds)
    readings = 5 if ctx.quick else ctx.times(1000) if long else 20
    for way in ("shim", "check"):
        yield case("map-reader-" + way, map_reader, way, readings, timeout=600)
    yield case("threads-in-sequence", sequence, 100000 if long else 10000)
    yield case("threads-at-once", at_once, 10000 if long else 2000)
    import shim_settings
    yield from shim_settings.cases(ctx, long)
