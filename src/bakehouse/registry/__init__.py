"""Where images come from and go to: the distribution client, credentials, OCI layouts and archives.

Nothing here knows builds, stores or snapshots. The HTTP library is imported when a client makes its first request.
OCI distribution-spec 1.1 and the token protocol of Docker's registry.
"""

from bakehouse.registry.client import RegistryClient
from bakehouse.registry.config import HostConfig, RegistryConfig
from bakehouse.registry.credentials import DockerCredentials
from bakehouse.registry.layout import OciLayout

__all__ = ["DockerCredentials", "HostConfig", "OciLayout", "RegistryClient", "RegistryConfig"]
