# SPDX-License-Identifier: MIT
"""What stands in front of the C library: exports and imports of libstrand.so, and its wrappers.

Each program checks itself and says "ok": bare, with libstrand.so, and with libtrace.so, which is made
of the same wrappers but keeps what they say, so that the program can check that, too (trace.h).
"""
import contextlib
import os
import re
import shutil
import struct

from looking import find_tool
from recording import library
from strandtest import Case, Failure

PROGRAMS = ("waits", "c11", "cxx", "old_cond", "cancel", "syscalls", "handlers", "errno", "stack")
ROW = re.compile(r"^(FUNCTION|OLD_FUNCTION|EXPORTED|HELPER)\((?:[^,(]*, *)?(\w+)", re.M)
SYMBOL = re.compile(r"^\s*\d+:\s+[0-9a-f]+\s+\d+\s+(\w+)\s+(\w+)\s+\w+\s+(\w+)\s+([\w@.]+)")
# All that the shim asks of the C library by name; the last line is what compilers put in.
IMPORTS = set("""
    __environ environ __errno_location __sigsetjmp getauxval gnu_get_libc_version dlsym dlvsym
    __pthread_register_cancel __pthread_unregister_cancel __pthread_unwind_next
    __stack_chk_fail memcpy memmove memset memcmp""".split())
NEWEST = (2, 16)  # version of an import
STATIC_TLS = 1024  # what is left for dlopen() in a small process, and fits a 16 KiB stack
DT_NULL, DT_DEBUG, DT_IGNORED = 0, 21, 0x6ffffef8
PT_DYNAMIC = 2


def require(condition, text, *args):
    if not condition:
        raise Failure(text % args if args else text)


# -- exports and imports -------------------------------------------------------------------------------

def table(ctx):
    with open(ctx.path("preload", "functions.def")) as file:
        rows = ROW.findall(file.read())
    return {kind: {name for found, name in rows if found == kind}
            for kind in ("FUNCTION", "OLD_FUNCTION", "EXPORTED", "HELPER")}


def readelf(ctx, option, path=None):
    done = ctx.run(["readelf", "-W", option, path or os.path.join(ctx.build, "libstrand.so")])
    require(not done.status, "readelf: %s", done)
    return done.out


def symbols(ctx):
    """Of the dynamic table: exports and imports, as sets of name@version."""
    exports, imports = set(), set()
    for line in readelf(ctx, "--dyn-syms").splitlines():
        found = SYMBOL.match(line)
        if found and not found.group(4).startswith("@"):
            (imports if found.group(3) == "UND" else exports).add(found.group(4))
    return {name for name in exports if not name.startswith("GLIBC_")}, imports


def check_exports(ctx):
    """Just the functions of the table, and a version only for those that exist twice."""
    rows = table(ctx)
    require(len(rows["FUNCTION"]) > 50 and len(rows["OLD_FUNCTION"]) == 6, "%r", rows)
    expected = rows["EXPORTED"] | rows["FUNCTION"] - rows["OLD_FUNCTION"]
    for name in rows["OLD_FUNCTION"]:
        expected |= {name + "@GLIBC_2.2.5", name + "@@GLIBC_2.3.2"}
    found = symbols(ctx)[0]
    require(found == expected, "exported and not in the table: %s\nin the table, not exported: %s",
            sorted(found - expected), sorted(expected - found))


def check_imports(ctx):
    """Nothing that is wrapped, nothing that allocates, nothing new."""
    found = symbols(ctx)[1]
    names = {symbol.split("@")[0] for symbol in found}
    require("getauxval" in names, "imports: %r", found)
    require(names <= IMPORTS, "the shim calls %s", sorted(names - IMPORTS))
    for symbol in found:
        version = re.search(r"@GLIBC_([\d.]+)$", symbol)
        require(version and tuple(map(int, version.group(1).split("."))) <= NEWEST,
                "%s is too new", symbol)


def check_dynamic(ctx):
    text = readelf(ctx, "-d")
    needed = set(re.findall(r"NEEDED.*\[(.*)\]", text))
    require(needed and needed <= {"libc.so.6", "ld-linux-x86-64.so.2"}, "needed: %r", needed)
    flags = re.search(r"FLAGS_1\)\s+Flags: (.*)", text).group(1).split()
    require({"NOW", "NODELETE"} <= set(flags) and "INITFIRST" not in flags, "flags: %r", flags)
    for word in ("TEXTREL", "RPATH", "RUNPATH"):
        require(word not in text, "the library has a %s", word)
    segments = readelf(ctx, "-l")
    tls = re.search(r"^\s+TLS\s+\S+ \S+ \S+ \S+ (0x[0-9a-f]+)", segments, re.M)
    require(not tls or int(tls.group(1), 16) <= STATIC_TLS, "too much static TLS:\n%s", segments)
    require("GNU_STACK" in segments and "RWE" not in segments, "executable data:\n%s", segments)


# -- the wrappers --------------------------------------------------------------------------------------

def includes(ctx):
    return [word for folder in ("src", "preload", "tests/preload")
            for word in ("-iquote", ctx.path(folder))]


def newest(ctx):
    folders = [ctx.path(*folder) for folder in (("preload",), ("tests", "preload"), ("src",))]
    return max(entry.stat().st_mtime for folder in folders for entry in os.scandir(folder)
               if entry.is_file())


