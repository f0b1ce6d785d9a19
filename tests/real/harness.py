# SPDX-License-Identifier: MIT
"""Real programs under strand: output and exit status as without it, and nothing stuck.

Nothing is installed; what is not there is skipped. COMMANDS run to their end bare, by `strand run`
and by `strand check`; the servers of tests/hostile/servers.py serve their clients under strand.
"""
import contextlib
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(os.path.dirname(HERE), name) for name in ("hostile", "programs")]

import servers  # noqa: E402
from looking import find_tool, read_proc, threads  # noqa: E402
from servers import (  # noqa: E402
    END_S, end_clients, log_of, reachable, start_clients, system_python, wait_for)
from strandtest import Case, Failure  # noqa: E402

COMMAND_S = 180
SERVE_S = 1.0

PYTHON = """
import concurrent.futures, queue, sqlite3, threading
jobs, done = queue.Queue(), []
def work():
    for job in iter(jobs.get, None):
        done.append(job * job)
threads = [threading.Thread(target=work) for _ in range(8)]
[thread.start() for thread in threads]
[jobs.put(i) for i in range(1000)]
[jobs.put(None) for _ in threads]
[thread.join() for thread in threads]
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    print(sum(done), sum(pool.map(len, ["x" * i for i in range(200)])))
"""

NODE = """
const { Worker, isMainThread, parentPort } = require('worker_threads');
const fs = require('fs').promises, crypto = require('crypto');
async function main() {
  const sums = await Promise.all([1, 2, 3].map(n => new Promise(done => {
    const worker = new Worker('require("worker_threads").parentPort.postMessage(' + n + ')',
                              { eval: true });
    worker.on('message', done);
  })));
  const keys = await Promise.all([1, 2, 3, 4].map(n => new Promise(done =>
    crypto.pbkdf2('secret', 'salt', 1000 * n, 16, 'sha256', (e, key) => done(key.toString('hex'))))));
  console.log(sums.reduce((a, b) => a + b), keys.join(' '), (await fs.stat('/')).isDirectory());
}
main();
"""

JAVA = """
import java.util.concurrent.*;
public class Main {
    public static void main(String[] args) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(4);
        long sum = 0;
        for (var f : pool.invokeAll(java.util.Collections.<Callable<Integer>>nCopies(50, () -> 7)))
            sum += f.get();
        pool.shutdown();
        System.out.println(sum);
    }
}
"""

SQL = """
PRAGMA threads=4;
CREATE TABLE numbers (n INTEGER, text TEXT);
WITH RECURSIVE count(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM count WHERE n < 50000)
INSERT INTO numbers SELECT (n * 7919) % 50021, 'text ' || n FROM count;
CREATE INDEX by_text ON numbers (text, n);
SELECT count(*), sum(n), max(text) FROM numbers;
"""


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def data_of(folder):
    """Something to compress: neither random nor all the same."""
    path = os.path.join(folder, "data")
    if not os.path.exists(path):
        with open(path, "wb") as file:
            for i in range(60000):
                file.write(b"line %d of %d, %x\n" % (i, i * i % 977, i * 2654435761 % 2 ** 32))
    return path


def packed(tool, *options):
    """Compressed by several threads into folder/packed, which must come out the same."""
    def command(folder):
        return ["sh", "-c", 'out=$1; shift; exec "$@" >"$out"', "sh", folder + "/packed",
                find_tool(tool), *options, data_of(folder)]
    return command


def java_command(folder):
    find_tool("javac")
    return [find_tool("java"), "-Xmx256m", write(folder, "Main.java", JAVA)]


# name: how its command line is made in a folder, and what of its output is the same every time
COMMANDS = {
    "pigz": (packed("pigz", "-p4", "-c", "-n"), ".*"),
    "xz": (packed("xz", "-T4", "-1", "--block-size=200KiB", "-c"), ".*"),
    "zstd": (packed("zstd", "-T4", "-B256K", "-q", "-c"), ".*"),
    "python3": (lambda folder: [system_python(), "-c", PYTHON], ".*"),
    "sqlite3": (lambda folder: [find_tool("sqlite3"), os.path.join(folder, "base"), ".read " + write(
        folder, "sql", "DROP TABLE IF EXISTS numbers;" + SQL)], ".*"),
    "stress-ng-mutex": (lambda folder: [
        find_tool("stress-ng"), "--mutex", "2", "-t", "1s", "-q"], ".*"),
    "stress-ng-sem": (lambda folder: [
        find_tool("stress-ng"), "--sem", "2", "-t", "1s", "-q"], ".*"),
    "sysbench-threads": (lambda folder: [
        find_tool("sysbench"), "threads", "--threads=4", "--events=300", "--time=0", "run"],
        r"Number of threads.*|total number of events.*"),
    "sysbench-mutex": (lambda folder: [
        find_tool("sysbench"), "mutex", "--threads=4", "--mutex-num=16", "--mutex-locks=500", "run"],
        r"Number of threads.*|total number of events.*"),
    "java-version": (lambda folder: [find_tool("java"), "-version"], ".*"),
    "java": (java_command, ".*"),
    "node": (lambda folder: [find_tool("node"), "-e", NODE], ".*"),
}


