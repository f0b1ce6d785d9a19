# SPDX-License-Identifier: MIT
"""Folders with the C library of a Debian release, unpacked from its packages.

No rights are needed, and nothing of the system changes. The list of packages is believed because
Debian has signed it, each package because its checksum stands in that list. Kept in the cache of the
build tree; what cannot be had is said once, and not tried again in the same run.
"""
import contextlib
import hashlib
import lzma
import os
import re
import shutil
import tempfile
import urllib.error
import urllib.request

from looking import find_tool
from strandtest import Failure, Skip

MIRRORS = "http://deb.debian.org/debian", "http://archive.debian.org/debian"
KEYRINGS = "/usr/share/keyrings/debian-archive-keyring.gpg"
INDEX = "main/binary-amd64/Packages.xz"
PACKAGES = ("libc6", "libc6-dev", "libgcc-s1", "libstdc++6",
            "libstdc++-10-dev")  # where there is one, this compiler's headers are too new
ANSWER_S = 15
ATTEMPTS = 2


def download(url):
    for attempt in reversed(range(ATTEMPTS)):
        try:
            with urllib.request.urlopen(url, timeout=ANSWER_S) as answer:
                return answer.read()
        except (urllib.error.URLError, OSError, ValueError) as error:
            if attempt == 0 or getattr(error, "code", None) == 404:
                raise Skip("%s cannot be had: %s" % (url, error))


def check_sum(data, expected, what):
    if hashlib.sha256(data).hexdigest() != expected:
        raise Failure("%s is not what Debian's list says" % what)


def read_release(ctx, mirror, suite, folder):
    """The signed list of lists."""
    if not os.path.exists(KEYRINGS):
        raise Skip("no %s to tell whether packages are Debian's" % KEYRINGS)
    signed, path = os.path.join(folder, "InRelease"), os.path.join(folder, "Release")
    with open(signed, "wb") as file:
        file.write(download("%s/dists/%s/InRelease" % (mirror, suite)))
    done = ctx.run([find_tool("gpgv"), "--keyring", KEYRINGS, "--output", path, signed])
    if not os.path.exists(path) or "Good signature" not in done.err:
        raise Skip("the list of packages of %s is signed by nobody known here\n%s" % (suite, done))
    with open(path, encoding="utf-8") as file:
        return file.read()


def read_index(ctx, mirror, suite, folder):
    """name: (path, checksum) of each package that is wanted."""
    release = read_release(ctx, mirror, suite, folder)
    sums = release.partition("\nSHA256:\n")[2]
    match = re.search(r"^ ([0-9a-f]{64}) +\d+ %s$" % re.escape(INDEX), sums, re.MULTILINE)
    if match is None:
        raise Failure("the list of %s names no %s" % (suite, INDEX))
    data = download("%s/dists/%s/%s" % (mirror, suite, INDEX))
    check_sum(data, match.group(1), INDEX)
    found = {}
    for part in lzma.decompress(data).decode("utf-8").split("\n\n"):
        name = part.partition("\n")[0].partition(": ")[2]
        if name in PACKAGES:
            fields = dict(line.split(": ", 1) for line in part.splitlines() if ": " in line
                          and not line.startswith(" "))
            found[name] = fields["Filename"], fields["SHA256"]
    return found


def unpack_all(ctx, mirror, suite, root):
    with tempfile.TemporaryDirectory(dir=ctx.tmp) as folder:
        for name, (path, expected) in read_index(ctx, mirror, suite, folder).items():
            data = download("%s/%s" % (mirror, path))
            check_sum(data, expected, name)
            package = os.path.join(folder, "package.deb")
            with open(package, "wb") as file:
                file.write(data)
            done = ctx.run([find_tool("dpkg-deb"), "-x", package, root])
            if done.status:
                raise Failure("cannot unpack %s\n%s" % (name, done))


def link_folders(root):
    """lib and lib64 are links into usr where packages do not bring them as folders."""
    # What programs are linked with; the package's own link leads elsewhere.
    os.symlink("libstdc++.so.6", os.path.join(root, "usr/lib/x86_64-linux-gnu/libstdc++.so"))
    for name in ("lib", "lib64"):
        path = os.path.join(root, name)
        if not os.path.lexists(path) and os.path.isdir(os.path.join(root, "usr", name)):
            os.symlink("usr/" + name, path)
    link_paths(root)
    # The kernel is this one everywhere.
    for name in ("linux", "asm-generic", "x86_64-linux-gnu/asm"):
        if not os.path.exists(os.path.join(root, "usr/include", name)):
            os.symlink("/usr/include/" + name, os.path.join(root, "usr/include", name))


def link_paths(root):
    """What links name from the root stays below this one."""
    for folder, folders, files in os.walk(root):
        for path in (os.path.join(folder, name) for name in folders + files):
            target = os.readlink(path) if os.path.islink(path) else ""
            if target.startswith("/"):
                os.unlink(path)
                os.symlink(os.path.relpath(root + target, folder), path)


def make_root(ctx, suite, root):
    fresh = tempfile.mkdtemp(prefix="new-", dir=os.path.dirname(root))
    try:
        unpack_from_some(ctx, suite, fresh)
        link_folders(fresh)
        shutil.rmtree(root, ignore_errors=True)
        os.rename(fresh, root)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def unpack_from_some(ctx, suite, root):
    why = []
    for mirror in MIRRORS:
        try:
            return unpack_all(ctx, mirror, suite, root)
        except Skip as skip:
            why.append(str(skip))
    raise Skip("; ".join(why))


def path_of(ctx, suite):
    return os.path.join(ctx.cache, "releases", suite)


def root_of(ctx, suite):
    """The folder of that release, made if it is not there; Skip where it cannot be."""
    root = path_of(ctx, suite)
    os.makedirs(os.path.dirname(root), exist_ok=True)
    refused = os.path.join(ctx.tmp, "no-" + suite)
    with ctx.lock("releases." + suite):
        if os.path.isdir(root):
            return root
        with contextlib.suppress(OSError), open(refused, encoding="utf-8") as file:
            raise Skip(file.read())
        try:
            make_root(ctx, suite, root)
        except Skip as skip:
            with open(refused, "w", encoding="utf-8") as file:
                file.write(str(skip))
            raise
    return root
