"""Where images come from and go to: the distribution client, credentials, OCI layouts and archives.

Nothing here knows builds, stores or snapshots. The HTTP library is imported when a client makes its first request.
OCI distribution-spec 1.1 and the token protocol of Docker's registry.
"""

from bakehouse.lazy import exports

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bakehouse.registry.client import RegistryClient
    from bakehouse.registry.config import HostConfig, RegistryConfig
    from bakehouse.registry.credentials import DockerCredentials
    from bakehouse.registry.layout import OciLayout

_HOMES = {
    "client": ("RegistryClient",),
    "config": ("HostConfig", "RegistryConfig"),
    "credentials": ("DockerCredentials",),
    "layout": ("OciLayout",),
}

__all__ = ["DockerCredentials", "HostConfig", "OciLayout", "RegistryClient", "RegistryConfig"]

__getattr__ = exports(__name__, _HOMES)
