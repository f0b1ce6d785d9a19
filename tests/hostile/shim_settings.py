# SPDX-License-Identifier: MIT
"""The shim where it is not at home: no room for tables, rights it does not have, other runtimes and
allocators beside it, debuggers around it, processes and supervisors that are killed.
"""
import contextlib
import glob
import json
import os
import random
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import time

from looking import find_tool
from shim import (
    by_check, by_run, compare, environment, fresh_folder, make, shim_of, with_shim)
from strandtest import Case, Failure, Skip

BLIND = 125
END_S = 30


def bare_of(ctx, argv, env):
    bare = ctx.run(argv, timeout=60, env=env)
    if bare.status != 3:
        raise Skip("does not work here: status %d, %s" % (bare.status, bare.err.strip()[:200]))
    return bare


def one_line(err, says):
    """strand says it in one line."""
    lines = [line for line in err.splitlines() if line.startswith("strand: ")]
    if len(lines) != 1 or not re.search(says, lines[0], re.IGNORECASE):
        raise Failure("not one line that says «%s»:\n%s" % (says, err))


def degraded(ctx, argv, env, says):
    """What the shim cannot see runs as ever; run says so, check fails unless a warning will do."""
    bare = bare_of(ctx, argv, env)
    done = by_run(ctx, argv, env)
    compare(bare, done, "run")
    one_line(done.err, says)
    done = ctx.run([ctx.strand, "check", "--if-blind=warn", "--", *argv], env=env)
    compare(bare, done, "check")
    one_line(done.err, says)
    done = ctx.run([ctx.strand, "check", "--", *argv], env=env)
    compare(bare, done, "check")  # its own status wins
    one_line(done.err, says)
    done = ctx.run([ctx.strand, "check", "--", *argv, "zero"], env=env)
    if done.out != bare.out or done.status != BLIND:
        raise Failure("blind, and not status 125\n%s" % done)
    one_line(done.err, says)


# No room for tables

def mounted(ctx, options, prepare, argv, env, **kwargs):
    """A command in a mount namespace of its own, where $STRAND_DIR is a small tmpfs."""
    if os.geteuid() != 0:
        raise Skip("needs root")
    find_tool("unshare")
    script = 'mount -t tmpfs -o %s tmpfs "$STRAND_DIR" && %s && exec "$@"' % (options, prepare)
    return ctx.run(["unshare", "--mount", "sh", "-c", script, "sh", *argv], env=env, **kwargs)


SMALL = {
    "full": ("size=64k,mode=700",
             'head -c 100000 /dev/zero >"$STRAND_DIR/x" 2>/dev/null; true'),
    "few-inodes": ("size=64m,nr_inodes=1,mode=700", "true"),
    "read-only": ("size=64m,mode=700", 'mount -o remount,ro "$STRAND_DIR"'),
    "small": ("size=128k,mode=700", "true"),  # room for the beginning of a table at most
}


def no_room(ctx, kind):
    options, prepare = SMALL[kind]
    binary = make(ctx, "plain")
    env = environment(ctx, fresh_folder(ctx, "tables"))
    bare = mounted(ctx, options, prepare, [binary], env)
    if "mount" in bare.err or "unshare" in bare.err:
        raise Skip("nothing may be mounted here")
    alone = mounted(ctx, options, prepare, ["env", "LD_PRELOAD=" + shim_of(ctx), binary], env)
    compare(bare, alone, "shim")
    done = mounted(ctx, options, prepare, [ctx.strand, "run", "--", binary], env)
    if kind == "small":
        compare(bare, done, "run")
        return
    check_no_tables(bare, done, "run")
    done = mounted(ctx, options, prepare, [ctx.strand, "check", "--", binary], env)
    check_no_tables(bare, done, "check")


def check_no_tables(bare, done, way):
    """Either it runs as if strand were absent, or strand refuses before it starts; one line."""
    if done.status == BLIND and not done.out:
        one_line(done.err, "tables|directory|folder|STRAND_DIR|space|read-only")
    else:
        compare(bare, done, way)
        one_line(done.err, "table|space|directory|folder")


def no_such_folder(ctx, path):
    """STRAND_DIR names what cannot be made."""
    binary = make(ctx, "plain")
    env = dict(environment(ctx, fresh_folder(ctx, "tables")), STRAND_DIR=path)
    bare = bare_of(ctx, [binary], env)
    compare(bare, with_shim(ctx, [binary], env), "shim")
    done = ctx.run([ctx.strand, "run", "--", binary], env=env)
    check_no_tables(bare, done, "run")


