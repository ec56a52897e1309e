"""The attacks: free Python that tries to do harm outside its process. `said` is what it got."""

from __future__ import annotations

READS = {  # what must not be read; `said` would be its content
    "read a file": """
said = open(place).read()
""",
    "read a file through C": """
libc = ctypes.CDLL(None, use_errno=True)
descriptor = libc.open(place.encode(), 0)
buffer = ctypes.create_string_buffer(100)
libc.read(descriptor, buffer, 100)
said = buffer.value.decode()
""",
    "read the memory of the parent": """
descriptor = os.open(f"/proc/{os.getppid()}/mem", os.O_RDONLY)
said = "not for workers" if descriptor >= 0 else ""
""",
    "read the memory of the parent by a system call": """
class Span(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]
mine = ctypes.create_string_buffer(8)
local, remote = Span(ctypes.addressof(mine), 8), Span(id(None), 8)
got = ctypes.CDLL(None).process_vm_readv(os.getppid(), ctypes.byref(local), 1, ctypes.byref(remote), 1, 0)
said = "not for workers" if got == 8 else ""
""",
    "read the environment of the service": """
said = "".join(os.environ.values())
""",
    "read what descriptors are left": """
said = ""
for descriptor in range(1000):
    try:
        os.lseek(descriptor, 0, 0)
        said += os.read(descriptor, 100).decode(errors="replace")
    except OSError:
        pass
""",
}

TOUCHES = {  # what must not come to be, be changed or go: the file `place`
    "write a file": """
open(place, "w").write("escaped")
""",
    "run a program through C": """
args = (ctypes.c_char_p * 4)(b"/bin/sh", b"-c", f"echo escaped > {place}".encode(), None)
ctypes.CDLL(None).execve(b"/bin/sh", args, None)
""",
    "escape through __subclasses__": """
(wrap,) = [c for c in ().__class__.__base__.__subclasses__() if c.__name__ == "_wrap_close"]
wrap.__init__.__globals__["system"](f"echo escaped > {place}")
""",
    "run a program": """
subprocess.run(["/bin/sh", "-c", f"echo escaped > {place}"])
""",
    "remove a file": """
os.unlink(place)
""",
    "truncate a file": """
os.truncate(place, 0)
""",
    "rename a file": """
os.rename(place, place + ".gone")
""",
    "change the mode of a file": """
os.chmod(place, 0)
""",
    "make a folder": """
os.mkdir(place + ".folder")
""",
}

SENDS = {  # what must not arrive at `address`
    "TCP": """
socket.socket(socket.AF_INET, socket.SOCK_STREAM).connect(address)
""",
    "UDP": """
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"escaped", address)
""",
    "abstract socket": """
socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).connect(address)
""",
}

EXHAUSTS = {  # what must end, and take nothing with it
    "fork bomb": """
while True:
    os.fork()
""",
    "thread bomb": """
while True:
    threading.Thread(target=signal.pause).start()
""",
    "infinite loop": """
while True:
    pass
""",
    "memory bomb": """
hoard = []
while True:
    hoard.append(bytearray(1 << 26))
""",
    "memory bomb that is mapped": """
said = len(mmap.mmap(-1, 1 << 34))
""",
    "recursion without a limit": """
sys.setrecursionlimit(10**9)
def deeper(n):
    return deeper(n + 1) + 1
deeper(0)
""",
    "huge integer": """
sys.set_int_max_str_digits(0)
said = len(str(7 ** (4 * 10 ** 7)))
""",
    "ignores all signals and catches everything": """
for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, signal.SIG_IGN)
while True:
    try:
        while True:
            pass
    except BaseException:
        pass
""",
    "endless answer": """
while True:
    for descriptor in range(3, 1000):
        try:
            os.write(descriptor, b"R" * 65536)
        except OSError:
            pass
""",
    "raises its own limits": """
for kind in (resource.RLIMIT_AS, resource.RLIMIT_CPU):
    resource.setrlimit(kind, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
said = "raised"
""",
}

STRIKES = {  # what must not hit any other process
    "signal the parent": """
os.kill(os.getppid(), signal.SIGKILL)
""",
    "signal everybody": """
os.kill(-1, 0)
said = "reached"
""",
    "signal the service": """
os.kill(service, 0)
said = "reached"
""",
    "trace the parent": """
said = "reached" if ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0) == 0 else ""
""",
    "become root": """
os.setresuid(0, 0, 0)
said = "reached"
""",
    "take new namespaces": """
said = "reached" if ctypes.CDLL(None).unshare(0x10000000) == 0 else ""
""",
    "run its own machine code": """
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
said = "reached"
""",
    "outlive its death signal": """
ctypes.CDLL(None).prctl(1, 0)
said = "reached"
""",
}

