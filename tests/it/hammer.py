# Many processes do whatever comes to mind with a few names in directories that stay, all at once. Usage: hammer.py PROCESSES OPERATIONS SEED PATIENCE
# (Nobody maps a file: who touches a page that another one has cut off is killed, and what a killed writer leaves is not
# published.) Every call must come back, with 0 or with an errno that such a crowd has to expect, before PATIENCE seconds are over.

import errno, os, random, shutil, signal, sys

processes, operations, seed, patience = map(int, sys.argv[1:5])
EXPECTED = {
    errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY, errno.EBUSY, errno.ESTALE, errno.EINVAL,
}
NAMES = [f"{directory}{name}" for directory in ("", "d/", "e/") for name in "uvwxyz"]


def work(number):
    chance = random.Random(seed * 1000 + number)
    name = lambda: chance.choice(NAMES)
    data = lambda: bytes([65 + number % 26]) * chance.choice([0, 1, 100, 5000, 70000, 1500000])

    def write(mode):
        with open(name(), mode) as file:
            file.write(data())

    def read():
        with open(name(), "rb") as file:
            file.read()

    def change():
        with open(name(), "r+b") as file:
            file.seek(chance.randrange(10000))
            file.write(data()[:5000])
            file.truncate(chance.randrange(20000))

    def look():
        names = os.listdir(chance.choice([".", "d", "e"]))
        if names:
            os.stat(chance.choice(names))

    actions = [
        (6, lambda: write("wb")), (3, lambda: write("ab")), (1, lambda: write("xb")), (6, read), (3, change), (4, look),
        (3, lambda: os.rename(name(), name())), (3, lambda: os.unlink(name())), (4, lambda: shutil.copyfile(name(), name())),
        (1, lambda: os.truncate(name(), chance.randrange(3000))),
    ]
    weights, functions = zip(*actions)
    for _ in range(operations):
        try:
            chance.choices(functions, weights)[0]()
        except shutil.SameFileError:
            pass
        except OSError as error:
            if error.errno not in EXPECTED:
                raise


def run(number):
    try:
        work(number)
    except BaseException:
        import traceback
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


for directory in "de":
    os.makedirs(directory, exist_ok=True)
children = {}
for number in range(processes):
    child = os.fork()
    if child == 0:
        run(number)
    children[child] = number


def give_up(*_):
    for child in children:
        with open(f"/proc/{child}/wchan") as file:
            print(f"process {children[child]} hangs in {file.read()}", file=sys.stderr)
        os.kill(child, signal.SIGKILL)
    os._exit(2)


signal.signal(signal.SIGALRM, give_up)
signal.alarm(patience)
failed = 0
while children:
    child, status = os.wait()
    number = children.pop(child)
    if status != 0:
        print(f"process {number}: {status}", file=sys.stderr)
        failed = 1
sys.exit(failed)
