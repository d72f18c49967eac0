# Steps that a program may take in a directory. Each prints one line: its name, and what came of it. Run in two
# directories, the lines are compared. Nothing printed depends on time, inode numbers, or who runs it.

import ctypes, errno, fcntl, mmap, os, shutil, stat, struct, subprocess, sys

os.umask(0o022)
libc = ctypes.CDLL(None, use_errno=True)
SEEK_DATA, SEEK_HOLE = 3, 4
AT_FDCWD, RENAME_NOREPLACE, RENAME_EXCHANGE = -100, 1, 2
O = os
steps = []


def step(function):
    steps.append((function.__name__, function))
    return function


def many(name, cases):
    """One step for each of `cases`: its words, and a function."""
    for words, function in cases:
        steps.append((f"{name}, {words}", function))


def outcome(function):
    try:
        return show(function())
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error.errno))
    except ValueError as error:
        return f"ValueError {error}"


def show(value):
    if isinstance(value, bytes) and len(value) > 60:
        return f"{len(value)} bytes, sum {sum(value)}"
    return repr(value)


def checked(result):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def renameat2(old, new, flags):
    return checked(libc.renameat2(AT_FDCWD, old.encode(), AT_FDCWD, new.encode(), flags))


def put(name, data=b""):
    fd = os.open(name, O.O_WRONLY | O.O_CREAT | O.O_TRUNC, 0o644)
    try:
        done = 0
        while done < len(data):
            done += os.write(fd, data[done:])
    finally:
        os.close(fd)


def get(name):
    with open(name, "rb") as file:
        return file.read()


def clean(name):
    try:
        os.unlink(name)
    except IsADirectoryError:
        shutil.rmtree(name)
    except FileNotFoundError:
        pass


class fresh:
    """A file with these bytes, open with these flags; gone afterwards."""

    def __init__(self, flags, data=b"0123456789", name="f"):
        self.name = name
        clean(name)
        if data is not None:
            put(name, data)
        self.flags = flags

    def __enter__(self):
        self.fd = os.open(self.name, self.flags, 0o644)
        return self.fd

    def __exit__(self, *_):
        try:
            os.close(self.fd)
        except OSError as error:
            if error.errno != errno.EBADF:
                raise
        clean(self.name)


# --- opening ------------------------------------------------------------------

ACCESS = {"read": O.O_RDONLY, "write": O.O_WRONLY, "both": O.O_RDWR}
MORE = {
    "plain": 0, "create": O.O_CREAT, "create excl": O.O_CREAT | O.O_EXCL, "trunc": O.O_TRUNC,
    "append": O.O_APPEND, "create trunc": O.O_CREAT | O.O_TRUNC, "create append": O.O_CREAT | O.O_APPEND,
    "directory": O.O_DIRECTORY, "nofollow": O.O_NOFOLLOW, "sync": O.O_SYNC, "dsync": O.O_DSYNC, "cloexec": O.O_CLOEXEC,
    "nonblock": O.O_NONBLOCK, "noatime": O.O_NOATIME,
}


def open_and_use(access, more, there):
    def run():
        clean("o")
        if there == "file":
            put("o", b"old content")
        elif there == "directory":
            os.mkdir("o")
        said = []
        fd = os.open("o", ACCESS[access] | MORE[more], 0o600)
        said.append(outcome(lambda: os.read(fd, 100)))
        said.append(outcome(lambda: os.write(fd, b"new")))
        said.append(outcome(lambda: os.fstat(fd).st_size))
        said.append(outcome(lambda: os.close(fd)))
        said.append(outcome(lambda: get("o")))
        clean("o")
        return said
    return run


many("open", [
    (f"{there}, {access}, {more}", open_and_use(access, more, there))
    for there in ["nothing", "file", "directory"] for access in ACCESS for more in MORE
])