FORGERIES = {  # a lie about the result of a rollout; no layer stops one
    "forge the answer on the pipe": """
import struct
import numpy as np
from sim.visited import quantities
from sim.workers import answer as form
frame = sys._getframe()
while "job" not in frame.f_locals:
    frame = frame.f_back
job = frame.f_locals["job"]
perfect = []
for scenario in job.scenarios:
    ticks, m = round(scenario.duration_s * job.robot.control_rate_hz), len(job.robot.actuators)
    numbers = np.full(form._numbers(job.robot), 1e-9)
    rest = np.zeros(2 * quantities(job.robot) + ticks * m)
    perfect.append(form._SCENARIO.pack(ticks, m, 0, 0) + numbers.tobytes() + rest.tobytes())
lie = b"R" + form._HEAD.pack(form._MAGIC, len(perfect)) + b"".join(perfect)
for descriptor in range(3, 1000):
    try:
        os.write(descriptor, lie)
    except OSError:
        pass
os._exit(0)
""",
    "tamper with the scorer": """
import dataclasses
job = sys.modules["sim.workers.job"]
honest = job.judge_trace
def flatter(robot, trace):
    judgement = honest(robot, trace)
    return dataclasses.replace(judgement, metrics={name: 1e-9 for name in judgement.metrics})
job.judge_trace = flatter
""",
    "tamper through frames": """
try:
    raise ValueError
except ValueError as error:
    frame = error.__traceback__.tb_frame
while "run_job" not in frame.f_globals:
    frame = frame.f_back
metrics = frame.f_globals["run_job"].__globals__["judge_trace"].__globals__["Trace"].metrics
catalogue = metrics.__globals__["METRICS"]
for name, metric in catalogue.items():
    object.__setattr__(metric, "compute", lambda array: 1e-9)
""",
}

BREACHES = {  # what the process of a law can do to an exchange, and what is said of it
    "short": (
        "an answer of",
        """
def answer(exchange, honest):
    return honest[:-8]
""",
    ),
    "long": (
        "an answer of",
        """
def answer(exchange, honest):
    return honest + bytes(8)
""",
    ),
    "empty": (
        "has ended",
        """
def answer(exchange, honest):
    return b""
""",
    ),
    "one exchange late": (
        "an answer to exchange",
        """
held = []
def answer(exchange, honest):
    held.append(honest)
    return held[max(0, len(held) - 2)]
""",
    ),
    "two answers at once": (
        "an answer to exchange",
        """
def answer(exchange, honest):
    os.write(WIRE, honest)
    return honest
""",
    ),
    "never": (
        "no answer in time",
        """
while True:
    pass
""",
    ),
    "ends": (
        "has ended",
        """
os._exit(0)
""",
    ),
    "asks the kernel for a socket": (
        "forbidden",
        """
socket.socket()
""",
    ),
    "talks without listening": (
        "an answer to exchange",
        """
for number in range(1, 1000):
    os.write(WIRE, struct.pack("<Q", number) + bytes(16 * job.lanes))
""",
    ),
    "forges the plants' answer": (
        "",
        """
for descriptor in range(1, 1000):
    try:
        os.write(descriptor, b"R" + bytes(100000))
    except OSError:
        pass
""",
    ),
}

LIES = {  # what keeps to the exchange, and is not what the law says
    "commands that are no numbers": """
def answer(exchange, honest):
    return honest[:8] + np.full((len(honest) - 8) // 8, np.nan).tobytes()
""",
    "commands for the run beside": """
def answer(exchange, honest):
    said = np.frombuffer(honest, offset=8).reshape(len(marshal.loads(exchange)[1]), -1)
    return honest[:8] + np.roll(said, 1, axis=0).tobytes()
""",
    "the command of the tick before": """
held = []
def answer(exchange, honest):
    held.append(honest[8:] if not held or len(held[-1]) == len(honest) - 8 else held[-1])
    return honest[:8] + held[max(0, len(held) - 2)][: len(honest) - 8]
""",
    "a mean of what runs beside need": """
def answer(exchange, honest):
    said = np.frombuffer(honest, offset=8).reshape(len(marshal.loads(exchange)[1]), -1)
    return honest[:8] + (0.5 * said + 0.5 * said.mean(axis=0)).tobytes()
""",
    "the last bit of one command": """
def answer(exchange, honest):
    said = np.frombuffer(honest, offset=8).copy()
    if marshal.loads(exchange)[0] == 100:
        said[-1] = np.nextafter(said[-1], np.inf)
    return honest[:8] + said.tobytes()
""",
}
