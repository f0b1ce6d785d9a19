# SPDX-License-Identifier: MIT
"""The manual says of options and of the JSON report what strand does."""
import json
import os
import re
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(os.path.dirname(HERE), "programs"))

import examples  # noqa: E402
from looking import KEYS_OF  # noqa: E402
from strandtest import Failure, Skip  # noqa: E402

PAGE = "man/strand.1"
OBJECT_KEYS = "kind address name owner"
PLACEHOLDERS = {"report_NAME", "ERR_NAME", "test_NAME", "module_verb_object"}


def read(ctx, name):
    with open(ctx.path(name), encoding="utf-8") as file:
        return file.read()


def complain(lines):
    if lines:
        raise Failure("\n".join(lines))


def check_mdoc(ctx):
    if shutil.which("mandoc") is None:
        raise Skip("no mandoc")
    done = ctx.run(["mandoc", "-T", "lint", "-W", "warning", ctx.path(PAGE)])
    if done.status or done.out or done.err:
        raise Failure(done.out + done.err)


def options_of_page(text):
    """Long options that the page defines, as list items, with their arguments."""
    found = {}
    for line in re.findall(r"^\.It (Fl .*)$", text, re.MULTILINE):
        name = re.search(r"Fl -([a-z][a-z-]*)", line)
        if name:
            found["--" + name.group(1)] = "Ar" in line
    return found


def options_of_table(text, command):
    """Those of the table that a command has, with whether they take an argument."""
    sets = {"attach": ("IN_LOOKING", "IN_ALL", "IN(ATTACH)"),
            "run": ("IN_LOOKING", "IN_ALL", "IN_RUN"),
            "check": ("IN_LOOKING", "IN_ALL", "IN_CHECK")}[command]
    rows = re.findall(r'^OPTION\(\w+, "([a-z-]+)", (?:0|\'\w\'), (NULL|"[^"]*"), ([A-Z_ |()]+),', text,
                      re.MULTILINE)
    if len(rows) != len(re.findall(r"^OPTION\(", text, re.MULTILINE)):
        raise Failure("not every row of the options' table could be read")
    return {"--" + name: argument != "NULL" for name, argument, commands in rows
            if set(commands.split(" | ")) & set(sets)}


def differences(left, right, left_name, right_name):
    return (["%s is %s, not %s" % (key, left_name, right_name) for key in sorted(left)
             if key not in right] +
            ["%s is %s, not %s" % (key, right_name, left_name) for key in sorted(right)
             if key not in left])


def check_options(ctx):
    """The table of options, the help of each command and the page name the same ones."""
    page = options_of_page(read(ctx, PAGE))
    every, wrong = {}, []
    for command in ("attach", "run", "check"):
        table = options_of_table(read(ctx, "src/cmd/options.def"), command)
        done = ctx.run([ctx.strand, command, "--help"])
        if done.status:
            raise Failure(str(done))
        told = set(re.findall(r"^ +(?:-\w, )?(--[a-z][a-z-]*)", done.out, re.MULTILINE))
        wrong += differences(told, table, "in the help of " + command, "in options.def")
        every.update(table)
    complain(wrong + differences(every, page, "in options.def", "on the page") +
             ["%s: the page and options.def differ in whether it takes an argument" % name
              for name in every if page.get(name, every[name]) != every[name]])


def check_formats(ctx):
    rows = set(re.findall(r"^FORMAT\((\w+),", read(ctx, "src/report/formats.def"), re.MULTILINE))
    items = set(re.findall(r"^\.It Cm (\w+)$", read(ctx, PAGE), re.MULTILINE))
    complain(differences(rows, items & rows, "in formats.def", "on the page"))
    if not rows:
        raise Failure("no formats in formats.def")


def extra_keys(report):
    """(what, key) for every key of a report beyond those that are fixed."""
    found = set()

    def add(what, value, fixed=None):
        found.update((what, key) for key in set(value) - set((fixed or KEYS_OF[what]).split()))

    def add_stack(stack):
        for frame in stack or []:
            add("frame", frame)

    def add_wait(wait):
        if wait:
            add("wait", wait)
            for thing in wait["objects"]:
                add("object", thing, OBJECT_KEYS)

    add("report", report)
    for what in ("process", "summary"):
        add(what, report[what])
    for module in report["process"]["modules"]:
        add("module", module)
    for what, things in (("finding", report["findings"]), ("task", report["tasks"])):
        for thing in things:
            add(what, thing)
            add_wait(thing["wait"])
            add_stack(thing["stack"])
            add("reason", thing.get("reason", {}))
    return found


def extra_keys_of_page(text):
    part = re.search(r'\.\\" keys beyond the schema\n(.*?)\.\\" end of keys', text, re.DOTALL)
    found, what = set(), None
    for item, key in re.findall(r"^\.It (?:an? (\w+) )?Ta Li (\w+) Ta", part.group(1), re.MULTILINE):
        what = item or what
        found.add((what, key))
    return found


def check_keys(ctx):
    """The page lists the keys that strand adds to its schema, and what its schema has."""
    text = read(ctx, PAGE)
    child = examples.start(ctx, "demo_deadlock")
    done = ctx.run([ctx.strand, "attach", "--format=json", str(child.pid)])
    if done.status:
        raise Failure(str(done))
    extra = {" ".join(pair) for pair in extra_keys(json.loads(done.out))}
    page = {" ".join(pair) for pair in extra_keys_of_page(text)}
    fixed = {key for keys in KEYS_OF.values() for key in keys.split()} | set(OBJECT_KEYS.split())
    described = set(re.findall(r"\w+", text[text.index(".Sh THE JSON REPORT"):]))
    complain(differences(extra, page, "in a report", "on the page") +
             ["%s is not on the page" % key for key in sorted(fixed - described)])


def check_names(ctx):
    """Files and functions that the documents name exist."""
    files = set(files_of(ctx))
    folders = {os.path.dirname(name) + "/" for name in files}
    code = "".join(read(ctx, name) for name in files if name.endswith((".c", ".h", ".py", ".am")))
    bad, seen = [], 0
    for document in ("README.md", "CONTRIBUTING.md"):
        text = read(ctx, document)
        for name in re.findall(r"`((?:src|tests|man)/[\w./-]*)`", text) + re.findall(
                r"\]\(([\w./-]+)\)", text):
            seen += 1
            if "NAME" not in name and name not in files | folders:
                bad.append("%s names %s, which is not there" % (document, name))
        for name in re.findall(r"`(?:enum |struct )?(\w+_\w+)(?:\(.*?\))?`", text):
            seen += 1
            if name not in PLACEHOLDERS and not re.search(r"\b%s\b" % name, code):
                bad.append("%s names %s, which is nowhere" % (document, name))
    complain(bad)
    if seen < 50:
        raise Failure("only %d names were found" % seen)


def files_of(ctx):
    for folder in ("src", "tests", "man"):
        for root, _, files in os.walk(ctx.path(folder)):
            for name in files:
                yield os.path.relpath(os.path.join(root, name), ctx.src)
    for name in os.listdir(ctx.src):
        if os.path.isfile(ctx.path(name)):
            yield name