def folder_is_made(ctx):
    """… and what can be made is made, for its user alone."""
    binary = make(ctx, "plain")
    folder = os.path.join(fresh_folder(ctx, "tables"), "not", "yet")
    os.mkdir(os.path.dirname(folder))
    env = dict(environment(ctx, folder))
    bare = bare_of(ctx, [binary], env)
    compare(bare, ctx.run([ctx.strand, "run", "--", binary], env=env), "run")
    if stat.S_IMODE(os.stat(folder).st_mode) != 0o700:
        raise Failure("mode %o" % os.stat(folder).st_mode)


def foreign_folder(ctx):
    """A folder of another user is not used."""
    if os.geteuid() != 0:
        raise Skip("needs root")
    folder = fresh_folder(ctx, "tables")
    os.chown(folder, 65534, 65534)
    no_such_folder(ctx, folder)
    if os.listdir(folder):
        raise Failure("something was written to another user's folder")


# Other ways to be a program

def statically(ctx):
    binary = make(ctx, "plain", ["-static"], suffix="-static")
    degraded(ctx, [binary], environment(ctx, fresh_folder(ctx, "tables")), "static")


def musl(ctx):
    find_tool("musl-gcc")
    binary = make(ctx, "plain", compiler="musl-gcc", suffix="-musl")
    degraded(ctx, [binary], environment(ctx, fresh_folder(ctx, "tables")), "musl|C library|loader|shim")


@contextlib.contextmanager
def public_copies(*paths):
    """Copies of files that any user may execute, in a folder that allows set-user-ID."""
    folder = tempfile.mkdtemp(prefix="strand-test-")
    try:
        os.chmod(folder, 0o755)
        copies = [shutil.copy(path, folder) for path in paths]
        for copy in copies:
            os.chmod(copy, 0o755)
        yield copies
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def more_rights(ctx, kind):
    """The loader preloads nothing into a program with more rights than its caller."""
    if os.geteuid() != 0:
        raise Skip("needs root")
    find_tool("setpriv")
    with public_copies(make(ctx, "plain"), ctx.strand, shim_of(ctx)) as (binary, strand, library):
        tables = os.path.join(os.path.dirname(binary), "tables")
        os.mkdir(tables, 0o700)
        os.chown(tables, 65534, 65534)
        if kind == "setuid":
            os.chmod(binary, 0o4755)
        elif kind == "setgid":
            os.chmod(binary, 0o2755)
        elif ctx.run([find_tool("setcap"), "cap_net_raw=ep", binary]).status != 0:
            raise Skip("no file capabilities here")
        as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        env = environment(ctx, tables)
        bare = bare_of(ctx, as_nobody + [binary], env)
        alone = ctx.run(as_nobody + ["env", "LD_PRELOAD=" + library, binary], env=env)
        compare(bare, alone, "shim")
        done = ctx.run(as_nobody + [strand, "run", "--", binary], env=env)
        compare(bare, done, "run")
        one_line(done.err, "set-?u?g?[iu]?d?|capabilit|rights|privilege")


# Other runtimes and allocators

def sanitized(ctx, kind, compiler):
    """A program with a checker of its own; gcc's checkers insist on being the first library."""
    binary = make(ctx, "plain", ["-fsanitize=" + kind], compiler, "-%s-%s" % (kind, compiler))
    env = environment(ctx, fresh_folder(ctx, "tables"))
    bare = bare_of(ctx, [binary], env)
    if compiler == "clang":
        compare(bare, with_shim(ctx, [binary], env), "shim")
    compare(bare, by_run(ctx, [binary], env), "run")
    done = ctx.run([ctx.strand, "check", "--if-blind=warn", "--", binary], env=env)
    compare(bare, done, "check")


def beside(ctx, pattern):
    """Another library preloaded, behind the shim and before it."""
    found = glob.glob("/usr/lib/x86_64-linux-gnu/" + pattern)
    if not found:
        raise Skip("no " + pattern)
    other = sorted(found)[0]
    for program, argument in (("plain", []), ("thread_ends", []), ("forks", ["handlers"]),
                              ("cancel", ["cond"])):
        argv = [make(ctx, program), *argument]
        env = environment(ctx, fresh_folder(ctx, "tables"), LD_PRELOAD=other)
        bare = ctx.run(argv, env=env)
        compare(bare, with_shim(ctx, argv, env), "shim")
        compare(bare, ctx.run(argv, env=dict(env, LD_PRELOAD=other + ":" + shim_of(ctx))), "shim")
        done = by_check(ctx, argv, env)
        compare(bare, done, "check")
        if done.report["seen"] != "full":
            raise Failure("not seen\n%s" % done)