def same_part(text, pattern):
    return re.findall(pattern, text)


@contextlib.contextmanager
def folder_of(name):
    folder = tempfile.mkdtemp(prefix="strand-test-%s-" % name)
    try:
        os.chmod(folder, 0o777)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check_reports(path):
    """Nothing is stuck in any image, and the threads were seen."""
    with open(path, encoding="utf-8") as file:
        report = json.load(file)
    images = [report] + report["children"]
    for image in images:
        if image["summary"]["stuck"]:
            raise Failure("stuck\n%s" % json.dumps(image["findings"], indent=1)[:6000])
    return images


def packed_sum(folder):
    with contextlib.suppress(OSError), open(os.path.join(folder, "packed"), "rb") as file:
        return hash(file.read())
    return None


def run_command(ctx, name, rounds):
    make, pattern = COMMANDS[name]
    with folder_of(name) as folder:
        argv = make(folder)
        bare = ctx.run(argv, timeout=COMMAND_S, cwd=folder)
        if bare.status != 0:
            raise Failure("it does not work bare\n%s" % bare)
        data = packed_sum(folder)
        file = os.path.join(folder, "report.json")
        for _ in range(rounds):
            for command in ("run", "check"):
                done = ctx.run([ctx.strand, command, "--format=json:" + file, "--", *argv],
                               timeout=COMMAND_S, cwd=folder)
                check_same(bare, done, pattern)
                if packed_sum(folder) != data:
                    raise Failure("the file is not the same")
                check_reports(file)


def check_same(bare, done, pattern):
    if done.status != bare.status:
        raise Failure("status %d, not %d\n%s" % (done.status, bare.status, done))
    for was, now in ((bare.out, done.out), (bare.err, done.err)):
        if same_part(was, pattern) != same_part(now, pattern):
            raise Failure("another output\n%s\n--- bare\n%s" % (done, bare))


# Servers

def prefixed(prefix, argv):
    """strand right before the server, behind what takes its rights away."""
    at = next((i for i, word in enumerate(argv) if not word.startswith(("setpriv", "--"))), 0)
    return argv[:at] + prefix + argv[at:]


def first_child(pid):
    for tid in threads(pid):
        found = read_proc(pid, tid, "children").split()
        if found:
            return int(found[0])
    raise Failure("strand has no child")


def serve(ctx, kind, command):
    """The server under strand, with clients that check every answer. PostgreSQL has no threads."""
    with folder_of(kind) as folder:
        programs = os.path.join(folder, "bin")
        os.makedirs(programs, mode=0o755)
        strand = shutil.copy(ctx.strand, programs)
        shutil.copy(os.path.join(ctx.build, "libstrand.so"), programs)
        tables = os.path.join(folder, "tables")
        os.mkdir(tables)
        if os.geteuid() == 0 and kind != "memcached":
            os.chown(tables, servers.NOBODY, servers.NOBODY)
        os.chmod(tables, 0o700)
        file = os.path.join(folder, "report.json")
        prefix = [strand, command, "--format=json:" + file, "--"]
        os.environ["STRAND_DIR"] = tables
        spawn = servers.spawn_server
        servers.spawn_server = lambda ctx, folder, argv: spawn(ctx, folder, prefixed(prefix, argv))
        child = servers.STARTS[kind](ctx, folder)
        path = folder if kind == "postgres" else folder + "/socket"
        if kind != "postgres":
            wait_for(lambda: reachable(path), child, folder)
        clients = start_clients(ctx, kind, path)
        time.sleep(SERVE_S)
        end_clients(clients)
        if child.poll() is not None:
            raise Failure("the server ended: status %d\n%s" % (child.returncode, log_of(folder)))
        os.kill(first_child(child.pid), signal.SIGTERM)
        if child.wait(END_S) != 0:
            raise Failure("status %d\n%s" % (child.returncode, log_of(folder)))
        images = check_reports(file)
        if kind != "postgres" and not any(image["seen"] == "full" for image in images):
            raise Failure("not seen: %s" % json.dumps(images)[:3000])


def cases(ctx, long):
    if not long:
        return
    for name in COMMANDS:
        yield Case("real/" + name, lambda name=name: run_command(ctx, name, 2), 900)
    for kind in servers.STARTS:
        for command in ("run", "check"):
            yield Case("real/%s-%s" % (kind, command),
                       lambda kind=kind, command=command: serve(ctx, kind, command), 300)
