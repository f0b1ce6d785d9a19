# SPDX-License-Identifier: MIT
"""Real servers, idle and under load, looked at again and again.

Each server runs from a folder of its own, on a socket there, as an ordinary user where it refuses
root. Its client (this file, run as a program) checks every answer until its input ends. There must
be no error at the client and not one stuck task, the processes must live, and the server must end
with status 0 when it is told to.
"""
import contextlib
import glob
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

if __name__ != "__main__":
    from looking import check_untraced, find_tool, look, read_proc, show_findings
    from strandtest import Case, Failure, Skip

CLIENTS = 2
REQUEST_S = 20  # an answer that takes longer is an error
PAUSE_S = 0.0005  # of a client between two requests
START_S = 60
END_S = 60
NOBODY = 65534


# Clients: request() makes one exchange and raises when the answer is wrong.

class SocketClient:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(REQUEST_S)
        self.socket.connect(path)
        self.file = self.socket.makefile("rwb")
        self.number = 0

    def say(self, data):
        self.number += 1
        self.file.write(data)
        self.file.flush()

    def expect(self, expected):
        got = self.file.read(len(expected))
        if got != expected:
            raise ValueError("expected %r, got %r" % (expected, got))

    def value(self):
        return b"value %d " % self.number * (1 + self.number % 50)


class Memcached(SocketClient):
    def request(self):
        value = self.value()
        key = b"key%d.%d" % (os.getpid(), self.number % 100)
        self.say(b"set %s 0 0 %d\r\n%s\r\nget %s\r\n" % (key, len(value), value, key))
        self.expect(b"STORED\r\nVALUE %s 0 %d\r\n%s\r\nEND\r\n" % (key, len(value), value))


class Redis(SocketClient):
    @staticmethod
    def command(*words):
        return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word)
                                                  for word in words)

    def request(self):
        value = self.value()
        key = b"key%d.%d" % (os.getpid(), self.number % 100)
        self.say(self.command(b"SET", key, value) + self.command(b"GET", key))
        self.expect(b"+OK\r\n$%d\r\n%s\r\n" % (len(value), value))


class Echo(SocketClient):
    def request(self):
        line = self.value() + b"\n"
        self.say(line)
        self.expect(line)


class Nginx:
    def __init__(self, path):
        self.connection = http.client.HTTPConnection("localhost", timeout=REQUEST_S)
        self.connection.sock = socket.socket(socket.AF_UNIX)
        self.connection.sock.settimeout(REQUEST_S)
        self.connection.sock.connect(path)

    def request(self):
        self.connection.request("GET", "/page.html")
        answer = self.connection.getresponse()
        body = answer.read()
        if answer.status != 200 or body != PAGE:
            raise ValueError("status %d, %d bytes" % (answer.status, len(body)))


PAGE = b"<p>a line of the page</p>\n" * 4000


