# SPDX-License-Identifier: MIT
"""Reads a table as src/wire.h lays it out, and checks all that must hold of it at any moment.

What must hold is more than a reader of strand may rely on: these tables come from the shim alone.
Run by hand it prints one: table.py FILE.
"""
import struct
import sys

MAGIC = b"strandT\n"
STATES = ("free", "claimed", "born", "running", "ending")
FREE, CLAIMED, BORN, RUNNING, ENDING = range(5)
DETACHED, JOINED, HOLDS_LOST, FOUND = 1, 2, 4, 8
REPLACED, SANDBOXED, FORKED, NO_RELATIVES, STACKS_PARTIAL = 1, 2, 4, 8, 16
EXIT_STATES = ("none", "held", "released", "passed")
EXIT_KINDS = ("none", "main", "exit", "_exit", "quick", "last", "exec")
TASKS, STACKS, MODULES = 1, 2, 3
STACK_COMPLETE = 1

HEADER = struct.Struct("<8sIIIIQQQQiIQIIQQQQIIIiiIQQQ1024s")
SEGMENT = struct.Struct("<QII")
TASK = struct.Struct("<IHHQQQQQQQiI16s4Q4sI")
WAIT = struct.Struct("<IHHQQQQ8Q")
HEADER_BYTES, TASK_BYTES, SEGMENTS = 5024, 240, 240


class Broken(Exception):
    """The table is not as it must be."""


def require(condition, text):
    if not condition:
        raise Broken(text)


class Wait:
    def __init__(self, data):
        (self.sequence, self.op, self.flags, self.object, self.second, self.since_ns,
         self.deadline_ns, *self.context) = WAIT.unpack_from(data)


class Task:
    def __init__(self, index, data):
        self.index = index
        fields = TASK.unpack_from(data)
        (self.state, self.kind, self.flags, self.number, self.parent, self.handle, self.start,
         self.argument, self.birth_ns, self.end_ns, self.tid, self.creator_stack, name) = fields[:13]
        self.name = name.split(b"\0")[0].decode()
        self.holds = {lock: count for lock, count in zip(fields[13:17], fields[17]) if lock}
        self.wait = Wait(data[128:])

    def __repr__(self):
        flags = [n for b, n in ((1, "detached"), (2, "joined"), (4, "holds-lost"), (8, "found"))
                 if self.flags & b]
        return "T%d %s%s tid %d parent %d stack %d start 0x%x%s" % (
            self.number, STATES[self.state], "".join("," + f for f in flags), self.tid, self.parent,
            self.creator_stack, self.start, " " + self.name if self.name else "")


