# SPDX-License-Identifier: MIT
"""What cannot be run, and tables that are none: one clear line, the right status, nothing left."""
import os
import struct
import subprocess

from bad_input import check_refusal, refuse
from shim import environment, fresh_folder, make, shim_of
from strandtest import Case, Failure

COMMANDS = ("run", "check")


def check_line(done, status, says):
    """As check_refusal(), with another status."""
    if done.status != status:
        raise Failure("not status %d\n%s" % (status, done))
    check_refusal(125, done.out, done.err, says)


def check_empty(folder):
    if os.listdir(folder):
        raise Failure("left in the folder of tables: %s" % os.listdir(folder))


def text_file(ctx):
    path = os.path.join(ctx.tmp, "text.%d" % os.getpid())
    with open(path, "w") as file:
        file.write("this is no program,\nand does not say what would read it\n")
    os.chmod(path, 0o755)
    return path


def broken_program(ctx):
    """It begins like a program."""
    path = os.path.join(ctx.tmp, "broken.%d" % os.getpid())
    with open(path, "wb") as file:
        file.write(b"\x7fELF\x02\x01\x01" + b"\xff" * 500)
    os.chmod(path, 0o755)
    return path


def lost_interpreter(ctx):
    path = os.path.join(ctx.tmp, "script.%d" % os.getpid())
    with open(path, "w") as file:
        file.write("#!/nonexistent/interpreter\n")
    os.chmod(path, 0o755)
    return path


# name: the program, the status, what the line says
PROGRAMS = {
    "missing": (lambda ctx: "/nonexistent/program", 127, "/nonexistent/program"),
    "missing-in-path": (lambda ctx: "strand-no-such-program", 127, "strand-no-such-program"),
    "empty-name": (lambda ctx: "", 127, "program|name|found"),
    "folder": (lambda ctx: "/tmp", 126, "/tmp"),
    "not-executable": (lambda ctx: "/etc/passwd", 126, "/etc/passwd"),
    "below-a-file": (lambda ctx: "/etc/passwd/x", 126, "/etc/passwd/x"),
    "text": (text_file, 126, "text"),
    "broken": (broken_program, 126, "broken"),
    "lost-interpreter": (lost_interpreter, 127, "script|interpreter"),
    "long-name": (lambda ctx: "/" + "x" * 300, 126, "name|long"),
}


def cannot_run(ctx, command, name):
    program, status, says = PROGRAMS[name]
    folder = fresh_folder(ctx, "tables")
    env = environment(ctx, folder)
    done = ctx.run([ctx.strand, command, "--", program(ctx), "argument"], timeout=20, env=env)
    check_line(done, status, says)
    check_empty(folder)


# PROGRAM stands for one that could be run.
COMMAND_LINES = {
    "nothing": [],
    "dashes-only": ["--"],
    "unknown-option": ["--nonsense", "PROGRAM"],
    "unknown-letter": ["-Q", "PROGRAM"],
    "timeout-text": ["--timeout=soon", "PROGRAM"],
    "timeout-negative": ["--timeout=-1", "PROGRAM"],
    "timeout-empty": ["--timeout=", "PROGRAM"],
    "timeout-overflow": ["--timeout=99999999999999999999", "PROGRAM"],
    "grace-text": ["--grace=long", "PROGRAM"],
    "grace-negative": ["--grace=-5", "PROGRAM"],
    "grace-unit": ["--grace=5fortnights", "PROGRAM"],
    "max-pause-text": ["--max-pause=x", "PROGRAM"],
    "max-tasks-text": ["--max-tasks=x", "PROGRAM"],
    "unknown-format": ["--format=yaml2", "PROGRAM"],
    "format-no-folder": ["--format=json:/nonexistent/report", "PROGRAM"],
    "output-no-folder": ["-o", "/nonexistent/report", "PROGRAM"],
    "output-is-a-folder": ["-o", "/tmp", "PROGRAM"],
    "two-on-stderr": ["--format=text", "--format=json", "PROGRAM"],
    "fail-on-unknown": ["--fail-on=sleepy", "PROGRAM"],
    "exit-code-text": ["--exit-code=x", "PROGRAM"],
    "exit-code-too-large": ["--exit-code=256", "PROGRAM"],
}
ONLY_CHECK = {
    "if-blind-unknown": ["--if-blind=perhaps", "PROGRAM"],
    "if-blind-empty": ["--if-blind=", "PROGRAM"],
}


def bad_line(ctx, command, words):
    """The program is not even started."""
    folder = fresh_folder(ctx, "tables")
    mark = os.path.join(ctx.tmp, "mark.%d" % os.getpid())
    argv = []
    for word in words:
        argv += ["touch", mark] if word == "PROGRAM" else [word]
    refuse(ctx, [ctx.strand, command, *argv], env=environment(ctx, folder))
    if os.path.exists(mark):
        raise Failure("the program was run")
    check_empty(folder)


def bad_options(ctx, command, options):
    folder = fresh_folder(ctx, "tables")
    refuse(ctx, [ctx.strand, command, "true"], env=environment(ctx, folder, STRAND_OPTIONS=options))
    check_empty(folder)


