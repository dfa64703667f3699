"""What `import torch` does, and CUDA's initialisation after it, in an interpreter started as a training script is.

Until torch is imported nothing here imports anything but what the interpreter has built in: a stray json.py or
random.py in the working directory has to hit torch, as it would hit the user, and not us. Hence the small JSON writer.
"""

import _signal  # type: ignore[import-not-found]
import faulthandler
import gc
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List

RECORDS = 3  # descriptor the records go to
BEGUN = b"\0envdoctor begins\0\n"  # fresh.MARK, which is not to be imported here
FRAMES = 12  # of a traceback, the innermost ones
BACKENDS = (("gloo", "ProcessGroupGloo"), ("nccl", "ProcessGroupNCCL"), ("mpi", "ProcessGroupMPI"),
            ("ucc", "ProcessGroupUCC"))  # fmt: skip


def json_text(value: "Any") -> str:
    """A value of plain types as JSON in ASCII."""
    if value is None or value is True or value is False:
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (int, float)):
        return repr(value) if value == value and abs(value) != float("inf") else "null"
    if isinstance(value, dict):
        return "{" + ",".join(json_text(str(name)) + ":" + json_text(own) for name, own in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(json_text(own) for own in value) + "]"
    told = []
    for letter in str(value):
        code = ord(letter)
        if 32 <= code < 127 and letter not in '"\\':
            told.append(letter)
        elif code < 0x10000:
            told.append("\\u%04x" % code)
        else:
            told.append("\\u%04x\\u%04x" % (0xD800 + ((code - 0x10000) >> 10), 0xDC00 + ((code - 0x10000) & 0x3FF)))
    return '"' + "".join(told) + '"'


def send(record: "Dict[str, Any]") -> None:
    data = json_text(record).encode("ascii") + b"\n"
    while data:
        data = data[os.write(RECORDS, data) :]


def begin(section: str) -> None:
    send({"begin": section})


def fact(section: str, value: "Dict[str, Any]", began: float) -> None:
    send({"fact": section, "value": value, "seconds": round(time.monotonic() - began, 6)})


def missing(section: str, reason: str, detail: str) -> None:
    send({"missing": section, "reason": reason, "detail": detail})


def users_folders() -> "List[str]":
    """The working directory and the folders of PYTHONPATH, absolute."""
    try:
        here = os.getcwd()
    except OSError:
        here = "/nowhere"  # it was removed: what is relative to it cannot be found
    value = os.environ.get("PYTHONPATH", "")
    return [here] + [os.path.normpath(os.path.join(here, part)) for part in value.split(os.pathsep) if value]


def library_paths() -> "List[str]":
    """sys.path without the user's folders and site-packages: for our own imports of the library."""
    home = os.path.dirname(os.__file__)
    return [entry for entry in sys.path if entry.startswith(home) and entry not in users_folders()]


def is_there() -> bool:
    """Whether the import system knows a torch, asked as `import` asks; nothing is imported."""
    return any(finder.find_spec("torch", None) is not None for finder in sys.meta_path if hasattr(finder, "find_spec"))


def after(text: str, mark: str) -> str:
    """The word that follows a mark in a text, "" without the mark."""
    words = text.partition(mark)[2].split()
    return words[0].strip("'\"`,;)") if words else ""


def failure(error: BaseException) -> "Dict[str, Any]":
    """An exception of the import: class, text, traceback and what its text names."""
    message = str(error)[:4000]
    trace: "List[str]" = []
    link: "Any" = error
    chain: "List[Any]" = []
    while link is not None and len(chain) < 5:
        chain.append(link)
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    for link in reversed(chain):
        frames = []
        step = link.__traceback__
        while step is not None:
            code = step.tb_frame.f_code
            if "importlib" not in code.co_filename and code.co_filename != __file__ and code.co_filename != "<string>":
                frames.append('File "%s", line %d, in %s' % (code.co_filename, step.tb_lineno, code.co_name))
            step = step.tb_next
        trace += frames[-FRAMES:]
        if isinstance(link, SyntaxError) and link.filename:
            trace.append('File "%s", line %d' % (link.filename, link.lineno or 0))
        trace.append((type(link).__name__ + ": " + str(link)[:1000]).strip().rstrip(":"))
    library = message.partition(": cannot open shared object file")
    return {
        "error": type(error).__name__,
        "message": message,
        "trace": trace[-3 * FRAMES :],
        "missing_symbol": after(message, "undefined symbol: "),
        "missing_library": library[0].split()[-1] if library[1] and library[0].split() else "",
        "missing_module": str(error.name or "") if isinstance(error, ModuleNotFoundError) else "",
    }


def strays() -> "List[str]":
    """Files in the working directory or directly in a folder of PYTHONPATH that are loaded as top-level modules."""
    folders = set(users_folders())
    # A venv or an unpacked Python may itself lie there.
    folders -= {os.path.dirname(os.__file__), os.path.dirname(os.path.dirname(os.__file__))}
    found = []
    for name, module in list(sys.modules.items()):
        if "." in name or name == "__main__":
            continue
        try:
            file = os.path.join(users_folders()[0], str(module.__file__ or ""))
        except Exception:
            continue  # no file, or an object that only poses as a module
        home = os.path.dirname(file)
        if os.path.basename(file).startswith("__init__."):
            home = os.path.dirname(home)
        if home in folders and "site-packages" not in home and "dist-packages" not in home:
            found.append(file)
    return found[:10]


def described(torch: "Any") -> "Dict[str, Any]":
    """The build that was imported. Every part is left out that an old or unusual torch does not tell."""
    told: "Dict[str, Any]" = {"file": str(getattr(torch, "__file__", "") or "")}
    if not hasattr(torch, "__version__"):
        told["error"] = "AttributeError"
        told["message"] = "module 'torch' has no attribute '__version__'"
        told["file"] = told["file"] or next(iter(getattr(torch, "__path__", [])), "")
        return told
    told["version"] = str(torch.__version__)
    version = getattr(torch, "version", None)
    told["cuda"] = str(getattr(version, "cuda", None) or "")
    told["hip"] = str(getattr(version, "hip", None) or "")
    core: "Any" = getattr(torch, "_C", None)
    try:
        told["arch_list"] = (core._cuda_getArchFlags() or "").split()
    except Exception:
        pass  # a CPU build
    try:
        told["nccl_header"] = nccl_release(core._nccl_version())
    except Exception:
        pass
    try:
        told["cudnn"] = cudnn_release(core._cudnn.getVersionInt())
    except Exception:
        pass
    distributed = getattr(core, "_distributed_c10d", None)
    told["backends"] = [name for name, group in BACKENDS if hasattr(distributed, group)]
    return told


def nccl_release(number: "Any") -> str:
    """ "2.27.5" of what torch._C._nccl_version() gives: major << 32 | minor << 16 | patch, in old releases 2708."""
    number = int(number)
    if number > 1 << 32:
        return "%d.%d.%d" % (number >> 32, number >> 16 & 0xFFFF, number & 0xFFFF)
    base = 1000 if number < 10000 else 10000
    return "%d.%d.%d" % (number // base, number % base // 100, number % 100)


def cudnn_release(number: int) -> str:
    """ "9.10.2" of cudnnGetVersion(): 91002 since cuDNN 9, 8902 before."""
    base = 10000 if number >= 90000 else 1000
    return "%d.%d.%d" % (number // base, number % base // 100, number % 100)


def cuda(torch: "Any") -> "Dict[str, Any]":
    """What initialising CUDA does."""
    import re
    import warnings

    told: "Dict[str, Any]" = {"devices": []}
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        told["available"] = bool(torch.cuda.is_available())
        told["device_count"] = int(torch.cuda.device_count())
        try:
            torch.cuda.init()
            for index in range(min(told["device_count"], 64)):
                capability = "%d.%d" % tuple(torch.cuda.get_device_capability(index))
                told["devices"].append("%s (%s)" % (torch.cuda.get_device_name(index), capability))
        except Exception as error:
            told["error"] = (type(error).__name__ + ": " + str(error))[:4000]
        said = [str(warning.message)[:2000] for warning in heard]
    for line in said:
        sys.stderr.write(line + "\n")
    flush()
    numbers = [re.search(r"\berror (\d+)\b", text, re.I) for text in [told.get("error", "")] + said]
    told["code"] = next((int(number.group(1)) for number in numbers if number), None)
    return told


def flush() -> None:
    """What was printed goes out now: the process will end without doing it. A module may have replaced the streams."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass


def mapped_libraries() -> None:
    """Which shared libraries are loaded now."""
    began = time.monotonic()
    begin("mapped-libraries")
    path = sys.path
    sys.path = library_paths()
    try:
        from . import mapped

        fact("mapped-libraries", mapped.libraries(), began)
    except Exception as error:
        missing("mapped-libraries", "failed", type(error).__name__ + ": " + str(error))
    finally:
        sys.path = path


def main(request: "Dict[str, Any]") -> None:
    """Write the records of the sections in `request["only"]`; ends the process.

    With `request["trial"]` only the import is tried, see `autopsy`; "cwd" in it leaves the working directory out.
    """
    status = 1
    try:
        examine(request)
        status = 0
    finally:
        flush()
        # torch's own teardown takes a fifth of a second, and may crash.
        os._exit(status)


def examine(request: "Dict[str, Any]") -> None:
    faulthandler.enable(RECORDS)
    if hasattr(faulthandler, "register"):
        # The patient sends it when the time is up: see child.STACK.
        faulthandler.register(_signal.SIGUSR2, RECORDS, all_threads=False)
    wanted = request["only"]
    trial = request.get("trial", "")
    if "cwd" in trial and sys.path[:1] == [""]:
        del sys.path[0]
    # What comes of the import is seldom garbage; without the collector it is a fifth faster.
    gc.disable()
    began = time.monotonic()
    flush()
    os.write(2, BEGUN)
    begin("torch-import")
    torch: "Any" = None
    try:
        if not is_there():
            for section in wanted:
                missing(section, "not-here", "no torch on sys.path")
            return
        import torch as imported

        torch = imported
        told = described(torch)
    except BaseException as error:  # SystemExit and KeyboardInterrupt too: whatever an import may raise
        told = failure(error)
    told["seconds"] = round(time.monotonic() - began, 3)
    told["strays"] = strays()
    flush()
    fact("torch-import", told, began)
    if trial:
        return
    usable = torch is not None and not told.get("error")
    if "mapped-libraries" in wanted:
        mapped_libraries()
    if "torch-cuda" not in wanted:
        return
    if not usable:
        missing("torch-cuda", "failed", "torch did not import")
    elif not told["cuda"] and not told["hip"]:
        missing("torch-cuda", "not-here", "a CPU build")
    else:
        began = time.monotonic()
        begin("torch-cuda")
        try:
            fact("torch-cuda", dict(cuda(torch), seconds=round(time.monotonic() - began, 3)), began)
        except BaseException as error:
            missing("torch-cuda", "failed", type(error).__name__ + ": " + str(error))
        # Once more: initialisation loads the driver's libraries. Said before as well, for it may hang or crash.
        if "mapped-libraries" in wanted:
            mapped_libraries()
