"""A new interpreter of the target that runs one of our modules.

It is started as a training script would be: the working directory, PYTHONPATH and the user's site-packages count. Our
own modules must not be found through them, nor hide what they shadow, and nothing is imported for them that a bare
interpreter has not got.
"""

import marshal
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional

# Module -> source, where ours did not come from files; a machine may have no place for any.
SOURCES: "Dict[str, str]" = {}
# What a module of ours prints there as it begins: what stands before it is of start-up files.
MARK = b"\0envdoctor begins\0\n"
# Under this name NVIDIA's own Python binding for NVML is among them.
BINDING = "envdoctor_patient.pynvml"

FROM_FILES = """
_package.__path__ = [{folder!r}]
"""
# Standard input is what `given` made, and the null device afterwards, as for every other program that is started here.
FROM_SOURCES = """
import marshal
_sources = marshal.loads(open(0, "rb", closefd=False).read())
_null = os.open(os.devnull, os.O_RDONLY)
os.dup2(_null, 0)
os.close(_null)
class _Sources(object):
    def find_spec(self, name, path=None, target=None):
        return type(os.__spec__)(name, self, origin="<" + name + ">") if name in _sources else None
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        module.__file__ = module.__spec__.origin
        exec(compile(_sources[module.__name__], module.__file__, "exec"), module.__dict__)
sys.meta_path.insert(0, _Sources())
_package.__path__ = []
"""
CODE = """
import sys, os
_path, sys.path = sys.path, [p for p in sys.path if p.startswith(os.path.dirname(os.__file__))]
_package = type(sys)("envdoctor_patient")
sys.modules["envdoctor_patient"] = _package
{modules}
_module = __import__("envdoctor_patient.{module}", fromlist=["main"])
sys.path = _path
_module.main({request!r})
"""


def code(module: str, request: "Dict[str, Any]") -> str:
    """A program for `python -c` that calls `main(request)` of a module of this package. No JSON: see torch_import."""
    modules = FROM_SOURCES
    if not SOURCES:
        modules = FROM_FILES.format(folder=os.path.dirname(os.path.abspath(__file__)))
    return CODE.format(modules=modules, module=module, request=request)


def given() -> "Optional[bytes]":
    """What that program reads from its standard input; None for nothing."""
    if not SOURCES:
        return None
    return marshal.dumps({name: source for name, source in SOURCES.items() if name != BINDING})


def in_memory(data: bytes) -> int:
    """A descriptor to read these bytes from. Where Python (3.8) or the system has no file in memory, one without a
    name. Raises OSError where there is no room for it."""
    make = getattr(os, "memfd_create", None)
    if make is not None:
        descriptor = int(make("envdoctor"))
    else:
        import tempfile

        with tempfile.TemporaryFile(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as file:
            descriptor = os.dup(file.fileno())
    while data:
        data = data[os.write(descriptor, data) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
