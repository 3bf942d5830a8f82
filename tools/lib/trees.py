"""File trees as text, and what may differ between two of the same system made at different times."""
import fnmatch, hashlib, os, stat

# Contents, sizes or presence that differ between any two systems, with the reason. Names are relative; `*` crosses slashes.
MAY_DIFFER = {
    "var/log/*": "times",
    "var/cache/ldconfig/aux-cache": "times and inodes",
    "var/cache/apt/*": "the caches of apt",
    "var/cache/debconf/*": "order of a hash",
    "var/lib/apt/*": "what was fetched when",
    "etc/machine-id": "an id",
    "var/lib/dbus/machine-id": "an id",
    "etc/ssh/ssh_host_*": "keys",
    "etc/ssl/private/*": "keys",
    "etc/shadow*": "the day",
    "etc/gshadow*": "the day",
    "var/lib/systemd/catalog/database": "an id",
    "etc/resolv.conf": "the host's",
    "etc/hosts": "the host's",
    "run/*": "what was running",
    "tmp/*": "what was running",
}


def entries(root):
    """`NAME<tab>KIND MODE UID:GID CONTENTS` of everything below `root`, sorted."""
    out = []
    for where, dirs, files in os.walk(root):
        for name in [*dirs, *files]:
            path = os.path.join(where, name)
            s = os.lstat(path)
            mode = stat.S_IMODE(s.st_mode)
            if stat.S_ISLNK(s.st_mode):
                what = f"link -> {os.readlink(path)}"
            elif stat.S_ISDIR(s.st_mode):
                what = f"dir {mode:o}"
            elif stat.S_ISREG(s.st_mode):
                with open(path, "rb") as f:
                    what = f"file {mode:o} {s.st_size} {hashlib.file_digest(f, 'sha256').hexdigest()[:32]}"
            elif stat.S_ISCHR(s.st_mode) or stat.S_ISBLK(s.st_mode):
                what = f"device {mode:o} {os.major(s.st_rdev)}:{os.minor(s.st_rdev)}"
            else:
                what = f"other {s.st_mode:o}"
            out.append(f"{os.path.relpath(path, root)}\t{what} {s.st_uid}:{s.st_gid}")
    return sorted(out)


def record(root, file):
    file.write_text("".join(line + "\n" for line in entries(root)))


def compare(one, other):
    """What was compared, as text, and a line for each difference that has no reason."""
    a, b = (dict(line.split("\t", 1) for line in file.read_text().splitlines()) for file in (one, other))
    differ, excused = [], 0
    for name in sorted({*a, *b}):
        if a.get(name) != b.get(name):
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in MAY_DIFFER):
                excused += 1
            else:
                differ.append(f"{name}: {a.get(name, 'absent')} | {b.get(name, 'absent')}")
    return f"{len({*a, *b})} names, {excused} differ for listed reasons, {len(differ)} otherwise", differ
