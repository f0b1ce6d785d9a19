# SPDX-License-Identifier: MIT
"""Programs of tests/programs on other releases of glibc: the same verdicts on each.

A program is compiled against a release's own headers and libraries (roots.py) and runs with that
release's loader and libraries, whatever this system has; it is looked at from outside, and run by
`strand check` with the same libstrand.so as everywhere. A release that strand does not know is a copy
of one that it knows, which says another number: nothing of it may be relied upon.
"""
import fnmatch
import glob
import importlib.util
import os
import re
import shutil
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAMS = os.path.join(os.path.dirname(HERE), "programs")
sys.path[:0] = [HERE, PROGRAMS]

import checking  # noqa: E402
import looking  # noqa: E402
import roots  # noqa: E402
from looking import Running, build, look  # noqa: E402
from strandtest import Case, Failure, Skip  # noqa: E402

# glibc, and the release of Debian that has it
RELEASES = (("2.31", "bullseye"), ("2.36", "bookworm"), ("2.41", "trixie"))
UNKNOWN = "2.55"  # what the copy of the last but one says of itself
COPIED = "2.36", "bookworm"

# Programs in which something is stuck, and those that look alike and in which nothing is.
CHOSEN = """abba abba_* all_* cancel_beside_cycle chain cond_relock cxx_* cycle4 dl_lock_join
handler_* join_* lost_wakeup main_gone* many_waiters owner_* pool rdlock_* rwlock_* self self_*
r_* k_birth k_chain k_library k_places k_queue t_cancel t_cxx t_flockfile t_handler_posts t_libc_locks t_main_gone t_mutex_kinds t_once
t_pi_deadlock t_pingpong t_pshared t_rdlock_readers t_reach* t_rwlock_readers t_timed*""".split()
HERE_LIBRARIES = ["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu"]
ON_UNKNOWN = "abba", "rwlock_cycle", "join_cycle", "all_cond", "r_objects"
NOT_HERE = "musl", "rustc"  # what a program of another library needs
# Where main itself would stop at the page at which the thread is to stop.
NOT_ON = {("2.31", "k_birth", "first_push")}
# Unit tests of what depends on the release, with the libraries of those that are new enough for this
# system's other libraries.
UNIT_TESTS = "test_heap", "test_heap_damage"
NEW_ENOUGH = ("2.41", "trixie"),
BLOCKED_S = 10  # until its threads wait
WITHOUT_UNWINDER = ("2.31",)  # libstrand.so walks stacks of creators by frame pointers only, and says so
LIBRARIES_OF = (("-lrt", r"\bmq_|\baio_|\btimer_create|\bshm_open"),
                ("-ldl", r"\bdl(m?open|sym|addr)\b"), ("-lutil", r"\bopenpty"))