# Debuggers

def under_gdb(ctx):
    gdb = [find_tool("gdb"), "-nx", "-batch"]
    binary = make(ctx, "plain")
    env = environment(ctx, fresh_folder(ctx, "tables"))
    bare = ctx.run(gdb + ["-ex", "run", binary], env=env)
    if "exited with code 03" not in bare.out:
        raise Skip("gdb cannot run it here")
    done = ctx.run(gdb + ["-ex", "set environment LD_PRELOAD " + shim_of(ctx), "-ex", "run",
                          binary], env=env)
    if "exited with code 03" not in done.out or "the sum is 600" not in done.out:
        raise Failure("gdb around the shim\n%s" % done)
    done = by_run(ctx, gdb + ["-ex", "run", binary], env)
    if "exited with code 03" not in done.out or "the sum is 600" not in done.out:
        raise Failure("strand around gdb\n%s" % done)


def under_strace(ctx):
    strace = [find_tool("strace"), "-f", "-o", "/dev/null"]
    binary = make(ctx, "plain")
    env = environment(ctx, fresh_folder(ctx, "tables"))
    bare = bare_of(ctx, strace + [binary], env)
    done = ctx.run(strace + ["-E", "LD_PRELOAD=" + shim_of(ctx), binary], env=env)
    compare(bare, done, "shim")
    compare(bare, by_run(ctx, strace + [binary], env), "run")
    done = ctx.run(strace + [ctx.strand, "run", "--", binary], env=env, timeout=60)
    compare(bare, done, "run")


def under_valgrind(ctx):
    valgrind = [find_tool("valgrind"), "-q", "--error-exitcode=9"]
    binary = make(ctx, "plain")
    env = environment(ctx, fresh_folder(ctx, "tables"))
    bare = bare_of(ctx, valgrind + [binary], env)
    done = ctx.run(valgrind + [binary], env=dict(env, LD_PRELOAD=shim_of(ctx)), timeout=120)
    compare(bare, done, "shim")
    if done.err != bare.err:
        raise Failure("valgrind complains about the shim\n%s" % done)
    compare(bare, by_run(ctx, valgrind + [binary], env), "run")


# Killed

def kill_target(ctx, way, rounds):
    """The program is killed at a random moment: the table can be read, and goes away."""
    binary = make(ctx, "churning")
    folder = fresh_folder(ctx, "tables")
    chance = random.Random(rounds)
    for number in range(rounds):
        argument = ["forks"] if number % 2 else []
        try:
            kill_once(ctx, way, [binary, *argument], folder, chance.uniform(0, 0.05))
        except Failure as failure:
            raise Failure("round %d: %s" % (number + 1, failure))


