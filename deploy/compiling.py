"""Compiles what every statement through the gateway passes through, with mypyc, from the same sources that run without it.

    python -m deploy.compiling [folder]

puts one extension module beside each source, or below `folder`. Nothing depends on it but the speed; docs/adr/0013 says why
it is done. An extension runs in the place of its source, so an old one must not stay: `make` sees to it, and the tests refuse
to start beside one.
"""

from __future__ import annotations

import sys
import tempfile

from deploy.local.installed import COMPILED, ROOT, forget_compiled

#: Warnings of the C compiler are for mypyc's authors.
_C_FLAGS = ["-w"]


def main() -> int:
    """Compile all of it, or raise."""
    from mypyc.build import mypycify
    from setuptools import setup

    # mypyc must find the sources, not what was made of them before.
    forget_compiled()
    with tempfile.TemporaryDirectory(prefix="lockgate-compiling-") as folder:
        # Not the project's own settings of mypy: they load Django, of which none of these modules knows.
        options = ["--config-file=", "--ignore-missing-imports", "--follow-imports=silent"]
        sources = [str(source.relative_to(ROOT)) for source in COMPILED]
        extensions = mypycify(
            [*options, *sources], opt_level="2", debug_level="0", target_dir=folder, group_name="lockgate"
        )
        for extension in extensions:
            extension.extra_compile_args += _C_FLAGS
        where = [f"--build-lib={sys.argv[1]}"] if len(sys.argv) > 1 else ["--inplace", f"--build-lib={folder}"]
        words = ["--quiet", "build_ext", f"--build-temp={folder}", *where]
        setup(name="lockgate-compiled", packages=[], ext_modules=extensions, script_args=words)
    return 0


if __name__ == "__main__":
    sys.exit(main())