class Postgres:
    def __init__(self, path):
        self.child = subprocess.Popen(
            ["psql", "-h", path, "-U", "nobody", "-qAtX", "-v", "ON_ERROR_STOP=1", "postgres"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.number = 0
        self.table = "numbers%d" % os.getpid()
        self.say("CREATE TABLE %s (n integer PRIMARY KEY, text text);" % self.table)

    def say(self, sql):
        self.child.stdin.write(sql.encode() + b"\n")
        self.child.stdin.flush()

    def request(self):
        self.number += 1
        self.say("INSERT INTO %s VALUES (%d, 'text %d'); SELECT sum(n) FROM %s;" % (
            self.table, self.number, self.number, self.table))
        expected = b"%d\n" % (self.number * (self.number + 1) // 2)
        got = self.child.stdout.readline()
        if got != expected:
            raise ValueError("expected %r, got %r" % (expected, got))


class Mariadb(Postgres):
    def __init__(self, path):
        self.child = subprocess.Popen(
            ["mariadb", "--no-defaults", "-S", path, "-u", "root", "-N", "-B", "-n", "test"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.number = 0
        self.table = "numbers%d" % os.getpid()
        self.say("CREATE TABLE %s (n integer PRIMARY KEY, text text);" % self.table)


def run_client(kind, path):
    """Requests until the standard input ends; 0 and `ok` if every answer was right."""
    client = {"memcached": Memcached, "redis": Redis, "nginx": Nginx, "postgres": Postgres,
              "mariadb": Mariadb, "java": Echo, "python": Echo}[kind](path)
    requests, slowest = 0, 0.0
    os.set_blocking(0, False)
    print("ready", flush=True)
    while True:
        with contextlib.suppress(BlockingIOError):
            if os.read(0, 1) == b"":
                break
        begin = time.monotonic()
        client.request()
        slowest = max(slowest, time.monotonic() - begin)
        requests += 1
        time.sleep(PAUSE_S)
    if requests == 0 or slowest > REQUEST_S:
        print("%d requests, the slowest took %.1f s" % (requests, slowest))
        return 1
    print("ok %d requests, the slowest took %.0f ms" % (requests, slowest * 1000))
    return 0


def run_python_server(path):
    """The server of the python case: threads, a queue, locks and conditions."""
    import queue
    import socketserver
    import threading

    jobs, answers = queue.Queue(), {}
    changed = threading.Condition()

    def work():
        while True:
            ticket, line = jobs.get()
            with changed:
                answers[ticket] = line
                changed.notify_all()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            for line in self.rfile:
                ticket = object()
                jobs.put((ticket, line))
                with changed:
                    while ticket not in answers:
                        changed.wait()
                    answer = answers.pop(ticket)
                self.wfile.write(answer)

    class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
        daemon_threads = True

    for _ in range(4):
        threading.Thread(target=work, daemon=True).start()
    server = Server(path, Handler)
    signal.signal(signal.SIGTERM,
                  lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever()
    return 0


# Servers: start(ctx, folder) gives the child, the socket of the server is folder/socket.

def as_nobody(argv):
    if os.geteuid() != 0:
        return argv
    find_tool("setpriv")
    return ["setpriv", "--reuid=%d" % NOBODY, "--regid=%d" % NOBODY, "--clear-groups"] + argv


def spawn_server(ctx, folder, argv):
    log = open(os.path.join(folder, "log"), "wb")
    return ctx.spawn(argv, stdout=log, stderr=log, cwd=folder)


def start_memcached(ctx, folder):
    argv = [find_tool("memcached"), "-s", folder + "/socket", "-a", "0777", "-t", "4", "-m", "32"]
    return spawn_server(ctx, folder, argv + (["-u", "nobody"] if os.geteuid() == 0 else []))


def start_redis(ctx, folder):
    return spawn_server(ctx, folder, as_nobody([
        find_tool("redis-server"), "--port", "0", "--unixsocket", folder + "/socket",
        "--dir", folder, "--io-threads", "2", "--appendonly", "yes", "--save", ""]))


NGINX_CONF = """
daemon off;
worker_processes 2;
error_log stderr;
pid %(folder)s/pid;
thread_pool readers threads=4;
events { worker_connections 64; }
http {
    access_log off;
    client_body_temp_path %(folder)s/body;
    proxy_temp_path %(folder)s/proxy;
    fastcgi_temp_path %(folder)s/fastcgi;
    uwsgi_temp_path %(folder)s/uwsgi;
    scgi_temp_path %(folder)s/scgi;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    server {
        listen unix:%(folder)s/socket;
        root %(folder)s/pages;
        aio threads=readers;
        sendfile off;
    }
}
"""


def start_nginx(ctx, folder):
    binary = shutil.which("nginx") or find_tool("/usr/sbin/nginx")
    os.mkdir(folder + "/pages")
    with open(folder + "/pages/page.html", "wb") as file:
        file.write(PAGE)
    with open(folder + "/conf", "w") as file:
        file.write(NGINX_CONF % {"folder": folder})
    return spawn_server(ctx, folder, as_nobody([binary, "-p", folder, "-c", folder + "/conf",
                                                "-e", "stderr"]))


def start_postgres(ctx, folder):
    find_tool("psql")
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"))
    if not found:
        raise Skip("no PostgreSQL server")
    binaries = os.path.dirname(found[-1])
    done = ctx.run(as_nobody([binaries + "/initdb", "-D", folder + "/data", "-U", "nobody",
                              "--auth=trust", "--no-sync", "--locale=C"]), timeout=120, cwd=folder)
    if done.status:
        raise Failure("initdb: %s" % done)
    child = spawn_server(ctx, folder, as_nobody([
        binaries + "/postgres", "-D", folder + "/data", "-k", folder, "-c", "listen_addresses=",
        "-c", "fsync=off"]))
    wait_for(lambda: os.path.exists(folder + "/.s.PGSQL.5432"), child, folder)
    return child


def start_python(ctx, folder):
    script = shutil.copy(__file__, folder)  # nobody may not be allowed to read the source tree
    os.chmod(script, 0o644)
    return spawn_server(ctx, folder, as_nobody([system_python(), script, "server",
                                                folder + "/socket"]))


def start_mariadb(ctx, folder):
    find_tool("mariadb")
    server = shutil.which("mariadbd") or find_tool("/usr/sbin/mariadbd")
    options = ["--no-defaults", "--datadir=" + folder + "/data"]
    done = ctx.run(as_nobody([find_tool("mariadb-install-db"), *options, "--skip-name-resolve",
                              "--auth-root-authentication-method=normal"]),
                   timeout=120, cwd=folder)
    if done.status:
        raise Failure("mariadb-install-db: %s" % done)
    return spawn_server(ctx, folder, as_nobody([
        server, *options, "--socket=" + folder + "/socket", "--skip-networking",
        "--innodb-buffer-pool-size=16M", "--innodb-flush-log-at-trx-commit=0",
        "--thread-handling=pool-of-threads", "--pid-file=" + folder + "/pid"]))


JAVA = """
import java.net.*;
import java.nio.*;
import java.nio.channels.*;
import java.util.concurrent.*;
public class Server {
    static void serve(SocketChannel channel) {
        ByteBuffer buffer = ByteBuffer.allocate(1 << 16);
        try {
            while (channel.read(buffer) >= 0) {
                buffer.flip();
                while (buffer.hasRemaining())
                    channel.write(buffer);
                buffer.clear();
            }
        } catch (java.io.IOException ended) {
        }
    }
    public static void main(String[] args) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(4);
        ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        server.bind(UnixDomainSocketAddress.of(args[0]));
        sun.misc.Signal.handle(new sun.misc.Signal("TERM"), signal -> System.exit(0));
        while (true) {
            SocketChannel channel = server.accept();
            pool.submit(() -> serve(channel));
        }
    }
}
"""


def start_java(ctx, folder):
    find_tool("javac")
    with open(folder + "/Server.java", "w") as file:
        file.write(JAVA)
    return spawn_server(ctx, folder, as_nobody([find_tool("java"), "-Xmx128m",
                                                folder + "/Server.java", folder + "/socket"]))


def system_python():
    """An interpreter that nobody may run, too."""
    return "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable


STARTS = {"memcached": start_memcached, "redis": start_redis, "nginx": start_nginx,
          "postgres": start_postgres, "python": start_python, "mariadb": start_mariadb,
          "java": start_java}
SLOW = ("mariadb", "java")  # to start, and to look at
# What must be said of a process in whose memory pointers are not to be found as such.
WITHHELD = {"java": "compress"}


def log_of(folder):
    with contextlib.suppress(OSError), open(folder + "/log", errors="replace") as file:
        return file.read()[-4000:]
    return ""


def wait_for(condition, child, folder):
    deadline = time.monotonic() + START_S
    while not condition():
        if child.poll() is not None or time.monotonic() > deadline:
            raise Failure("the server does not start (status %s)\n%s" % (child.poll(),
                                                                        log_of(folder)))
        time.sleep(0.05)


def reachable(path):
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
        probe.connect(path)
        return True
    return False


def family(pid):
    """The process and its children."""
    children = read_proc(pid, pid, "children").split()
    return [pid] + [int(child) for child in children]


def ends(pid):
    """Has the process ended, or does it before long?"""
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        if not os.path.exists("/proc/%d" % pid):
            return True
        time.sleep(0.05)
    return False


def start_clients(ctx, kind, path):
    clients = []
    for _ in range(CLIENTS):
        client = ctx.spawn([sys.executable, __file__, kind, path], stdin=subprocess.PIPE,
                           stdout=subprocess.PIPE)
        clients.append(client)
    for client in clients:
        if client.stdout.readline() != b"ready\n":
            raise Failure("a client does not start")
    return clients


def end_clients(clients):
    for client in clients:
        client.stdin.close()
    for client in clients:
        said = client.stdout.read().decode()
        if client.wait(END_S) != 0 or not said.startswith("ok "):
            raise Failure("an error at a client: status %d, %s" % (client.returncode, said))
        print(said, end="")


def look_round(ctx, child, looks, said=None):
    """So many looks, at each process of the server in turn; `said` is in a note of each."""
    for number in range(looks):
        members = family(child.pid)
        pid = members[number % len(members)]
        try:
            report = look(ctx, pid)
        except Failure:
            if pid == child.pid or not ends(pid):
                raise
            continue  # servers have workers that end by themselves
        if report["summary"]["stuck"]:
            raise Failure("look %d, at process %d of %s: stuck\n%s" % (
                number + 1, pid, members, show_findings(report)))
        if said and not any(said in note for note in report["notes"]):
            raise Failure("look %d does not say why: %s" % (number + 1, report["notes"]))
    for pid in family(child.pid):
        check_untraced(pid)


def try_server(ctx, kind, looks):
    folder = tempfile.mkdtemp(prefix="strand-test-")
    try:
        os.chmod(folder, 0o777)
        child = STARTS[kind](ctx, folder)
        path = folder if kind == "postgres" else folder + "/socket"
        if kind != "postgres":
            wait_for(lambda: reachable(path), child, folder)
        look_round(ctx, child, looks // 2, WITHHELD.get(kind))
        clients = start_clients(ctx, kind, path)
        look_round(ctx, child, looks - looks // 2, WITHHELD.get(kind))
        end_clients(clients)
        if child.poll() is not None:
            raise Failure("the server ended with status %d\n%s" % (child.returncode,
                                                                   log_of(folder)))
        child.terminate()
        if child.wait(END_S) != 0:
            raise Failure("the server ended with status %d\n%s" % (child.returncode,
                                                                   log_of(folder)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def cases(ctx, long):
    for kind in STARTS:
        if kind in SLOW and not long:
            continue
        looks = 5 if ctx.quick else 20 if not long else ctx.times(100 if kind in SLOW else 1000)
        yield Case("hostile/servers/" + kind,
                   lambda kind=kind, looks=looks: try_server(ctx, kind, looks), 1200, looks)


if __name__ == "__main__":
    if sys.argv[1] == "server":
        sys.exit(run_python_server(sys.argv[2]))
    sys.exit(run_client(sys.argv[1], sys.argv[2]))