def kill_once(ctx, way, argv, folder, delay):
    env = environment(ctx, folder)
    file = os.path.join(ctx.tmp, "killed.%d.json" % os.getpid())
    if way == "shim":
        child = ctx.spawn(argv, stdout=subprocess.PIPE, env=dict(env, LD_PRELOAD=shim_of(ctx)))
    else:
        child = ctx.spawn([ctx.strand, "check", "--format=json:" + file, "--", *argv],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
    if child.stdout.readline() != b"ready\n":
        raise Failure("the program does not begin: %s" % child.communicate(timeout=END_S)[1])
    time.sleep(delay)
    if way == "shim":
        child.kill()
        child.wait()
        look_at_tables(ctx, env)
    else:
        os.kill(first_child(child.pid), signal.SIGKILL)
        err = child.communicate(timeout=END_S)[1].decode()
        if child.returncode != 128 + signal.SIGKILL:
            raise Failure("status %d\n%s" % (child.returncode, err))
        with open(file, encoding="utf-8") as report:
            report = json.load(report)
        if report["process"]["moment"] != "killed" or report["summary"]["stuck"]:
            raise Failure("not the report of a killed process\n%s" % json.dumps(report)[:3000])
    for _ in range(100):  # children of it may take their time
        done = ctx.run([ctx.strand, "list"], env=env)
        if done.status != 0:
            raise Failure("strand list\n%s" % done)
        if not os.listdir(folder):
            return
        time.sleep(0.05)
    raise Failure("tables are left: %s\n%s" % (os.listdir(folder), done))


def look_at_tables(ctx, env):
    done = ctx.run([ctx.strand, "list"], env=env)
    if done.status != 0 or done.err:
        raise Failure("strand list\n%s" % done)


def first_child(pid):
    for _ in range(200):
        for tid in os.listdir("/proc/%d/task" % pid):
            with open("/proc/%d/task/%s/children" % (pid, tid)) as file:
                found = file.read().split()
            if found:
                return int(found[0])
        time.sleep(0.005)
    raise Failure("strand has no child")


def list_the_living(ctx):
    """strand list names what runs, and nothing that does not."""
    folder = fresh_folder(ctx, "tables")
    env = environment(ctx, folder)
    child = ctx.spawn([make(ctx, "churning")], stdout=subprocess.PIPE,
                      env=dict(env, LD_PRELOAD=shim_of(ctx)))
    child.stdout.readline()
    done = ctx.run([ctx.strand, "list"], env=env)
    if done.status or not re.search(r"\b%d\b.*churning" % child.pid, done.out):
        raise Failure("process %d is not listed\n%s" % (child.pid, done))
    child.kill()
    child.wait()
    done = ctx.run([ctx.strand, "list"], env=env)
    if done.status or re.search(r"\b%d\b" % child.pid, done.out):
        raise Failure("process %d is no more\n%s" % (child.pid, done))


def kill_supervisor(ctx, rounds, at_exit):
    """strand is killed; the program does not notice."""
    binary = make(ctx, "undisturbed")
    chance = random.Random(rounds)
    for number in range(rounds):
        env = environment(ctx, fresh_folder(ctx, "tables"))
        strand = [ctx.strand, "run", "--grace=%s" % ("30s" if at_exit else "10"), "--"]
        file = os.path.join(ctx.tmp, "status.%d" % os.getpid())
        with contextlib.suppress(OSError):
            os.unlink(file)
        child = ctx.spawn([*strand, "sh", "-c", '"$0"; echo $? >"$1.new"; mv "$1.new" "$1"', binary,
                           file], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env)
        if child.stdout.readline() != b"ready\n":
            raise Failure("the program does not begin")
        if at_exit and child.stdout.readline() != b"done\n":
            raise Failure("the program does not end")
        time.sleep(chance.uniform(0, 0.4))
        child.kill()
        child.wait()
        out = child.stdout.read()
        if not at_exit and out != b"done\n":
            raise Failure("round %d: the program said %r" % (number + 1, out))
        for _ in range(500):
            if os.path.exists(file):
                break
            time.sleep(0.01)
        with open(file) as status:
            if status.read() != "6\n":
                raise Failure("round %d: another status" % (number + 1))


def cases(ctx, long):
    def case(name, function, *args, timeout=300):
        return Case("hostile/shim/" + name, lambda: function(ctx, *args), timeout, args, waits=True)

    for kind in SMALL:
        yield case("tables-" + kind, no_room, kind)
    yield case("tables-nowhere", no_such_folder, "/proc/strand")
    yield case("tables-in-a-file", no_such_folder, "/etc/passwd")
    yield case("tables-in-dev-null", no_such_folder, "/dev/null/x")
    yield case("tables-of-another", foreign_folder)
    yield case("tables-folder-made", folder_is_made)
    yield case("static", statically)
    yield case("musl", musl)
    for kind in ("setuid", "setgid", "capability"):
        yield case(kind, more_rights, kind)
    for kind in ("address", "leak", "thread"):
        for compiler in ("gcc", "clang"):
            yield case("sanitizer-%s-%s" % (kind, compiler), sanitized, kind, compiler)
    for name, pattern in (("jemalloc", "libjemalloc.so*"), ("tcmalloc", "libtcmalloc*.so*")):
        yield case("beside-" + name, beside, pattern)
    yield case("under-gdb", under_gdb)
    yield case("under-strace", under_strace)
    yield case("under-valgrind", under_valgrind)
    kills = 3 if ctx.quick else ctx.times(200) if long else 10
    for way in ("shim", "check"):
        yield case("killed-" + way, kill_target, way, kills, timeout=900)
    yield case("listed", list_the_living)
    yield case("supervisor-killed", kill_supervisor, ctx.times(30) if long else 4, False)
    yield case("supervisor-killed-at-exit", kill_supervisor, ctx.times(20) if long else 2, True)