def made(ctx, name, sources, *flags):
    """A program or library of tests/preload, made when something has changed."""
    folder = os.path.join(ctx.cache, "preload")
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, name)
    with ctx.lock("preload." + name):
        with contextlib.suppress(OSError):
            if os.stat(path).st_mtime > newest(ctx):
                return path
        cxx = sources[0].endswith(".cpp")
        fresh = "%s.new-%d" % (path, os.getpid())
        done = ctx.run([find_tool("g++" if cxx else "gcc"), "-std=gnu++20" if cxx else "-std=gnu11",
                        *([] if cxx else ["-D_GNU_SOURCE"]), "-g", "-O2", "-Wall", "-Wextra",
                        "-Werror", *includes(ctx), "-o", fresh, *sources, *flags], timeout=120)
        require(not done.status, "does not compile\n%s", done)
        os.rename(fresh, path)
    return path


def program(ctx, name):
    source = ctx.path("tests", "preload", name + (".cpp" if name == "cxx" else ".c"))
    return made(ctx, name, [source], *(["-fnon-call-exceptions"] if name == "cxx" else []))


def libtrace(ctx):
    wrappers = [name for name in sorted(os.listdir(ctx.path("preload")))
                if re.match(r"wrap_.*\.c$|(capture|capture_x86_64|clock|image|real)\.[cS]$", name)]
    require(len(wrappers) > 10, "only %r", wrappers)
    return made(ctx, "libtrace.so",
                [ctx.path("preload", name) for name in wrappers] +
                [ctx.path("tests", "preload", "trace_record.c")],
                "-shared", "-fPIC", "-fvisibility=hidden", "-ftls-model=initial-exec",
                "-nostartfiles", "-Wl,--no-undefined", "-Wl,-z,now",
                "-Wl,--version-script=" + ctx.path("preload", "libstrand.map"))


def early(ctx):
    return made(ctx, "early.so", [ctx.path("tests", "preload", "early.c")], "-shared", "-fPIC")


def libraries(ctx):
    """What programs are tried with: a word for it, and the libraries to preload."""
    return (("bare", []), ("libtrace.so", [libtrace(ctx)]),
            ("libstrand.so", [library(ctx)]))


def run(ctx, argv, preload, **env):
    directory = os.path.join(ctx.tmp, "tables-%d" % os.getpid())
    os.makedirs(directory, mode=0o700, exist_ok=True)
    full = {name: value for name, value in os.environ.items()
            if not name.startswith("STRAND_") and name != "LD_PRELOAD"}
    full.update(STRAND_DIR=directory, **env)
    if preload:
        full["LD_PRELOAD"] = ":".join(preload)
    return ctx.run(argv, env=full)


def require_ok(word, done):
    require(done.status == 0 and done.out.endswith("ok\n") and not done.err, "%s: %s", word, done)


def check_program(ctx, name):
    path = program(ctx, name)
    for word, preload in libraries(ctx):
        require_ok(word, run(ctx, [path], preload))


def check_early(ctx):
    """Constructors before the shim's, destructors after it."""
    path = program(ctx, "c11")
    for word, preload in libraries(ctx):
        done = run(ctx, [path], preload + [early(ctx)], EARLY_TELLS="1")
        require(done.status == 0 and done.out == "ok\n", "%s: %s", word, done)
        require(done.err == "early: begun\nearly: ended\n", "%s: %s", word, done)


def check_behind(ctx):
    """Another interposer behind the shim gets each call once, whatever its hash table."""
    path = program(ctx, "behind_me")
    counts = set()
    for style in ("gnu", "sysv"):
        behind = made(ctx, "behind-%s.so" % style, [ctx.path("tests", "preload", "behind.c")],
                      "-shared", "-fPIC", "-Wl,--hash-style=" + style)
        for word, preload in libraries(ctx):
            done = run(ctx, [path], preload + [behind])
            require(done.status == 0 and done.out == "ok\n", "%s: %s", word, done)
            counts.add(done.err)
    require(counts == {"behind: 5 1 2\n"}, "%r", counts)


def hide_list(path):
    """Take DT_DEBUG out of a program: the loader's list cannot be found then."""
    with open(path, "r+b") as file:
        data = file.read()
        offset, = struct.unpack_from("<Q", data, 32)
        size, count = struct.unpack_from("<HH", data, 54)
        for i in range(count):
            kind, _, at = struct.unpack_from("<IIQ", data, offset + i * size)
            if kind == PT_DYNAMIC:
                break
        else:
            raise Failure("no dynamic section in " + path)
        while struct.unpack_from("<Q", data, at)[0] != DT_DEBUG:
            require(struct.unpack_from("<Q", data, at)[0] != DT_NULL, "no DT_DEBUG in %s", path)
            at += 16
        file.seek(at)
        file.write(struct.pack("<Q", DT_IGNORED))


def check_hidden_list(ctx):
    """Then dlsym() finds what is behind the shim."""
    path = os.path.join(ctx.tmp, "hidden-%d" % os.getpid())
    shutil.copy(program(ctx, "waits"), path)
    hide_list(path)
    for word, preload in libraries(ctx):
        require_ok(word, run(ctx, [path], preload))
        if preload:
            require_ok(word, run(ctx, [path], preload + [early(ctx)]))


def check_loader(ctx):
    """A program that the loader is started with, by name."""
    path = program(ctx, "waits")
    loader = re.search(r"interpreter: (.*)\]", readelf(ctx, "-l", path)).group(1)
    for word, preload in libraries(ctx):
        require_ok(word, run(ctx, [loader, path], preload))


def cases(ctx, long):
    yield Case("exports", lambda: check_exports(ctx))
    yield Case("imports", lambda: check_imports(ctx))
    yield Case("dynamic", lambda: check_dynamic(ctx))
    for name in PROGRAMS:
        yield Case("wrap-" + name, lambda n=name: check_program(ctx, n))
    yield Case("wrap-early", lambda: check_early(ctx))
    yield Case("wrap-behind", lambda: check_behind(ctx))
    yield Case("wrap-hidden-list", lambda: check_hidden_list(ctx))
    yield Case("wrap-by-loader", lambda: check_loader(ctx))