class Table:
    """A copy of the file's bytes as they are now; Broken if it is none.

    `settled` is for one whose threads are at rest: no record is between two states.
    """

    def __init__(self, path, settled=True):
        self.path = path
        self.settled = settled
        with open(path, "rb") as file:
            self.data = file.read()
        require(len(self.data) >= HEADER_BYTES, "shorter than a header")
        (magic, self.version, header_bytes, task_bytes, self.flags, self.start_ticks,
         self.pid_namespace, self.control_id, self.birth_ns, self.pid, self.image, self.tasks_born,
         self.tasks_running, count, self.lost_tasks, self.lost_stacks, self.restarting,
         self.interrupting, self.heartbeat, self.exit_state, self.exit_kind, self.exit_status,
         self.exit_tid, _, self.exit_ns, self.exit_task, self.exit_sp,
         exe) = HEADER.unpack_from(self.data)
        require(magic == MAGIC, "no magic")
        require((header_bytes, task_bytes) == (HEADER_BYTES, TASK_BYTES), "other sizes")
        self.exe = exe.split(b"\0")[0].decode()
        require(3 <= count <= SEGMENTS, "%d segments" % count)
        self.segments = [SEGMENT.unpack_from(self.data, 1184 + 16 * i) for i in range(count)]
        self.check_segments()
        self.records = list(self.read_tasks())
        self.tasks = sorted((t for t in self.records if t.state not in (FREE, CLAIMED)),
                            key=lambda t: t.number)
        self.check_tasks()

    def check_segments(self):
        end = 0
        for offset, size, kind in self.segments:
            require(offset % 4096 == 0 and size % 4096 == 0, "a segment is not of pages")
            require(offset >= max(end, HEADER_BYTES), "segments overlap")
            end = offset + size
            require(end <= len(self.data), "a segment ends behind the file")
            require(kind in (TASKS, STACKS, MODULES), "kind %d" % kind)
        require([s[2] for s in self.segments[:3]] == [TASKS, STACKS, MODULES], "the first segments")

    def read_tasks(self):
        index = 0
        first = True
        for offset, size, kind in self.segments:
            if kind != TASKS:
                continue
            count = 256 if first else 512
            first = False
            require(count * TASK_BYTES <= size, "records do not fit")
            for i in range(count):
                at = offset + i * TASK_BYTES
                yield Task(index, self.data[at:at + TASK_BYTES])
                index += 1

    def check_tasks(self):
        numbers = set()
        for task in self.tasks:
            require(task.kind == 1, "kind of %r" % task)
            require(0 < task.number and task.number not in numbers, "number of %r" % task)
            numbers.add(task.number)
            require(task.parent < task.number, "parent of %r" % task)
            if task.creator_stack:
                self.stack(task.creator_stack)
            if self.settled and task.state == ENDING and task.flags & (DETACHED | JOINED):
                require(task.holds, "%r should be free" % task)

    def stack(self, number):
        """The addresses of a stack, and whether it is complete."""
        at = number * 8
        for offset, size, kind in self.segments:
            if kind == STACKS and offset <= at and at + 8 <= offset + size:
                _, count, flags = struct.unpack_from("<IHH", self.data, at)
                require(0 < count <= 64, "a stack of %d frames" % count)
                require(at + 8 + 8 * count <= offset + size, "a stack leaves its segment")
                pcs = struct.unpack_from("<%dQ" % count, self.data, at + 8)
                return pcs, bool(flags & STACK_COMPLETE)
        raise Broken("stack %d is in no segment" % number)

    def modules(self):
        offset = self.segments[2][0]
        found = []
        while True:
            size, _, bias = struct.unpack_from("<IIQ", self.data, offset)
            if not size:
                return found
            path = self.data[offset + 16:offset + size].split(b"\0")[0].decode()
            found.append((bias, path))
            offset += size

    def main(self):
        return next((t for t in self.tasks if t.number == 1), None)

    def __str__(self):
        lines = ["pid %d image %d flags %d born %d running %d lost %d/%d bytes %d" % (
            self.pid, self.image, self.flags, self.tasks_born, self.tasks_running, self.lost_tasks,
            self.lost_stacks, len(self.data)),
            "exit %s by %s status %d task T%d tid %d sp 0x%x" % (
                EXIT_STATES[self.exit_state], EXIT_KINDS[self.exit_kind], self.exit_status,
                self.exit_task, self.exit_tid, self.exit_sp)]
        for task in self.tasks:
            lines.append(repr(task))
            if task.wait.sequence & 1:
                lines.append("    waits: op %d object 0x%x second 0x%x sp 0x%x" % (
                    task.wait.op, task.wait.object, task.wait.second, task.wait.context[1]))
            if task.creator_stack:
                pcs, complete = self.stack(task.creator_stack)
                names = " ".join(self.where(pc) for pc in pcs)
                lines.append("    by %s%s" % (names, "" if complete else " …"))
        return "\n".join(lines)

    def where(self, pc):
        """module+offset"""
        below = [m for m in self.modules() if m[0] <= pc]
        if not below:
            return "0x%x" % pc
        bias, path = max(below)
        return "%s+0x%x" % (path.rsplit("/", 1)[-1], pc - bias)


if __name__ == "__main__":
    print(Table(sys.argv[1]))
