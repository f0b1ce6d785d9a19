# SPDX-License-Identifier: MIT
"""Building programs, starting them, looking at them, and what must hold of any look.

build() makes a binary on demand; Running is a program that says `ready`; look() is one look in
JSON, checked against the schema; check_untraced() is what must be true of a process after any look,
however it ended.
"""
import collections
import contextlib
import ctypes.util
import glob
import json
import os
import re
import select
import shutil
import subprocess
import time

from strandtest import Failure, Skip

READY_S = 30  # until a program says ready
LOOK_S = 30  # for one look
END_S = 30  # until a program that was told to stop has ended
TOO_BUSY = "could be stopped (try again"
ATTEMPTS = 3

VARIANTS = {  # name: flags of gcc and g++, flags of rustc, compiler if not the usual one
    "-O0": (["-O0"], ["-Copt-level=0"], None),
    "-O2": (["-O2"], ["-Copt-level=2"], None),
    "static": (["-O2", "-static"], None, None),
    "static-pie": (["-O2", "-static-pie"], None, None),
    "no-pie": (["-O2", "-no-pie", "-fno-pie"], None, None),
    "stripped": (["-O2", "-s"], ["-Copt-level=2", "-Cstrip=symbols"], None),
    "static-stripped": (["-O2", "-static", "-s"], None, None),
    "no-cfi": (["-O2", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables"], None, None),
    "clang": (["-O2", "-Dnoipa=noinline"], None, "clang"),  # what it has of that
    "musl": (["-O2"], None, "musl-gcc"),
    "musl-static": (["-O2", "-static"], None, "musl-gcc"),
}
ALLOCATORS = {"jemalloc": "jemalloc", "tcmalloc": "tcmalloc_minimal", "mimalloc": "mimalloc"}
SETTINGS = ("pidns", "chroot", "deleted", *ALLOCATORS)  # of a program built with -O2
C_FLAGS = ["-g", "-Wall", "-Wextra", "-Werror", "-pthread"]

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
    "task": "id kind system name tid goid parent state verdict finding wait wait_reason labels"
            " stack created_by",
    "frame": "function file line module address",
    "module": "name path build_id start end offset",
}


def find_tool(name):
    path = shutil.which(name) or shutil.which(os.path.expanduser("~/.cargo/bin/" + name))
    if path is None:
        raise Skip("no " + name)
    return path


def compile_command(source, variant, binary):
    c_flags, rust_flags, compiler = VARIANTS[variant]
    suffix = os.path.splitext(source)[1]
    if suffix == ".rs":
        if rust_flags is None:
            raise Skip("there is no variant %s of Rust programs" % variant)
        return [find_tool("rustc"), "--edition=2021", "-g", "-Dwarnings"] + rust_flags + [
            "-o", binary, source]
    if suffix == ".cpp":
        tool, standard = "g++", "-std=gnu++20"
    else:
        tool, standard = compiler or "gcc", "-std=gnu11"
    return [find_tool(tool), standard] + C_FLAGS + c_flags + ["-o", binary, source]


def newest_source(source):
    """When the program, or a header that it may include, was last changed."""
    headers = [header for folder in (os.path.dirname(__file__), os.path.dirname(source))
               for header in glob.glob(os.path.join(folder, "*.h"))]
    return max(os.stat(path).st_mtime for path in [source, __file__] + headers)


def build(ctx, source, variant="-O2"):
    """The binary of that variant, made if it is missing or older than a source."""
    kind = "-O2" if variant in SETTINGS else variant
    name = os.path.splitext(os.path.basename(source))[0] + kind
    folder = os.path.join(ctx.cache, "programs")
    os.makedirs(folder, exist_ok=True)
    binary = os.path.join(folder, name)
    with ctx.lock("programs." + name):
        with contextlib.suppress(OSError):
            if os.stat(binary).st_mtime > newest_source(source):
                return binary
        fresh = os.path.join(folder, "new-%d" % os.getpid())
        done = ctx.run(compile_command(source, kind, fresh), timeout=120)
        if done.status:
            raise Failure("does not compile\n%s" % done)
        os.rename(fresh, binary)
    return binary


def build_library(ctx, source):
    """A shared library where build() puts programs."""
    library = os.path.join(ctx.cache, "programs", os.path.basename(source)[:-len(".c")] + ".so")
    os.makedirs(os.path.dirname(library), exist_ok=True)
    with ctx.lock("programs." + os.path.basename(library)):
        with contextlib.suppress(OSError):
            if os.stat(library).st_mtime > newest_source(source):
                return library
        fresh = "%s.%d" % (library, os.getpid())
        done = ctx.run([find_tool("gcc"), "-std=gnu11", "-O2", "-fPIC", "-shared", *C_FLAGS, "-o",
                        fresh, source])
        if done.status:
            raise Failure("does not compile\n%s" % done)
        os.rename(fresh, library)
    return library


def preloaded(setting):
    """The environment of a program that has another allocator in front of the C library's."""
    if setting not in ALLOCATORS:
        return None
    library = ctypes.util.find_library(ALLOCATORS[setting])
    if library is None:
        raise Skip("no lib" + ALLOCATORS[setting])
    return dict(os.environ, LD_PRELOAD=library)


def in_namespace(argv):
    unshare = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if os.geteuid() != 0:
        unshare += ["--user", "--map-root-user"]
    return unshare + argv


def in_new_root(ctx, argv):
    """A folder with the program and its libraries only: outside, none of its paths is right."""
    if os.geteuid() != 0:
        raise Skip("needs root")
    root = os.path.join(ctx.tmp, "root-%d" % os.getpid())
    libraries = re.findall(r"(/\S+) \(0x", ctx.run(["ldd", argv[0]]).out)
    for path in libraries:
        os.makedirs(root + os.path.dirname(path), exist_ok=True)
        shutil.copy(path, root + path)
    shutil.copy(argv[0], root + "/program")
    return ["chroot", root, "/program"] + argv[1:]


def as_copy(ctx, argv):
    copy = os.path.join(ctx.tmp, "copy-%d" % os.getpid())
    return [shutil.copy(argv[0], copy)] + argv[1:]


def replace_file(path):
    """As an upgrade does under a running program: another file has its name now."""
    os.unlink(path)
    with open(path, "w") as file:
        file.write("\x7fELF, but not that program\n" * 1000)


class Running:
    """A program under way in one of SETTINGS, or in none. pid is the process to look at."""

    def __init__(self, ctx, argv, setting=None):
        prepare = {"pidns": lambda: in_namespace(argv), "chroot": lambda: in_new_root(ctx, argv),
                   "deleted": lambda: as_copy(ctx, argv)}
        argv = prepare[setting]() if setting in prepare else argv
        self.child = ctx.spawn(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               env=preloaded(setting))
        os.set_blocking(self.child.stdout.fileno(), False)
        self.out = b""
        self._wait_ready(setting == "pidns")
        match = re.search(rb"^pid (\d+)$", self.out, re.MULTILINE)
        self.pid = self.child.pid
        if setting == "pidns":
            self.pid = inner_process(self.child.pid, int(match.group(1)) if match else 1)
        elif match:
            self.pid = int(match.group(1))
        if setting == "deleted":
            replace_file(argv[0])

    def read(self, timeout):
        """Take what it printed; False at the end of its output."""
        if not select.select([self.child.stdout], [], [], max(0, timeout))[0]:
            return True
        data = self.child.stdout.read()
        self.out += data or b""
        return data != b""

    def _wait_ready(self, namespace):
        deadline = time.monotonic() + READY_S
        while not re.search(rb"^ready$", self.out, re.MULTILINE):
            if not self.read(deadline - time.monotonic()):
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

    def order(self, letter):
        """Give an order to a program that obeys; it says when it is done (reach.h, keep.h)."""
        self.out = b""
        self.child.stdin.write(letter.encode())
        self.child.stdin.flush()
        deadline = time.monotonic() + READY_S
        while b"done\n" not in self.out:
            if time.monotonic() > deadline or not self.read(deadline - time.monotonic()):
                raise Failure("the program does not obey %s: %r" % (letter, self.out))

    def kill(self):
        """End one that will not end by itself."""
        self.child.kill()
        self.child.wait()
        self.child.stdin.close()
        self.child.stdout.close()

    def check_unharmed(self):
        """It is alive, and neither stopped nor traced."""
        if self.child.poll() is not None:
            raise Failure("the program ended during the looks: status %d" % self.child.returncode)
        check_untraced(self.pid)

    def end(self, how, word="ok"):
        """Tell it to stop; it must say that all is well, by a line with that word."""
        if how == "quit":
            self.child.stdin.write(b"q")
        else:
            os.kill(self.pid, how)
        self.child.stdin.close()
        deadline = time.monotonic() + END_S
        while time.monotonic() < deadline and self.read(deadline - time.monotonic()):
            pass
        try:
            status = self.child.wait(max(1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise Failure("the program did not stop when it was told to: %r" % self.out)
        if status != 0 or word not in self.out.decode().splitlines():
            raise Failure("the program ended with status %d and %r" % (status, self.out))


def inner_process(pid, inner):
    """The process that has the number `inner` in the namespace that pid, unshare, has made."""
    found = [pid]
    for parent in found:
        for tid in threads(parent):
            found += [int(child) for child in read_proc(parent, tid, "children").split()]
    for descendant in found[1:]:
        status = read_proc(descendant, descendant, "status")
        if re.search(r"^NSpid:\t\d+\t%d\b" % inner, status, re.MULTILINE):
            return descendant
    raise Failure("no process %d in the namespace; there are %s" % (inner, found[1:]))


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


def check_creator(creator):
    if creator is not None:
        require("task" in creator and "stack" in creator, "half a creator", creator)
        check_stack(creator["stack"])


def check_finding(finding, task_of):
    check_keys("finding", finding)
    require(finding["count"] == len(finding["tasks"]), "a count that is not the tasks'", finding)
    check_creator(finding["created_by"])
    {"stuck": check_stuck, "alive": check_alive, "unjoined": check_unjoined}[
        finding["verdict"]](finding)
    for name in finding["tasks"]:
        task = task_of.get(name)
        require(task, "a finding's task %s is not listed" % name, finding)
        require(task["finding"] == finding["id"] and task["verdict"] == finding["verdict"],
                "a task that does not agree with its finding", [task, finding])
        require(not task["system"], "a system task in a finding", task)
        if finding["verdict"] == "stuck":
            require(task["state"] == "blocked", "a stuck task not blocked", task)
        else:
            require((task["state"] == "ended") == (finding["verdict"] == "unjoined"),
                    "a task in a state that its verdict excludes", task)
            require(task["id"] != "T1", "main is never alive or unjoined", task)


def check_stuck(finding):
    check_wait(finding["wait"])
    check_stack(finding["stack"])
    require(finding["stack"], "a finding without a stack", finding)
    check_keys("reason", finding["reason"])
    require(finding["reason"]["code"] in CODES, "an unknown reason", finding)
    require(finding["reason"]["text"], "a reason without a text", finding)
    require(finding["wait"]["deadline"] is False, "stuck with a deadline", finding)


def check_alive(finding):
    if finding["wait"] is not None:
        check_wait(finding["wait"])
    check_stack(finding["stack"])
    if finding["reason"] is not None:
        check_keys("reason", finding["reason"])
        require(finding["reason"]["code"] in (None, "main-returned"), "alive has another reason",
                finding)


def check_unjoined(finding):
    require(finding["wait"] is None and finding["stack"] is None and (
        finding["reason"] is None or finding["reason"]["code"] is None),
        "an ended thread waits", finding)


def check_report(report, pid, moment="attach"):
    """What the schema promises of a report of one process; pid None: of any process."""
    check_keys("report", report)
    require(report["schema"] == "strand-report/1", "another schema", report["schema"])
    check_keys("process", report["process"])
    process, summary = report["process"], report["summary"]
    require(pid is None or process["pid"] == pid, "another pid", process["pid"])
    require(process["moment"] == moment, "another moment than %s" % moment, process["moment"])
    if moment == "attach":
        require(process["status"] is None and process["signal"] is None, "an end", process)
    for module in process["modules"]:
        check_keys("module", module)
    require(report["seen"] in ("full", "partial", "none"), "seen", report["seen"])
    require(report["proof"] in ("full", "owners", "none"), "proof", report["proof"])
    check_keys("summary", summary)
    task_of = {task["id"]: task for task in report["tasks"]}
    require(len(task_of) == len(report["tasks"]), "a task that is listed twice", list(task_of))
    if report["truncated"] is None and moment == "attach":
        require(summary["tasks"] == len(task_of), "another number of tasks", summary)
    for task in report["tasks"]:
        check_keys("task", task)
        require(task["state"] in STATES, "an unknown state", task)
        require((task["finding"] is None) == (task["verdict"] is None), "half a verdict", task)
        check_stack(task["stack"])
        check_creator(task["created_by"])
        if task["wait"] is not None:
            check_wait(task["wait"])
    require(len({finding["id"] for finding in report["findings"]}) == len(report["findings"]),
            "two findings of one id", [finding["id"] for finding in report["findings"]])
    for finding in report["findings"]:
        check_finding(finding, task_of)
    for verdict in ("stuck", "alive", "unjoined"):
        require(summary[verdict] == sum(finding["count"] for finding in report["findings"]
                                        if finding["verdict"] == verdict),
                "the summary does not agree with the findings", summary)
    check_groups([finding for finding in report["findings"] if finding["verdict"] == "stuck"])


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
    """One look in JSON, checked. A machine that was too busy to stop one thread is asked again."""
    for attempt in range(ATTEMPTS):
        done = ctx.run([ctx.strand, "attach", "--format=json", str(pid)], timeout=LOOK_S)
        if done.status != 125 or TOO_BUSY not in done.err or attempt == ATTEMPTS - 1:
            break
        print("%s, attempt %d" % (done.err.strip(), attempt + 1))
        time.sleep(0.5)
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


def saw_half(report):
    """The machine was so busy that the look says itself that it lacks something."""
    return report["seen"] != "full" or any("could not be" in note for note in report["notes"])


def show_findings(report):
    return json.dumps(report["findings"], indent=1)


def text_report(ctx, pid):
    done = ctx.run([ctx.strand, "attach", str(pid)], timeout=LOOK_S)
    if done.status != 0:
        raise Failure("the look failed\n%s" % done)
    return done.out