NOWHERE = {
    "below a file": "file/x", "in a missing directory": "missing/x", "empty name": "", "a name with a slash at its end": "new/",
    "a file with a slash at its end": "file/", "the longest name": "n" * 255, "a longer name": "n" * 256, "dot": ".",
    "two dots": "..", "a space": " ", "a newline": "a\nb", "accents": "é", "composed": "e\u0301", "a dash": "-", "a star": "*",
    "a backslash": "a\\b", "a colon": "a:b", "a quote": "a\"b", "a hash": "a#b", "percent": "100%", "a question": "a?b",
    "very long path": "d/" * 2100 + "x",
}


def in_a_place(name, function):
    def run():
        clean("file")
        put("file", b"x")
        try:
            return function(name)
        finally:
            if name in ("below a file", ".", "..") or len(name) > 255:
                pass
            else:
                try:
                    clean(name)
                except OSError:
                    pass
            clean("file")
    return run


def make_and_look(name):
    put(name, b"text")
    return get(name), name in os.listdir(".")


many("make", [(words, in_a_place(name, make_and_look)) for words, name in NOWHERE.items()])
many("mkdir", [(words, in_a_place(name, lambda name: os.mkdir(name) or sorted(os.listdir(name)))) for words, name in NOWHERE.items() if name not in (".", "..")])
many("unlink", [(words, in_a_place(name, os.unlink)) for words, name in NOWHERE.items()])
many("rmdir", [(words, in_a_place(name, os.rmdir)) for words, name in NOWHERE.items() if name != "."])
many("stat", [(words, in_a_place(name, lambda name: stat.S_IFMT(os.stat(name).st_mode))) for words, name in NOWHERE.items()])
many("rename to", [(words, in_a_place(name, lambda name: os.rename("file", name))) for words, name in NOWHERE.items() if name not in (".", "..")])

# --- reading and writing --------------------------------------------------------

PLACES = [0, 1, 5, 9, 10, 11, 100, 4095, 4096, 4097, 65536, 1048575, 1048576, 1048577]


def write_at(at, data):
    def run():
        with fresh(O.O_RDWR) as fd:
            wrote = os.pwrite(fd, data, at)
            size = os.fstat(fd).st_size
            around = os.pread(fd, 20, max(0, at - 10))
            head = os.pread(fd, 12, 0)
            os.close(fd)
            return wrote, size, around, head, len(get("f")), sum(get("f"))
    return run


many("pwrite", [(f"{len(data)} at {at}", write_at(at, data)) for at in PLACES for data in (b"", b"x", b"y" * 5000)])
many("read at", [(f"{at}", lambda at=at: read_at(at)) for at in PLACES])


def read_at(at):
    with fresh(O.O_RDONLY, bytes(range(256)) * 20) as fd:
        return os.pread(fd, 100, at), os.lseek(fd, at, 0), os.read(fd, 7), os.lseek(fd, 0, 1)


def resize(sizes, data):
    def run():
        said = []
        with fresh(O.O_RDWR, data) as fd:
            for size in sizes:
                said.append(outcome(lambda: os.ftruncate(fd, size)))
                said.append((os.fstat(fd).st_size, os.pread(fd, 5, 0), os.pread(fd, 5, max(0, size - 3))))
            os.close(fd)
            return said, len(get("f")), sum(get("f"))
    return run


many("ftruncate", [
    (f"{sizes} of {len(data)}", resize(sizes, data))
    for sizes in [(0,), (5,), (20,), (5, 20), (20, 5), (0, 3), (100000, 10), (-1,), (1 << 20, (1 << 20) + 1)]
    for data in (b"", b"0123456789", b"z" * 70000)
])
many("truncate", [
    (f"to {size}", lambda size=size: (put("t", b"0123456789"), os.truncate("t", size), get("t"), clean("t"))[2])
    for size in (0, 3, 10, 15, 5000)
])


