# SPDX-License-Identifier: MIT
"""A look never goes to the network, even where DEBUGINFOD_URLS invites it to.

elfutils would ask a server for the debug files that it does not find, and wait for it: the programs
looked at are stripped or have their unwind tables in .debug_frame only, so that there is much to
ask for.
"""
import ctypes
import os
import select
import shutil
import socket
import tempfile
import threading

from strandtest import Case, Failure, Skip, kill_group

SLOWER_S = 3  # how much slower a look may be when there is a server that does not answer

SOURCE = """
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
static void *sleeper(void *arg) { for (;;) pause(); return arg; }
int main(void)
{
	pthread_t thread;
	pthread_create(&thread, NULL, sleeper, NULL);
	puts("ready");
	fflush(stdout);
	sleeper(NULL);
}
"""
FLAGS = ["-std=gnu11", "-O2", "-pthread", "-Wl,--build-id", "-fomit-frame-pointer",
         "-fno-asynchronous-unwind-tables", "-x", "c", "-"]


def start(ctx, name, flag):
    program = os.path.join(ctx.tmp, "%s.%d" % (name, os.getpid()))
    compiler = shutil.which("gcc")
    if compiler is None:
        raise Skip("no gcc")
    done = ctx.run([compiler, flag, "-o", program] + FLAGS, input=SOURCE)
    if done.status:
        raise Failure(str(done))
    read, write = os.pipe()
    child = ctx.spawn([program], stdout=write)
    os.close(write)
    os.read(read, 16)
    return child


def listener():
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen(16)
    return server


def environment(ctx, server):
    """As a user has it who wants debug files to be fetched; nothing is cached, misses neither."""
    cache = tempfile.mkdtemp(prefix="debuginfod.", dir=ctx.tmp)
    env = {key: value for key, value in os.environ.items() if key != "STRAND_OPTIONS"}
    return dict(env, DEBUGINFOD_URLS="http://127.0.0.1:%d/" % server.getsockname()[1],
                DEBUGINFOD_CACHE_PATH=cache, HOME=cache)


def was_asked(server):
    return bool(select.select([server], [], [], 0)[0])


def hang_up(server, asked):
    """Accept and hang up, so that whoever asks goes on at once."""
    while True:
        try:
            connection = server.accept()[0]
        except OSError:
            return
        asked.append(True)
        connection.close()


def check_the_trap(ctx, pid):
    """Another tool that uses elfutils does go to the server: it would be noticed."""
    tool = shutil.which("eu-stack")
    if tool is None:
        raise Skip("no eu-stack to try whether the server is asked at all")
    try:
        ctypes.CDLL("libdebuginfod.so.1")
    except OSError:
        raise Skip("no libdebuginfod: nobody would go to the network")
    server, asked = listener(), []
    threading.Thread(target=hang_up, args=(server, asked), daemon=True).start()
    done = ctx.run([tool, "-p", pid], env=environment(ctx, server))
    server.shutdown(socket.SHUT_RDWR)
    if not asked:
        raise Failure("not even eu-stack asks the server\n%s" % done)


def check_no_network(ctx, name, flag):
    child = start(ctx, name, flag)
    pid = str(child.pid)
    if name == "stripped":
        check_the_trap(ctx, pid)
    for form in ("text", "json"):
        look = [ctx.strand, "attach", "--format=" + form, pid]
        plain = ctx.run(look, env={key: value for key, value in os.environ.items()
                                   if not key.startswith("DEBUGINFOD")})
        server = listener()
        done = ctx.run(look, env=environment(ctx, server))
        if was_asked(server):
            raise Failure("the debuginfod server was asked\n%s" % done)
        if done.status or plain.status:
            raise Failure("%s\n%s" % (plain, done))
        if done.seconds > plain.seconds + SLOWER_S:
            raise Failure("%.1f s instead of %.1f s\n%s" % (done.seconds, plain.seconds, done))
        server.close()
    kill_group(child)


def cases(ctx):
    for name, flag in (("stripped", "-s"), ("debug-frame", "-g")):
        yield Case("cli/no-network/" + name,
                   lambda name=name, flag=flag: check_no_network(ctx, name, flag))
