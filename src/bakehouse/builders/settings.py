"""The user's settings as values: where the store is, how registries are spoken to.

Read from `$XDG_CONFIG_HOME/bakehouse/config.toml` and `BAKEHOUSE_*` variables by `read_settings`; the rest of the
project never looks at the environment. The registry tables are those of buildkitd.toml.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bakehouse.errors import DefinitionError
from bakehouse.registry.config import HostConfig, RegistryConfig, proxies_of
from bakehouse.values import dataclass, field, replace


@dataclass(frozen=True)
class Settings:
    """`store_root` holds everything that lasts; `snapshotter` is auto, overlay or copy; `max_parallelism` bounds how
    many steps run at once; `max_download` and `max_unpacked` are bytes, None the engine's own limits."""

    store_root: Path
    registries: RegistryConfig = field(default_factory=RegistryConfig)
    snapshotter: str = "auto"
    max_parallelism: int = 64
    docker_config: Path | None = None
    max_download: int | None = None
    max_unpacked: int | None = None


def read_settings(environ: Mapping[str, str], *, root_user: bool, home: Path) -> Settings:
    """Settings of this user. Raises `DefinitionError` that names the file and the member that is wrong."""
    config_home = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    path = Path(environ.get("BAKEHOUSE_CONFIG") or config_home / "bakehouse" / "config.toml")
    table = _read_toml(path)
    known = {"root", "snapshotter", "max-parallelism", "max-download", "max-unpacked", "registry"}
    for name in table:
        if name not in known:
            raise DefinitionError(
                f"{path}: unknown setting {name!r}",
                code="invalid-settings",
                hint=f"known: {', '.join(sorted(known))}",
            )
    default_root = (
        Path("/var/lib/bakehouse")
        if root_user
        else Path(environ.get("XDG_DATA_HOME") or home / ".local" / "share") / "bakehouse"
    )
    snapshotter = environ.get("BAKEHOUSE_SNAPSHOTTER") or str(table.get("snapshotter", "auto"))
    if snapshotter not in ("auto", "overlay", "copy"):
        raise DefinitionError(
            f"snapshotter {snapshotter!r} is not auto, overlay or copy", code="invalid-settings"
        )
    parallelism = environ.get("BAKEHOUSE_MAX_PARALLELISM") or table.get("max-parallelism", 64)
    try:
        max_parallelism = int(parallelism)
        if max_parallelism < 1:
            raise ValueError
    except (TypeError, ValueError):
        raise DefinitionError(
            f"max-parallelism must be a whole number from 1, not {parallelism!r}", code="invalid-settings"
        ) from None
    return Settings(
        store_root=Path(environ.get("BAKEHOUSE_ROOT") or str(table.get("root", "")) or default_root),
        registries=_registries(path, table.get("registry", {}), environ),
        snapshotter=snapshotter,
        max_parallelism=max_parallelism,
        docker_config=Path(environ.get("DOCKER_CONFIG") or home / ".docker"),
        max_download=_size(path, "max-download", table.get("max-download")),
        max_unpacked=_size(path, "max-unpacked", table.get("max-unpacked")),
    )


def _size(path: Path, name: str, value: object) -> int | None:
    """Bytes of a size such as `"64GiB"` or 65536; None when there is none."""
    if value is None:
        return None
    from bakehouse.go.units import parse_ram_bytes

    try:
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise ValueError
        size = parse_ram_bytes(str(value))
        if size < 1:
            raise ValueError
    except ValueError:
        raise DefinitionError(
            f'{path}: {name} must be a size such as "64GiB", not {value!r}', code="invalid-settings"
        ) from None
    return size


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise DefinitionError(f"cannot read {path}: {error.strerror}", code="invalid-settings") from error
    import tomllib

    try:
        return tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DefinitionError(f"{path}: {error}", code="invalid-settings") from error


def _registries(path: Path, tables: Any, environ: Mapping[str, str]) -> RegistryConfig:
    def wrong(name: str, member: str, expected: str) -> DefinitionError:
        return DefinitionError(
            f'{path}: registry."{name}".{member} must be {expected}', code="invalid-settings"
        )

    hosts: dict[str, HostConfig] = {}
    if not isinstance(tables, dict):
        raise DefinitionError(f"{path}: `registry` must be a table of tables", code="invalid-settings")
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise wrong(name, "*", "a table")
        for member in table:
            if member not in ("mirrors", "http", "insecure", "ca"):
                raise wrong(name, member, "one of mirrors, http, insecure, ca")
        for member in ("mirrors", "ca"):
            value = table.get(member, [])
            if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                raise wrong(name, member, "a list of strings")
        for member in ("http", "insecure"):
            if not isinstance(table.get(member, False), bool):
                raise wrong(name, member, "true or false")
        hosts[name] = HostConfig(
            mirrors=tuple(table.get("mirrors", ())),
            plain_http=table.get("http"),
            insecure=table.get("insecure", False),
            ca_files=tuple(Path(item) for item in table.get("ca", ())),
        )

    return replace(proxies_of(environ), hosts=hosts)