@step
def appends_of_two_descriptors_follow_each_other():
    with fresh(O.O_RDWR | O.O_APPEND) as one:
        two = os.open("f", O.O_WRONLY | O.O_APPEND)
        os.write(one, b"1"), os.write(two, b"2"), os.write(one, b"3")
        os.close(two)
        return os.pread(one, 100, 0)


@step
def an_append_ignores_the_position():
    with fresh(O.O_RDWR | O.O_APPEND) as fd:
        os.lseek(fd, 0, 0)
        os.write(fd, b"end")
        return os.lseek(fd, 0, 1), os.pread(fd, 100, 0)


@step
def two_writers_see_each_other():
    with fresh(O.O_RDWR) as one:
        two = os.open("f", O.O_RDWR)
        os.pwrite(one, b"A", 0)
        seen = os.pread(two, 3, 0)
        os.pwrite(two, b"B", 1)
        again = os.pread(one, 3, 0)
        os.close(two)
        return seen, again, get("f")


@step
def a_reader_sees_what_a_writer_only_writes():
    with fresh(O.O_RDONLY, b"a" * 10000) as reader:
        before = os.pread(reader, 5, 4094)
        writer = os.open("f", O.O_WRONLY)
        os.pwrite(writer, b"bbb", 4095)
        during = os.pread(reader, 5, 4094)
        os.close(writer)
        return before, during, os.pread(reader, 5, 4094)


@step
def truncated_under_a_reader():
    with fresh(O.O_RDONLY, b"a" * 10000) as reader:
        os.truncate("f", 3)
        return os.pread(reader, 100, 0), os.fstat(reader).st_size


@step
def a_duplicate_shares_its_position():
    with fresh(O.O_RDWR) as fd:
        other = os.dup(fd)
        os.write(fd, b"ab")
        where = os.lseek(other, 0, 1)
        os.write(other, b"cd")
        os.close(other)
        return where, os.pread(fd, 10, 0)


@step
def vectors():
    with fresh(O.O_RDWR) as fd:
        wrote = os.writev(fd, [b"aa", b"", b"bbb"])
        buffers = [bytearray(2), bytearray(4)]
        read = os.preadv(fd, buffers, 1)
        return wrote, read, buffers


@step
def a_write_to_a_closed_descriptor():
    with fresh(O.O_RDWR) as fd:
        os.close(fd)
        return os.write(fd, b"x")


@step
def negative_positions():
    with fresh(O.O_RDWR) as fd:
        return outcome(lambda: os.lseek(fd, -1, 0)), outcome(lambda: os.pread(fd, 1, -1)), outcome(lambda: os.lseek(fd, -20, 2))


@step
def seeks():
    with fresh(O.O_RDWR) as fd:
        return os.lseek(fd, 0, 2), os.lseek(fd, -3, 2), os.read(fd, 9), os.lseek(fd, 50, 0), os.read(fd, 9), os.lseek(fd, -1, 1)


@step
def data_and_holes_of_a_full_file():
    with fresh(O.O_RDWR) as fd:
        return [outcome(lambda: os.lseek(fd, at, how)) for how in (SEEK_DATA, SEEK_HOLE) for at in (0, 5, 9, 10, 11)]


@step
def data_before_a_hole():
    with fresh(O.O_RDWR) as fd:
        os.ftruncate(fd, 1 << 20)
        # A file system may say that all is data, but no data may be passed over.
        return os.lseek(fd, 0, SEEK_DATA), 10 <= os.lseek(fd, 0, SEEK_HOLE) <= 1 << 20


@step
def bytes_of_a_hole():
    with fresh(O.O_RDWR, b"") as fd:
        os.pwrite(fd, b"end", 200000)
        os.close(fd)
        data = get("f")
        return len(data), sum(data), data[-4:]


