"""What comes before every other import: nothing is taken from the folder in which the program happens to be started.

``python -m`` puts the current folder first on the path of modules, and an empty or relative element of PYTHONPATH or
PATH leads there, too. In somebody else's folder that would run his ``click.py``, or his ``tar``. Only ``os`` and
``sys`` are imported here, which Python has loaded already, and ``gc``, which no file can stand for.
"""

import gc
import os
import sys


def forget_current_folder(*, run_as_module: bool) -> None:
    """Take the current folder from the paths on which modules and programs are searched.

    Modules of this package are found all the same: the package knows where it lies.

    Args:
        run_as_module: by ``python -m``, which puts the folder first, unless Python runs isolated (``-I``, ``-P``).
    """
    if run_as_module and sys.path and sys.path[0] in ("", _absolute("")):
        del sys.path[0]
    given = os.environ.get("PYTHONPATH", "")
    relative = {_absolute(folder) for folder in given.split(os.pathsep) if given and not os.path.isabs(folder)}
    sys.path[:] = [folder for folder in sys.path if folder and folder not in relative]
    if "PATH" in os.environ:
        folders = [folder for folder in os.environ["PATH"].split(os.pathsep) if os.path.isabs(folder)]
        os.environ["PATH"] = os.pathsep.join(folders) or os.defpath


def use_utf8() -> None:
    """Begin anew in Python's UTF-8 mode, unless file names are UTF-8 already.

    Those of configurations and stores are: in another locale ``/Müller`` of a configuration would be another file's
    name than that on the disk. What is printed keeps the locale's characters.
    """
    is_utf8 = sys.getfilesystemencoding().lower().replace("-", "") == "utf8"
    if is_utf8 or os.environ.get("PYTHONUTF8") == "1" or not sys.executable:
        return
    os.environ["PYTHONUTF8"] = "1"
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    os.environ.setdefault("PYTHONIOENCODING", f"{encoding}:backslashreplace")
    _begin_anew()


def keep_docstrings() -> None:
    """Begin anew where PYTHONOPTIMIZE drops docstrings: the grammar by which configurations are read stands in such."""
    if sys.flags.optimize < 2 or os.environ.get("PYTHONOPTIMIZE") in (None, "1") or not sys.executable:
        return
    os.environ["PYTHONOPTIMIZE"] = "1"
    _begin_anew()


def _begin_anew() -> None:
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - it is this very program


def open_standard_streams() -> None:
    """Have standard input, output and error be open, whoever started us.

    A file that is opened would get the free number otherwise, and what is printed would land in it. Standard output
    that was closed takes nothing: what cannot be shown is no success.
    """
    for number, flags in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_RDWR)):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, flags), True)  # it gets the lowest free number
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


def own_what_is_made() -> None:
    """Have a umask not lock us out of what we make: it would be closed to every run to come, and look like a disk that
    takes no permissions.
    """
    mask = os.umask(0o077)
    os.umask(mask & ~0o700)


def seek_cycles_seldom() -> None:
    """Search memory for cycles after each 50,000 objects, not 700: so many come with modules, and none goes."""
    gc.set_threshold(50_000)


def _absolute(folder: str) -> str:
    try:
        return os.path.abspath(folder)
    except FileNotFoundError:  # the current folder has been removed, and holds nothing any more
        return ""
