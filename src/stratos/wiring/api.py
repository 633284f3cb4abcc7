"""The embedded API server with its parts joined up: who is known, what they may do, what is admitted, where it is kept.

Each component of the cluster has an identity of its own and the rights of its role, as it would on a real cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from stratos.apis.crds import custom_resource_definitions
from stratos.apiserver.admission.chain import build_admission
from stratos.apiserver.admission.webhook_call import WebhookCaller
from stratos.apiserver.auth.authentication import ClientCertificates, RequestAuthenticator
from stratos.apiserver.auth.contract import ALL_AUTHENTICATED, SYSTEM_MASTERS, User
from stratos.apiserver.auth.rbac import RbacAuthorizer
from stratos.apiserver.auth.tokens import ServiceAccountTokens, StaticTokens
from stratos.apiserver.observed import ObservedObjects
from stratos.apiserver.server import ApiServer
from stratos.apiserver.storage.contract import Storage
from stratos.base.clock import Clock
from stratos.base.ids import IdSource
from stratos.controllers.webhook import webhook_configurations
from stratos.kube.client import Client
from stratos.kube.in_process import InProcessTransport
from stratos.kube.transport import Transport
from stratos.wiring.installation.controller import namespace
from stratos.wiring.installation.rights import controller_rights, objects_of, user

ADMIN = "stratos:admin"
SCHEDULER = "system:kube-scheduler"
CONTROLLER_MANAGER = "system:kube-controller-manager"
KUBELETS = "system:node:simulated"
STRATOS = "stratos:controller"

_GROUPS: Mapping[str, tuple[str, ...]] = {
    ADMIN: (SYSTEM_MASTERS,),
    SCHEDULER: (),
    CONTROLLER_MANAGER: (),
    KUBELETS: ("system:nodes",),
    STRATOS: (),
}


@dataclass(frozen=True, slots=True)
class ApiSecrets:
    """What must survive a restart for clients outside the process to be known still."""

    authority_pem: str  # signs client certificates
    service_account_key_pem: str
    clock: Clock | None = None  # by which certificates are judged; None: the cluster's own, which may be hurried


class EmbeddedApi:
    """Serves ``storage``; `start` and `stop` it around its use. `client` speaks to it in process."""

    def __init__(
        self,
        storage: Storage,
        *,
        clock: Clock,
        ids: IdSource,
        secrets: ApiSecrets | None = None,
        webhook_caller: WebhookCaller | None = None,
        metrics: CollectorRegistry | None = None,
        stratos_installed: bool = True,
    ) -> None:
        """With ``stratos_installed`` the kinds, rights and webhooks of Stratos are there from the first start on."""
        self._stratos_installed = stratos_installed
        observed = ObservedObjects()
        authorizer = RbacAuthorizer(observed)
        accounts = ServiceAccountTokens(secrets.service_account_key_pem, observed, clock, ids) if secrets else None
        self._tokens = {name: ids.uid() for name in _GROUPS}
        users = {
            self._tokens[name]: User(name, groups=(*groups, ALL_AUTHENTICATED)) for name, groups in _GROUPS.items()
        }
        self.server = ApiServer(
            storage=storage,
            clock=clock,
            ids=ids,
            authenticator=RequestAuthenticator(
                tokens=StaticTokens(users),
                service_accounts=accounts,
                certificates=ClientCertificates(secrets.authority_pem, secrets.clock or clock) if secrets else None,
            ),
            authorizer=authorizer,
            admission=build_admission(observed, authorizer, ids, caller=webhook_caller),
            observed=observed,
            service_account_tokens=accounts,
            metrics=metrics,
        )

    def transport(self, user: str) -> Transport:
        """A way in without a socket, as one of the users above."""
        return InProcessTransport(self.server.app, token=self._tokens[user])

    def client(self, user: str) -> Client:
        return Client(self.transport(user))

    async def start(self) -> None:
        rights = objects_of(controller_rights(), user(STRATOS))
        ours = (namespace(), *custom_resource_definitions(), *rights, *webhook_configurations())
        await self.server.start(list(ours) if self._stratos_installed else [])

    async def stop(self) -> None:
        await self.server.stop()