@step
def large_and_odd_writes():
    with fresh(O.O_RDWR, b"") as fd:
        data = bytes((at * 31 + (at >> 8)) & 255 for at in range(300001))
        at = 0
        for size in (1, 4095, 4097, 70000, 131072, 1, 90000):
            at += os.write(fd, data[at:at + size])
        os.write(fd, data[at:])
        os.close(fd)
        return get("f") == data


@step
def written_backwards():
    with fresh(O.O_RDWR, b"") as fd:
        for at in range(90000, -1, -10000):
            os.pwrite(fd, bytes([at // 10000 + 65]) * 10000, at)
        os.close(fd)
        return get("f") == b"".join(bytes([at + 65]) * 10000 for at in range(10))


@step
def overwritten_in_the_middle_of_what_is_there():
    clean("f")
    put("f", b"a" * 3000000)
    fd = os.open("f", O.O_WRONLY)
    os.pwrite(fd, b"BBB", 1500000)
    os.close(fd)
    data = get("f")
    clean("f")
    return len(data), data[1499998:1500005], data.count(b"a")


@step
def preallocated():
    with fresh(O.O_RDWR) as fd:
        os.posix_fallocate(fd, 0, 5000)
        first = os.fstat(fd).st_size, os.pread(fd, 12, 0)
        os.posix_fallocate(fd, 0, 100)
        return first, os.fstat(fd).st_size


@step
def reserved_beyond_the_end():
    with fresh(O.O_RDWR) as fd:
        checked(libc.fallocate(fd, 1, ctypes.c_long(0), ctypes.c_long(5000)))
        return os.fstat(fd).st_size


@step
def copied_in_the_kernel():
    with fresh(O.O_RDONLY, b"source" * 1000) as source:
        target = os.open("g", O.O_WRONLY | O.O_CREAT | O.O_TRUNC, 0o644)
        done = 0
        while done < 6000:
            done += os.sendfile(target, source, done, 6000 - done)
        os.close(target)
        data = get("g")
        clean("g")
        return data == b"source" * 1000


@step
def synced():
    with fresh(O.O_RDWR) as fd:
        os.write(fd, b"x")
        return os.fsync(fd), os.fdatasync(fd), outcome(os.sync)


@step
def a_directory_is_synced():
    fd = os.open(".", O.O_RDONLY | O.O_DIRECTORY)
    try:
        return os.fsync(fd)
    finally:
        os.close(fd)


@step
def a_temporary_file_without_a_name():
    fd = os.open(".", O.O_TMPFILE | O.O_RDWR, 0o600)
    os.close(fd)
    return "made"


# --- mappings ---------------------------------------------------------------------


@step
def mapped_for_reading():
    with fresh(O.O_RDONLY, b"m" * 10000) as fd:
        with mmap.mmap(fd, 0, mmap.MAP_SHARED, mmap.PROT_READ) as mapping:
            return mapping[:3], mapping[9998:], len(mapping)


@step
def mapped_and_written():
    with fresh(O.O_RDWR, b"m" * 10000) as fd:
        with mmap.mmap(fd, 0, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE) as mapping:
            mapping[5000:5003] = b"NEW"
            mapping.flush()
            seen = os.pread(fd, 5, 4999)
        os.close(fd)
        return seen, get("f")[4998:5005]


@step
def mapped_privately():
    with fresh(O.O_RDWR, b"m" * 100) as fd:
        with mmap.mmap(fd, 0, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE) as mapping:
            mapping[0:3] = b"NEW"
        os.close(fd)
        return get("f")[:5]


# --- names ----------------------------------------------------------------------


def scene():
    for name in ("s", "t"):
        clean(name)


KINDS = {
    "nothing": lambda name: None,
    "file": lambda name: put(name, name.encode()),
    "directory": os.mkdir,
    "full directory": lambda name: (os.mkdir(name), put(name + "/in", b"in")),
}


def after():
    return [
        (name, sorted(os.listdir(name)) if os.path.isdir(name) else get(name)) for name in ("s", "t") if os.path.exists(name)
    ]


def move(source, target, how):
    def run():
        scene()
        KINDS[source]("s")
        KINDS[target]("t")
        told = outcome(lambda: how("s", "t"))
        left = after()
        scene()
        return told, left
    return run


HOWS = {
    "rename": os.rename,
    "noreplace": lambda source, target: renameat2(source, target, RENAME_NOREPLACE),
    "exchange": lambda source, target: renameat2(source, target, RENAME_EXCHANGE),
}
many("move", [
    (f"{how}, {source} to {target}", move(source, target, HOWS[how]))
    for how in HOWS for source in KINDS for target in KINDS
])


@step
def renamed_to_itself():
    put("s", b"x")
    os.rename("s", "s")
    data = get("s")
    clean("s")
    return data


@step
def a_directory_into_itself():
    scene()
    os.makedirs("s/deep")
    told = outcome(lambda: os.rename("s", "s/deep/s"))
    scene()
    return told


@step
def moved_between_directories():
    scene()
    os.mkdir("s"), os.mkdir("t")
    put("s/f", b"moved")
    os.rename("s/f", "t/g")
    told = os.listdir("s"), os.listdir("t"), get("t/g")
    scene()
    return told


@step
def a_tree_is_moved():
    scene()
    os.makedirs("s/a/b")
    put("s/a/b/f", b"deep")
    os.rename("s/a", "t")
    told = sorted(os.listdir("s")), get("t/b/f")
    scene()
    return told


@step
def renamed_while_open():
    with fresh(O.O_RDWR) as fd:
        os.pwrite(fd, b"x", 0)
        os.rename("f", "r")
        os.pwrite(fd, b"y", 1)
        os.close(fd)
        data = get("r")
        clean("r")
        return data, os.path.exists("f")


@step
def removed_while_open():
    with fresh(O.O_RDWR) as fd:
        os.unlink("f")
        os.pwrite(fd, b"x", 0)
        return os.pread(fd, 10, 0), os.fstat(fd).st_size, os.fstat(fd).st_nlink, os.path.exists("f")


@step
def replaced_while_open():
    with fresh(O.O_RDWR) as fd:
        put("n", b"the new one")
        os.rename("n", "f")
        return os.pread(fd, 20, 0), get("f")


@step
def removed_and_made_again_while_open():
    with fresh(O.O_RDWR) as fd:
        os.unlink("f")
        put("f", b"second")
        os.pwrite(fd, b"first", 0)
        return get("f"), os.pread(fd, 5, 0)


@step
def a_file_below_a_removed_directory():
    scene()
    os.mkdir("s")
    directory = os.open("s", O.O_RDONLY | O.O_DIRECTORY)
    os.rmdir("s")
    told = outcome(lambda: os.open("x", O.O_WRONLY | O.O_CREAT, dir_fd=directory))
    os.close(directory)
    return told


@step
def a_listing_is_what_is_there():
    scene()
    os.mkdir("s")
    for number in range(300):
        put(f"s/{number:03}", b"")
    os.unlink("s/100")
    os.rename("s/101", "s/renamed")
    names = sorted(os.listdir("s"))
    scene()
    return len(names), names[99:103], names[-1]


@step
def a_listing_that_is_changed_while_it_is_read():
    scene()
    os.mkdir("s")
    for number in range(500):
        put(f"s/{number:03}", b"")
    seen = []
    with os.scandir("s") as lines:
        for line in lines:
            seen.append(line.name)
            os.unlink(f"s/{line.name}")
    left = os.listdir("s")
    scene()
    return len(seen), len(set(seen)), len(left)


@step
def kinds_in_a_listing():
    scene()
    os.mkdir("s"), os.mkdir("s/d"), put("s/f", b"")
    kinds = sorted((line.name, line.is_dir(), line.is_file()) for line in os.scandir("s"))
    scene()
    return kinds


@step
def an_exclusive_file_is_made_once():
    clean("lock")
    told = [outcome(lambda: os.close(os.open("lock", O.O_CREAT | O.O_EXCL | O.O_WRONLY))) for _ in range(2)]
    clean("lock")
    return told


# --- metadata -------------------------------------------------------------------

many("chmod", [
    (oct(mode), lambda mode=mode: (put("m", b""), os.chmod("m", mode), oct(stat.S_IMODE(os.stat("m").st_mode)), clean("m"))[2])
    for mode in (0o600, 0o644, 0o755, 0o400, 0o000)
])
many("made with", [
    (oct(mode), lambda mode=mode: (
        clean("m"), os.close(os.open("m", O.O_CREAT | O.O_WRONLY, mode)), oct(stat.S_IMODE(os.stat("m").st_mode)), clean("m"))[2])
    for mode in (0o600, 0o666, 0o777)
])
many("times", [
    (f"{times}", lambda times=times: (put("m", b"x"), os.utime("m", ns=times), (os.stat("m").st_atime_ns, os.stat("m").st_mtime_ns), clean("m"))[2])
    for times in [(0, 0), (1, 1500000000123456789), (4102444800000000000, 4102444800000000000)]
])


@step
def the_mode_of_a_directory():
    scene()
    os.mkdir("s", 0o750)
    first = oct(stat.S_IMODE(os.stat("s").st_mode))
    os.chmod("s", 0o700)
    second = oct(stat.S_IMODE(os.stat("s").st_mode))
    scene()
    return first, second


@step
def a_write_sets_the_time():
    put("m", b"x")
    os.utime("m", (1, 1))
    with open("m", "ab") as file:
        file.write(b"y")
    changed = os.stat("m").st_mtime > 1000
    clean("m")
    return changed


@step
def what_copies_keep():
    put("m", b"x")
    os.chmod("m", 0o640), os.utime("m", (100, 200))
    shutil.copy2("m", "n")
    about = os.stat("n")
    clean("m"), clean("n")
    return oct(about.st_mode), about.st_mtime


@step
def the_owner_stays_who_it_is():
    put("m", b"x")
    os.chown("m", os.getuid(), os.getgid())
    about = os.stat("m")
    clean("m")
    return about.st_uid == os.getuid(), about.st_gid == os.getgid()


@step
def who_may():
    put("m", b"x")
    may = [os.access("m", how) for how in (os.F_OK, os.R_OK, os.W_OK, os.X_OK)]
    clean("m")
    return may


@step
def links_of_a_file():
    put("m", b"x")
    links = os.stat("m").st_nlink
    clean("m")
    return links


@step
def a_symbolic_link():
    try:
        os.symlink("target", "link")
        return os.readlink("link")
    finally:
        clean("link")


@step
def a_hard_link():
    put("m", b"x")
    try:
        os.link("m", "n")
        return get("n")
    finally:
        clean("m"), clean("n")


@step
def a_pipe_with_a_name():
    try:
        return os.mkfifo("pipe")
    finally:
        clean("pipe")


@step
def an_attribute():
    put("m", b"x")
    try:
        os.setxattr("m", "user.test", b"value")
        return os.getxattr("m", "user.test"), os.listxattr("m")
    finally:
        clean("m")


@step
def an_attribute_that_is_not_there():
    put("m", b"x")
    told = outcome(lambda: os.getxattr("m", "user.nothing"))
    clean("m")
    return told


@step
def room():
    about = os.statvfs(".")
    return about.f_bsize > 0, about.f_blocks > 0, about.f_namemax


# --- locks ----------------------------------------------------------------------

TRY = """
import fcntl, sys
file = open(sys.argv[1], 'r+b')
try:
    getattr(fcntl, sys.argv[2])(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    print('got it')
except OSError as error:
    print('refused')
"""


def try_lock(how):
    return subprocess.run([sys.executable, "-c", TRY, "f", how], capture_output=True, text=True).stdout


def lock(how):
    def run():
        with fresh(O.O_RDWR) as fd:
            take = getattr(fcntl, how)
            take(fd, fcntl.LOCK_EX)
            held = try_lock(how)
            take(fd, fcntl.LOCK_UN)
            return held, try_lock(how)
    return run


many("lock", [(how, lock(how)) for how in ("flock", "lockf")])

# --- programs -------------------------------------------------------------------


def shell(script):
    def run():
        scene()
        done = subprocess.run(["sh", "-c", script], capture_output=True, text=True)
        scene()
        return done.returncode, done.stdout
    return run


many("shell", [
    ("redirections", shell("echo a > s; echo b >> s; cat s; cat < s > t; cmp s t && echo same")),
    ("here document", shell("cat > s <<X\nline\nX\ncat s")),
    ("subshells", shell("(echo a; echo b) > s; { echo c; echo d; } >> s; cat s")),
    ("dd", shell("dd if=/dev/zero of=s bs=1000 count=7 2>/dev/null; wc -c < s; dd if=s of=t bs=64 skip=3 seek=5 2>/dev/null; wc -c < t")),
    ("dd in place", shell("echo 0123456789 > s; printf X | dd of=s bs=1 seek=4 conv=notrunc 2>/dev/null; cat s")),
    ("cp and mv", shell("echo a > s; cp -p s t; mv t s; cat s; ls")),
    ("cp -r", shell("mkdir s; mkdir s/a s/b; echo 1 > s/a/f; echo 2 > s/b/g; cp -r s t; diff -r s t && echo same; rm -r s t")),
    ("sed in place", shell("echo abc > s; sed -i s/b/X/ s; cat s; ls")),
    ("sort into itself", shell("printf '3\\n1\\n2\\n' > s; sort -o s s; cat s")),
    ("tee", shell("echo a | tee s t; echo b | tee -a s >/dev/null; cat s t")),
    ("tar", shell("mkdir s; echo 1 > s/f; mkdir s/d; echo 2 > s/d/g; tar cf t s; rm -r s; tar xf t; cat s/f s/d/g; rm -r s")),
    ("truncate", shell("truncate -s 100 s; wc -c < s; truncate -s 10 s; wc -c < s; truncate -s +5 s; wc -c < s")),
    ("touch", shell("touch s; touch -d '2001-02-03 04:05:06 UTC' s; stat -c '%Y %s' s")),
    ("install", shell("echo a > s; install -m 600 s t; stat -c '%a %s' t")),
    ("find", shell("mkdir s; mkdir s/d; echo 1 > s/d/f; find s | sort; rm -r s")),
    ("split", shell("mkdir s; cd s; seq 1 100 | split -l 30 - part; cat part* | wc -l; ls; cd ..; rm -r s")),
    ("python appends", shell("python3 -c \"f=open('s','a'); f.write('a'); f.close(); f=open('s','a'); f.write('b'); f.close(); print(open('s').read())\"")),
    ("sqlite", shell("python3 -c \"import sqlite3; c=sqlite3.connect('s'); c.execute('create table t(a)'); c.execute('insert into t values(7)'); c.commit(); c.close(); print(sqlite3.connect('s').execute('select a from t').fetchall())\"")),
    ("gzip", shell("seq 1 1000 > s; gzip s; gunzip s.gz; tail -1 s; rm -f s s.gz")),
    ("mkdir -p", shell("mkdir -p s/a/b/c; rmdir -p s/a/b/c; ls")),
    ("rm -r", shell("mkdir -p s/a/b; touch s/f s/a/g; rm -r s; ls")),
    ("noclobber", shell("set -C; echo a > s; echo b > s || echo refused; cat s")),
])

for name, function in steps:
    print(f"{name}: {outcome(function)}".replace("\n", "\\n"))
    left = os.listdir(".")
    if left:
        print(f"{name} left {left}")
        for other in left:
            clean(other)