def options_for_the_shim_alone(ctx):
    """Without strand there is nobody to complain to: the program runs."""
    env = environment(ctx, fresh_folder(ctx, "tables"), STRAND_OPTIONS="--nonsense --grace=x",
                      LD_PRELOAD=shim_of(ctx))
    done = ctx.run([make(ctx, "plain")], env=env)
    if done.status != 3 or done.out != "the sum is 600\n":
        raise Failure(str(done))


# Files in the folder of tables that are no tables

def start_ticks(pid):
    with open("/proc/%d/stat" % pid, "rb") as file:
        return int(file.read().rpartition(b")")[2].split()[19])


def damage(table, how):
    """A table, changed so that whoever believes it is led astray."""
    data = bytearray(table)
    if how == "empty":
        return b""
    if how == "garbage":
        return bytes((7 * i * i + 3 * i) & 255 for i in range(100000))
    if how == "text":
        return b"strandT\nthis is no table\n"
    if how == "header-only":
        return bytes(data[:4096])
    if how == "half-header":
        return bytes(data[:600])
    if how == "half":
        return bytes(data[:len(data) // 2])
    if how == "version":
        data[8:12] = struct.pack("<I", 999)
    elif how == "segments":
        data[76:80] = struct.pack("<I", 0xffffffff)
    elif how == "segment-offsets":
        for i in range(240):
            data[1184 + 16 * i:1200 + 16 * i] = struct.pack("<QII", 2 ** 63 + i, 0xfffffff0, 1 + i % 3)
    elif how == "ones":
        data[160:] = b"\xff" * (len(data) - 160)
    elif how == "task-size":
        data[16:20] = struct.pack("<I", 1)
    elif how == "records":
        for at in range(8192, len(data) - 8, 8):
            data[at:at + 8] = struct.pack("<Q", (at * 0x9e3779b97f4a7c15) & (2 ** 64 - 1))
    return bytes(data)


DAMAGES = ("empty", "garbage", "text", "header-only", "half-header", "half", "version", "segments",
           "segment-offsets", "ones", "task-size", "records")


def damaged_table(ctx, how):
    """Looked at with a damaged table, a process is seen as without one; nothing crashes."""
    folder = fresh_folder(ctx, "tables")
    env = environment(ctx, folder)
    child = ctx.spawn([make(ctx, "undisturbed")], stdout=subprocess.PIPE,
                      env=dict(env, LD_PRELOAD=shim_of(ctx)))
    child.stdout.readline()
    names = [name for name in os.listdir(folder) if name.endswith(".strand")]
    if len(names) != 1:
        raise Failure("not one table: %s" % names)
    path = os.path.join(folder, names[0])
    with open(path, "rb") as file:
        table = file.read()
    child.kill()
    child.wait()
    sleeper = ctx.spawn(["sleep", "600"])
    other = os.path.join(folder, "%d.%d.0.strand" % (sleeper.pid, start_ticks(sleeper.pid)))
    with open(other, "wb") as file:
        file.write(damage(table, how))
    look_beside(ctx, env, ["list"], (0,))
    look_beside(ctx, env, ["attach", str(sleeper.pid)], (0, 125))
    look_beside(ctx, env, ["attach", "--format=json", str(sleeper.pid)], (0, 125))
    sleeper.kill()
    sleeper.wait()
    look_beside(ctx, env, ["list"], (0,))
    check_empty(folder)


def look_beside(ctx, env, words, statuses):
    done = ctx.run([ctx.strand, *words], timeout=20, env=env)
    if done.status not in statuses:
        raise Failure("status %d\n%s" % (done.status, done))
    if done.status == 125:
        check_refusal(done.status, done.out, done.err)


def strangers(ctx):
    """Files that are not strand's stay; strand does not stumble over them."""
    folder = fresh_folder(ctx, "tables")
    env = environment(ctx, folder)
    kept = ["notes.txt", "1.2.strand.bak", "x.y.z.strand", "-1.0.0.strand",
            "99999999999999999999.1.0.strand"]
    for name in kept:
        with open(os.path.join(folder, name), "w") as file:
            file.write("kept\n")
    os.mkdir(os.path.join(folder, "4194305.1.0.strand"))
    look_beside(ctx, env, ["list"], (0,))
    done = ctx.run([ctx.strand, "check", "--", make(ctx, "plain")], env=env)
    if done.status != 3 or done.out != "the sum is 600\n":
        raise Failure(str(done))
    missing = [name for name in kept if not os.path.exists(os.path.join(folder, name))]
    if missing:
        raise Failure("strand has removed %s" % missing)


def cases(ctx):
    def case(name, function, *args):
        return Case("hostile/refused/" + name, lambda: function(ctx, *args))

    for command in COMMANDS:
        for name in PROGRAMS:
            yield case("%s-%s" % (command, name), cannot_run, command, name)
        lines = dict(COMMAND_LINES, **(ONLY_CHECK if command == "check" else {}))
        for name, words in lines.items():
            yield case("%s-%s" % (command, name), bad_line, command, words)
        for name, options in (("unknown", "--nonsense"), ("value", "--grace=x"),
                              ("quote", "--format='json")):
            yield case("%s-environment-%s" % (command, name), bad_options, command, options)
    yield case("shim-environment", options_for_the_shim_alone)
    for how in DAMAGES:
        yield case("table-" + how, damaged_table, how)
    yield case("table-strangers", strangers)
