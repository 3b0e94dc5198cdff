"""The image and the compose file cannot be built here; what they name is held against the tree instead."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.main import main
from history.config import Settings

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
OURS = ("migrate", "server", "worker")


def dockerfile() -> list[tuple[str, str]]:
    """Instruction and argument of each step, continued lines joined."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines]


def arguments(instruction: str) -> list[str]:
    return [argument for name, argument in dockerfile() if name == instruction]


def variables_of_settings() -> set[str]:
    return set(re.findall(r"TIDEMARK_[A-Z_]+", (ROOT / "history" / "config.py").read_text()))


def test_every_copied_path_exists_and_is_let_through_by_dockerignore() -> None:
    let_through = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")
    }
    for copy in arguments("COPY"):
        *sources, _target = shlex.split(copy)
        for source in sources:
            assert (ROOT / source).exists(), source
            assert source in let_through, source


def test_every_package_and_all_that_it_reads_is_copied() -> None:
    copied = {source for copy in arguments("COPY") for source in shlex.split(copy)[:-1]}
    assert {"cli", "server", "worker", "history", "schema.sql", "migrations", "pyproject.toml"} <= copied


def test_the_image_does_not_run_as_root() -> None:
    assert arguments("USER") == ["tidemark"]
    assert any("useradd" in step and step.rstrip().endswith("tidemark") for step in arguments("RUN"))


def test_the_image_installs_with_hashes_only() -> None:
    installs = [step for step in arguments("RUN") if "pip install" in step]
    assert all("--require-hashes" in step or "--no-deps" in step for step in installs)


def test_the_image_serves_unless_told_otherwise() -> None:
    assert [json.loads(entry) for entry in arguments("ENTRYPOINT")] == [["tidemark"]]
    assert [json.loads(command) for command in arguments("CMD")] == [["serve"]]


@pytest.mark.parametrize("service", OURS)
def test_every_command_of_compose_exists(service: str) -> None:
    assert COMPOSE["services"][service]["command"][0] in main.commands


def test_compose_runs_the_three_parts_from_one_image() -> None:
    services = COMPOSE["services"]
    assert {tuple(services[name]["command"]) for name in OURS} == {("serve",), ("worker",), ("migrate",)}
    assert {services[name]["image"] for name in OURS} == {"tidemark"}


def test_every_variable_is_one_that_the_settings_read() -> None:
    known = variables_of_settings()
    for service in OURS:
        assert set(COMPOSE["services"][service]["environment"]) <= known
    assert set(re.findall(r"(TIDEMARK_[A-Z_]+)=", " ".join(arguments("ENV")))) <= known


@pytest.mark.parametrize("service", OURS)
def test_the_environment_of_compose_makes_settings(service: str) -> None:
    given = COMPOSE["services"][service]["environment"]
    # what compose puts in where nothing is set
    environ = {name: re.sub(r"^\$\{\w+:-([^}]*)\}$", r"\1", value) for name, value in given.items()}
    environ["TIDEMARK_MASTER_KEY"] = "A" * 43 + "="
    settings = Settings.from_environ(environ)
    assert settings.port == 8080


def test_secrets_have_no_default_and_compose_says_when_they_are_missing() -> None:
    text = (ROOT / "compose.yaml").read_text()
    uses = re.findall(r"\$\{(TIDEMARK_MASTER_KEY|POSTGRES_PASSWORD)([^}]*)\}", text)
    assert {name for name, _rest in uses} == {"TIDEMARK_MASTER_KEY", "POSTGRES_PASSWORD"}
    assert all(rest.startswith(":?") for _name, rest in uses)


def test_health_checks_ask_for_a_route_that_is_served() -> None:
    routes = "\n".join(path.read_text() for path in (ROOT / "server").rglob("*.py"))
    checks = [*arguments("HEALTHCHECK"), json.dumps(COMPOSE["services"]["server"]["healthcheck"]["test"])]
    for check in checks:
        found = re.search(r"http://127\.0\.0\.1:8080(/[a-z]+)", check)
        assert found is not None
        assert f'"{found.group(1)}"' in routes


def test_everything_that_others_wait_for_can_be_waited_for() -> None:
    services = COMPOSE["services"]
    for service in services.values():
        for name, wish in service.get("depends_on", {}).items():
            if wish["condition"] == "service_healthy":
                assert services[name]["healthcheck"]["test"]
            else:
                assert wish["condition"] == "service_completed_successfully"
                assert services[name]["restart"] == "no"


def test_both_files_of_pins_agree_and_have_a_hash_for_everything() -> None:
    runtime, work = (_pins(ROOT / name) for name in ("requirements.txt", "requirements-dev.txt"))
    assert runtime.items() <= work.items()
    assert all(hashes > 0 for hashes in work.values())


def _pins(path: Path) -> dict[str, int]:
    """Each pinned requirement and how many hashes it has."""
    pins: dict[str, int] = {}
    pin = ""
    for line in path.read_text().splitlines():
        if found := re.match(r"([a-z0-9._-]+==[^\s\\]+.*?)\s*\\?$", line):
            pin = found.group(1)
            pins[pin] = 0
        elif "--hash=sha256:" in line:
            pins[pin] += 1
    return pins
