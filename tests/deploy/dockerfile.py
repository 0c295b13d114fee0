"""What is wrong with the Dockerfile, without a Docker engine: files that are not there, commands that would not run."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from deploy.local.installed import ROOT
from tests.deploy.commands import command_problems, shell_words
from tests.deploy.variables import is_read, settings_variables

_INSTRUCTIONS = frozenset({"FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "EXPOSE", "CMD"})
_ASSIGNMENT = re.compile(r"(?:^|\s)((?:LOCKGATE_|DATABASE_|REDIS_|EMAIL_)\w+)=")


@dataclass
class Stage:
    """From one FROM to the next."""

    name: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def all(self, kind: str) -> list[str]:
        """What stands behind each instruction of one kind."""
        return [words for found, words in self.instructions if found == kind]


def load(path: Path = ROOT / "Dockerfile") -> list[Stage]:
    """The stages; the last one is the image."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    stages: list[Stage] = []
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        kind, _, words = line.strip().partition(" ")
        if kind == "FROM":
            stages.append(Stage(words.partition(" AS ")[2]))
        if kind:
            stages[-1].instructions.append((kind, words))
    return stages


def copies(stage: Stage) -> Iterator[tuple[str, list[str], str]]:
    """Each COPY: the stage it takes from ('' for the project), its sources, its target."""
    for words in stage.all("COPY"):
        flags = [word for word in words.split() if word.startswith("--")]
        *sources, target = [word for word in words.split() if not word.startswith("--")]
        yield next((flag.removeprefix("--from=") for flag in flags if flag.startswith("--from=")), ""), sources, target


def steps(stage: Stage) -> list[str]:
    """The single commands of all RUNs."""
    return [step.strip() for words in stage.all("RUN") for step in words.split("&&")]


def problems_of(stages: list[Stage]) -> list[str]:
    """Everything that is wrong."""
    image = stages[-1]
    found = [
        f"no instruction {kind!r} is known"
        for stage in stages
        for kind, _ in stage.instructions
        if kind not in _INSTRUCTIONS
    ]
    for number, stage in enumerate(stages):
        found += _copy_problems(stage, {earlier.name for earlier in stages[:number]})
    found += [problem for step in steps(image) for problem in _step_problems(step)]
    found += command_problems(json.loads(image.all("CMD")[-1]))
    found += [
        f"nothing reads the variable {name}" for name in _variables(image) if not is_read(name, settings_variables())
    ]
    found += [f"the package {name} is not copied" for name in sorted(_packages() - _copied(image))]
    if image.all("USER")[-1:] in ([], ["root"]):
        found.append("the image runs as root")
    return found


def is_ignored(source: str, patterns: Path = ROOT / ".dockerignore") -> bool:
    """Whether .dockerignore keeps a file or folder out of what the image is built from."""
    lines = [line.strip() for line in patterns.read_text().splitlines() if line.strip()]
    parts = Path(source).parts
    prefixes = ["/".join(parts[: number + 1]) for number in range(len(parts))]
    return any(fnmatch(prefix, line.removeprefix("**/")) for prefix in prefixes for line in lines)


def _copy_problems(stage: Stage, earlier: set[str]) -> Iterator[str]:
    for origin, sources, _ in copies(stage):
        if origin and origin not in earlier:
            yield f"COPY takes from the stage {origin!r}, which there is not"
        for source in [] if origin else sources:
            if not (ROOT / source).exists():
                yield f"COPY: there is no {source!r}"
            elif is_ignored(source):
                yield f"COPY: .dockerignore keeps {source!r} out"


def _step_problems(step: str) -> list[str]:
    words = shell_words(step)
    return command_problems(words) if words[0] in ("python", "celery", "gunicorn") else []


def _variables(image: Stage) -> list[str]:
    return _ASSIGNMENT.findall("\n".join([*image.all("ENV"), *image.all("RUN")]))


def _copied(image: Stage) -> set[str]:
    return {source for origin, sources, _ in copies(image) if not origin for source in sources}


def _packages() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return set(project["tool"]["setuptools"]["packages"]) | {"templates", "static", "manage.py"}