def load_programs():
    """tests/programs/harness.py, under a name of its own."""
    path = os.path.join(PROGRAMS, "harness.py")
    spec = importlib.util.spec_from_file_location("strand_programs", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def variant_of(release):
    return "glibc-" + release


def libraries_of(root):
    """Where the root's libraries are: the C library's own folder first."""
    folders = [os.path.join(root, name, "x86_64-linux-gnu") for name in ("lib", "usr/lib")]
    return [folder for folder in folders if os.path.isdir(folder)]


def cxx_headers(root):
    """Those of the root, if it has any, for a C++ library that is older than this compiler's."""
    for top in (root, "/"):
        found = [folder for pattern in ("usr/include/c++/*", "usr/include/*/c++/*")
                 for folder in sorted(glob.glob(os.path.join(top, pattern)))]
        if found:
            return found
    return []


def check_includes(program, root):
    """A C++ library may be too old for a program."""
    if program.suffix != ".cpp":
        return
    with open(program.path, encoding="utf-8") as file:
        names = re.findall(r"^#include <([^>]+)>", file.read(), re.MULTILINE)
    folders = cxx_headers(root) + [os.path.join(root, "usr/include")]
    for name in names:
        if not any(os.path.exists(os.path.join(folder, name)) for folder in folders):
            raise Skip("no <%s> in its C++ library" % name)


def loader_of(libraries):
    for folder in libraries:
        loader = os.path.join(folder, "ld-linux-x86-64.so.2")
        if os.path.exists(loader):
            return loader
    raise Failure("no loader in %s" % libraries)


def flags_of(program, root, libraries):
    """Compile against the root, run with the loader and the libraries of these folders."""
    headers = []
    if program.suffix == ".cpp":
        headers = ["-nostdinc++", *["-isystem" + folder for folder in cxx_headers(root)]]
    with open(program.path, encoding="utf-8") as file:
        text = file.read()
    more = [flag for flag, pattern in LIBRARIES_OF if re.search(pattern, text)]
    return ["-O2", "--sysroot=" + root, *headers,
            *["-B" + folder for folder in libraries_of(root)],
            *["-L" + folder for folder in libraries_of(root)],
            "-Wl,--dynamic-linker=" + loader_of(libraries),
            "-Wl,--disable-new-dtags,-rpath," + ":".join(libraries),
            *(["-Wl,--no-as-needed", *more, "-Wl,--as-needed"] if more else [])]


checking.NAMELESS += tuple(map(variant_of, WITHOUT_UNWINDER))


class OnRelease(Case):
    """A case of tests/programs on one release, or on those of several that have what it needs."""

    def __init__(self, ctx, inner, name, releases):
        super().__init__("releases/" + name, timeout=inner.timeout + 240, waits=True)
        self.ctx, self.inner, self.releases = ctx, inner, releases

    def run(self):
        skipped = [str(skip) for skip in map(self._prepare, self.releases) if skip]
        if len(skipped) == len(self.releases):
            raise Skip(skipped[0])
        if isinstance(self.inner, checking.Check):
            self.inner.runs = [run for run in self.inner.runs if run[0] in looking.VARIANTS]
        return self.inner.run()

    def _prepare(self, release_and_suite):
        """Make the release a variant of programs; the reason if that cannot be."""
        release, suite = release_and_suite
        try:
            root = roots.root_of(self.ctx, suite)
            check_includes(self.inner.program, root)
        except Skip as skip:
            return skip
        looking.VARIANTS[variant_of(release)] = (
            flags_of(self.inner.program, root, libraries_of(root)), None, None)


def says(old, new, data):
    """Another release in the banner and in what the library says to debuggers, nowhere else."""
    for words in (b"release version %s.", b"NPTL %s\0", b"glibc %s\0"):
        if words % old.encode() not in data:
            raise Failure("the library does not say %r" % (words % old.encode()))
        data = data.replace(words % old.encode(), words % new.encode())
    return data


def unknown_libraries(ctx):
    """The libraries of a known release, of which libc.so.6 says another number."""
    root = roots.root_of(ctx, COPIED[1])
    folder = os.path.join(roots.path_of(ctx, "unknown"))
    with ctx.lock("releases.unknown"):
        if not os.path.isdir(folder):
            fresh = "%s.%d" % (folder, os.getpid())
            os.makedirs(fresh)
            for path in glob.glob(os.path.join(libraries_of(root)[0], "*.so*")):
                shutil.copy(path, fresh)
            path = os.path.join(fresh, "libc.so.6")
            with open(path, "rb") as file:
                data = file.read()
            with open(path, "wb") as file:
                file.write(says(COPIED[0], UNKNOWN, data))
            os.rename(fresh, folder)
    return root, [folder, *libraries_of(root)[1:]]


def check_unknown(ctx, program):
    """Nothing is proved by what may be different there, and the report says why."""
    root, libraries = unknown_libraries(ctx)
    looking.VARIANTS[variant_of(UNKNOWN)] = flags_of(program, root, libraries), None, None
    binary = build(ctx, program.path, variant_of(UNKNOWN))
    running = Running(ctx, [binary] + [arg for arg in program.args[:1] if arg])
    deadline = time.monotonic() + BLOCKED_S
    running.settle(2)
    report = look(ctx, running.pid)
    while report["proof"] == "full" and time.monotonic() < deadline:  # nobody waits as yet
        time.sleep(0.2)
        report = look(ctx, running.pid)
    if not any(folder in module["path"] for module in report["process"]["modules"]
               for folder in libraries[:1]):
        raise Failure("it runs with another library: %s" % report["process"]["modules"])
    if report["summary"]["stuck"] or report["proof"] != "owners":
        raise Failure("proof %s\n%s" % (report["proof"], looking.show_findings(report)))
    if not any(UNKNOWN in note for note in report["notes"]):
        raise Failure("no note names the release: %s" % report["notes"])
    running.check_unharmed()


def chosen(programs, ctx):
    for path in programs.programs(PROGRAMS):
        name, suffix = os.path.splitext(os.path.basename(path))
        if suffix == ".rs" or not any(fnmatch.fnmatchcase(name, word) for word in CHOSEN):
            continue
        program = programs.Program(path)
        if "-O2" in program.variants and not any(need.startswith(NOT_HERE)
                                                 for need in program.needs):
            yield program


def arguments(program, release):
    return [arg for arg in program.args if (release, program.name, arg) not in NOT_ON]


def check_unit(ctx, suite, name):
    """A unit test by the loader of that release."""
    libraries = libraries_of(roots.root_of(ctx, suite))
    done = ctx.run([loader_of(libraries), "--library-path", ":".join(libraries + HERE_LIBRARIES),
                    os.path.join(ctx.build, "tests", "unit", name)], timeout=100)
    if done.status:
        raise Failure(str(done))


def checks(ctx, programs, program):
    """By strand check on all releases at once, but for those on which creators are half known."""
    for half in (False, True):
        some = [pair for pair in RELEASES if (pair[0] in WITHOUT_UNWINDER) == half]
        runs = [(variant_of(release), arg) for release, _ in some
                for arg in arguments(program, release)]
        if half:
            program = programs.Program(program.path)
            program.creators = []
        yield OnRelease(ctx, checking.Check(ctx, program, runs), "check/%s%s" % (
            program.name, "/old" if half else ""), some)


def cases(ctx, long):
    """All of them are long; what cannot be listed is found by make check, too."""
    found = list(all_cases(ctx))
    return found if long else []


def all_cases(ctx):
    programs = load_programs()
    for release, suite in NEW_ENOUGH:
        for name in UNIT_TESTS:
            yield Case("releases/%s/unit/%s" % (release, name),
                       lambda suite=suite, name=name: check_unit(ctx, suite, name), 400)
    for program in chosen(programs, ctx):
        for release, suite in RELEASES:
            for arg in arguments(program, release) if program.looked_at else ():
                inner = programs.look_case(ctx, program, variant_of(release), arg, False)
                name = "%s/%s%s" % (release, program.name, "/" + arg if arg else "")
                yield OnRelease(ctx, inner, name, [(release, suite)])
        if program.check not in ("no", "ends"):
            yield from checks(ctx, programs, program)
        if program.name in ON_UNKNOWN:
            yield Case("releases/unknown/" + program.name,
                       lambda program=program: check_unknown(ctx, program), 300, waits=True)
