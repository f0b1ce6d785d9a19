# SPDX-License-Identifier: MIT
"""Making cores of programs, and other cores of these: reordered, cut short, damaged.

A core of gcore has its notes at its end; the kernel writes them first. reorder() turns one into the
other, so that what a limit does to a core of the kernel can be tried without the kernel.
"""
import os
import re
import struct

from looking import find_tool
from strandtest import Failure, Skip

EHDR = struct.Struct("<16sHHIQQQIHHHHHH")
PHDR = struct.Struct("<IIQQQQQQ")
PT_LOAD, PT_NOTE = 1, 4
GCORE_S = 60


def make_by_gcore(ctx, pid):
    """A core of a process that goes on afterwards."""
    prefix = os.path.join(ctx.tmp, "core-%d" % os.getpid())
    done = ctx.run([find_tool("gcore"), "-o", prefix, str(pid)], timeout=GCORE_S)
    path = "%s.%d" % (prefix, pid)
    if done.status or not os.path.exists(path):
        raise Failure("gcore made no core\n%s" % done)
    return path


def kernel_pattern():
    """The name of the kernel's cores if they are files in the folder where the process is."""
    with open("/proc/sys/kernel/core_pattern") as file:
        pattern = file.read().strip()
    if not re.match(r"^[\w.%-]+$", pattern) or pattern[0] == "|":
        raise Skip("the kernel's cores go elsewhere (%s)" % pattern)
    return pattern


def find_kernel_core(folder):
    found = [name for name in os.listdir(folder) if os.path.getsize(os.path.join(folder, name))]
    if len(found) != 1:
        raise Failure("the kernel left no core: %s" % found)
    return os.path.join(folder, found[0])


class Core:
    """Its headers; memory stays in the file."""

    def __init__(self, path):
        self.path = path
        self.bytes = os.path.getsize(path)
        with open(path, "rb") as file:
            self.header = list(EHDR.unpack(file.read(EHDR.size)))
            file.seek(self.header[5])
            table = file.read(PHDR.size * self.header[10])
        self.segments = [list(fields) for fields in PHDR.iter_unpack(table)]

    def notes(self):
        return next(fields for fields in self.segments if fields[0] == PT_NOTE)

    def loads(self):
        return [fields for fields in self.segments if fields[0] == PT_LOAD]

    def head_bytes(self):
        return EHDR.size + PHDR.size * len(self.segments)


def reorder(core, path):
    """The same core with its notes behind its headers, as the kernel writes it."""
    notes = core.notes()
    at = core.head_bytes() + notes[5]
    moved = []
    for fields in core.segments:
        fields = list(fields)
        if fields[0] == PT_NOTE:
            fields[2] = core.head_bytes()
        elif fields[0] == PT_LOAD:
            fields[2] = at = (at + 4095) // 4096 * 4096
            at += fields[5]
        moved.append(fields)
    header = list(core.header)
    header[5], header[6], header[11], header[12], header[13] = EHDR.size, 0, 0, 0, 0
    with open(core.path, "rb") as old, open(path, "wb") as new:
        new.write(EHDR.pack(*header))
        for fields in moved:
            new.write(PHDR.pack(*fields))
        for was, fields in zip(core.segments, moved):
            old.seek(was[2])
            new.seek(fields[2])
            new.write(old.read(was[5]))
    return Core(path)
