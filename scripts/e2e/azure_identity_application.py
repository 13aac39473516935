"""A typical application that uses azure-identity. Runs in that package's own Python: KIND [SCOPE].

Prints `token JWT`, or `refused` and the SDK's message, which quotes the service's response.
"""

import os
import sys

from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ServiceRequestError
from azure.identity import (
    CertificateCredential,
    ClientSecretCredential,
    ManagedIdentityCredential,
    WorkloadIdentityCredential,
)

SCOPE = "https://monitor.azure.com/.default"
# The emulator is not a cloud known to MSAL.
HERE = {"disable_instance_discovery": True}


def application():
    """Tenant and client, in the order of the SDK's constructors."""
    return os.environ["AZURE_TENANT_ID"], os.environ["AZURE_CLIENT_ID"]


def certificate():
    """Sends the chain if requested."""
    chain = os.environ.get("AZURE_CLIENT_SEND_CERTIFICATE_CHAIN") == "true"
    path = os.environ["AZURE_CLIENT_CERTIFICATE_PATH"]
    password = os.environ.get("AZURE_CLIENT_CERTIFICATE_PASSWORD")
    return CertificateCredential(*application(), path, password=password, send_certificate_chain=chain, **HERE)


def managed():
    """System-assigned, unless a client ID is set or another ID is given."""
    given = {name: os.environ[name] for name in ("object_id", "resource_id") if name in os.environ}
    if given:
        return ManagedIdentityCredential(identity_config=given)
    return ManagedIdentityCredential(client_id=os.environ.get("AZURE_CLIENT_ID"))


KINDS = {
    "workload": lambda: WorkloadIdentityCredential(**HERE),
    "identity-binding": lambda: WorkloadIdentityCredential(enable_azure_proxy=True, **HERE),
    "secret": lambda: ClientSecretCredential(*application(), os.environ["AZURE_CLIENT_SECRET"], **HERE),
    "certificate": certificate,
    "managed": managed,
}


def main():
    """Gets one token from a new credential."""
    kind, scope = sys.argv[1], (sys.argv[2:] or [SCOPE])[0]
    try:
        print("token", KINDS[kind]().get_token(scope).token)
    except (ClientAuthenticationError, HttpResponseError, ServiceRequestError, ValueError) as error:
        print("refused", error)


if __name__ == "__main__":
    main()
