"""Fake az and kubectl over one state file. They accept the commands in the tables below with exactly these options and
refuse everything else, like the real ones; queries use the same libraries as the real ones.

usage: fake_cloud.py KUBECTL

A server, because a script that is tested starts them some fifty times, and Python takes long to start. It prints its
port and ends with its standard input. A connection takes one request: how many words follow, then the path of the state
file, the program's name and its arguments, each ended by a zero byte. The response is the exit status on a line, and
what the program prints, on stderr if it fails.
"""

import copy
import functools
import json
import os
import re
import socketserver
import subprocess
import sys
import tempfile
import threading

import jmespath

WITHOUT_VALUE = {
    "--enable-oidc-issuer",
    "--enable-workload-identity",
    "--ignore-not-found",
    "--include-inherited",
    "--minify",
    "--overwrite",
}
OUTPUT = {"--query", "--output"}

# Command -> (required options, optional options). The names are those of `az COMMAND --help`.
AZ = {
    "account show": (set(), OUTPUT),
    "monitor account show": ({"--name", "--resource-group"}, OUTPUT),
    "monitor data-collection rule list": (set(), OUTPUT | {"--resource-group"}),
    "monitor data-collection rule show": ({"--ids"}, OUTPUT),
    "aks show": ({"--name", "--resource-group"}, OUTPUT),
    "aks update": ({"--name", "--resource-group"}, {"--enable-oidc-issuer", "--enable-workload-identity"}),
    "identity list": (set(), OUTPUT | {"--resource-group"}),
    "identity show": ({"--name", "--resource-group"}, OUTPUT),
    "identity create": ({"--name", "--resource-group"}, OUTPUT | {"--location"}),
    "identity federated-credential list": ({"--identity-name", "--resource-group"}, OUTPUT),
    "identity federated-credential create": (
        {"--name", "--identity-name", "--resource-group", "--issuer", "--subject"},
        OUTPUT | {"--audiences"},
    ),
    "ad app list": (set(), OUTPUT | {"--display-name"}),
    "ad app create": ({"--display-name"}, OUTPUT | {"--sign-in-audience"}),
    "ad app show": ({"--id"}, OUTPUT),
    "ad app federated-credential list": ({"--id"}, OUTPUT),
    "ad app federated-credential create": ({"--id", "--parameters"}, OUTPUT),
    "ad sp list": (set(), OUTPUT | {"--filter"}),
    "ad sp create": ({"--id"}, OUTPUT),
    "ad sp show": ({"--id"}, OUTPUT),
    "role assignment list": (set(), OUTPUT | {"--assignee", "--role", "--scope", "--include-inherited"}),
    "role assignment create": (
        {"--role", "--scope", "--assignee-object-id", "--assignee-principal-type"},
        OUTPUT,
    ),
}
KUBECTL = {
    "get": (set(), {"--raw", "--namespace", "--output", "--ignore-not-found", "--field-selector", "--selector", "--sort-by"}),
    "create serviceaccount": ({"--namespace"}, set()),
    "annotate serviceaccount": ({"--namespace"}, {"--overwrite"}),
    "delete": ({"--namespace"}, set()),
    "wait": ({"--for", "--namespace"}, {"--field-selector", "--timeout"}),
    "exec": ({"--namespace", "--container"}, set()),
    "auth can-i": ({"--namespace", "--subresource"}, set()),
    "config view": ({"--minify", "--output"}, set()),
}
ROLE = "Monitoring Metrics Publisher"


class Refusal(Exception):
    """The output of a real tool before it exits with `status`."""

    def __init__(self, text, status=1):
        super().__init__(text)
        self.status = status


def parsed(table, words):
    """(command, positional words, options, words after `--`) of a command line, if the table allows it."""
    rest = []
    if "--" in words:
        rest = words[words.index("--") + 1 :]
        words = words[: words.index("--")]
    command = max((name for name in table if words[: len(name.split())] == name.split()), key=len, default=None)
    if command is None:
        raise Refusal(f"'{' '.join(words[:3])}' is misspelled or not recognized", 2)
    positional, options = split(words[len(command.split()) :])
    required, optional = table[command]
    if unknown := set(options) - required - optional:
        raise Refusal(f"unrecognized arguments: {' '.join(sorted(unknown))}", 2)
    if missing := required - set(options):
        raise Refusal(f"the following arguments are required: {', '.join(sorted(missing))}", 2)
    return command, positional, options, rest


def split(words):
    """Positional words and options."""
    positional, options = [], {}
    words = iter(words)
    for word in words:
        if not word.startswith("-"):
            positional.append(word)
            continue
        name, equals, value = word.partition("=")
        if name in WITHOUT_VALUE:
            options[name] = True
        elif equals:
            options[name] = value
        else:
            options[name] = next(words, None)
            if options[name] is None:
                raise Refusal(f"argument {name}: expected one argument", 2)
    return positional, options


class Az:
    """The commands of az; each method is named after its command."""

    def __init__(self, state):
        self.state = state

    def run(self, words):
        """The command's output."""
        command, positional, options, _ = parsed(AZ, words)
        if positional:
            raise Refusal(f"unrecognized arguments: {' '.join(positional)}", 2)
        if command in self.state["denied"]:
            raise Refusal(f"(AuthorizationFailed) The client does not have authorization to perform {command}")
        if command.split()[-1] in ("create", "update"):
            self.state["log"].append(["az", *words])
        value = getattr(self, command.replace(" ", "_").replace("-", "_"))(options)
        return shown(value, options)

    def account_show(self, _options):
        return {"tenantId": self.state["tenant"]}

    def monitor_account_show(self, options):
        rule = self.found(self.state["workspaces"], options["--name"])
        return {"defaultIngestionSettings": {"dataCollectionRuleResourceId": rule}}

    def monitor_data_collection_rule_list(self, _options):
        return self.state["rules"]

    def monitor_data_collection_rule_show(self, options):
        # Azure ignores the case of resource IDs.
        return self.found({one["id"].lower(): one for one in self.state["rules"]}, options["--ids"].lower())

    def aks_show(self, options):
        issues, injects = switched(self.found(self.state["clusters"], options["--name"]))
        # What was never enabled may be missing from the answer.
        security = {"workloadIdentity": {"enabled": True} if injects else None}
        published = self.state.get("published", self.state["issuer"])
        issuer = {"enabled": issues, "issuerUrl": published if issues else None}
        addresses = {"fqdn": "c.hcp.eastus.azmk8s.io", "privateFqdn": self.state.get("private")}
        return {"oidcIssuerProfile": issuer, "securityProfile": security} | addresses

    def aks_update(self, options):
        issues, injects = switched(self.found(self.state["clusters"], options["--name"]))
        issues = issues or "--enable-oidc-issuer" in options
        if "--enable-workload-identity" in options and not issues:
            raise Refusal("Enabling workload identity requires enabling OIDC issuer (--enable-oidc-issuer).")
        self.state["clusters"][options["--name"]] = [issues, injects or "--enable-workload-identity" in options]

    def identity_list(self, _options):
        return list(self.state["identities"].values())

    def identity_show(self, options):
        return self.found(self.state["identities"], self.identity(options["--name"]))

    def identity(self, name):
        """The name of an existing identity in its own letters: Azure ignores their case."""
        return next((one for one in self.state["identities"] if one.lower() == name.lower()), name)

    def identity_create(self, options):
        name = self.identity(options["--name"])
        about = {"name": name, "clientId": f"client-of-{name}", "principalId": f"principal-of-{name}"}
        self.state["identities"].setdefault(name, about)

    def identity_federated_credential_list(self, options):
        name = self.identity(options["--identity-name"])
        self.found(self.state["identities"], name)
        return self.state["credentials"].get(name, [])

    def identity_federated_credential_create(self, options):
        identity = self.identity(options["--identity-name"])
        self.found(self.state["identities"], identity)
        about = {name: options[f"--{name}"] for name in ("name", "issuer", "subject")}
        audiences = [options.get("--audiences", "api://AzureADTokenExchange")]
        self.trust(identity, about | {"audiences": audiences})

    def ad_app_list(self, options):
        wanted = options.get("--display-name", "")
        return [app for app in self.state["applications"] if app["displayName"].startswith(wanted)]

    def ad_app_create(self, options):
        name = options["--display-name"]
        # Like a GUID, it needs no quoting.
        client = "client-of-" + re.sub("[^A-Za-z0-9]+", "-", name)
        self.state["applications"].append({"displayName": name, "appId": client})
        self.state["applications"] += self.state.get("registered_meanwhile", [])

    def ad_app_show(self, options):
        return self.application(options["--id"])

    def ad_app_federated_credential_list(self, options):
        self.application(options["--id"])
        return self.state["credentials"].get(options["--id"], [])

    def ad_app_federated_credential_create(self, options):
        self.application(options["--id"])
        about = json.loads(options["--parameters"])
        if set(about) != {"name", "issuer", "subject", "audiences"}:
            raise Refusal("Property is not of the expected type")
        self.trust(options["--id"], about)

    def ad_sp_list(self, options):
        wanted = options["--filter"].removeprefix("appId eq '").removesuffix("'")
        return [one for one in self.state["principals"] if one["appId"] == wanted]

    def ad_sp_create(self, options):
        self.application(options["--id"])
        self.state["principals"].append({"appId": options["--id"], "id": f"principal-of-{options['--id']}"})

    def ad_sp_show(self, options):
        return self.found({one["appId"]: one for one in self.state["principals"]}, options["--id"])

    def role_assignment_list(self, options):
        wanted = (options["--assignee"], options["--role"], options["--scope"])
        return [one for one in self.state["roles"] if (one["principal"], one["role"], one["scope"]) == wanted]

    def role_assignment_create(self, options):
        if self.state["lag"] > 0:
            self.state["lag"] -= 1
            self.state["log"].pop()
            raise Refusal("(PrincipalNotFound) Principal does not exist in the directory")
        principals = [one["principalId"] for one in self.state["identities"].values()]
        principals += [one["id"] for one in self.state["principals"]]
        if options["--assignee-object-id"] not in principals or options["--role"] != ROLE:
            raise Refusal("(BadRequest) no such principal or role")
        about = {"principal": options["--assignee-object-id"], "role": options["--role"], "scope": options["--scope"]}
        self.state["roles"].append(about | {"id": f"role-{len(self.state['roles'])}"})

    def trust(self, owner, about):
        """Entra accepts a name only once, and a pair of issuer and subject only once."""
        held = self.state["credentials"].setdefault(owner, [])
        for one in held:
            if one["name"] == about["name"] or (one["issuer"], one["subject"]) == (about["issuer"], about["subject"]):
                raise Refusal("(Conflict) a federated credential of this name, or for this subject, exists")
        held.append(about)

    def application(self, client):
        """The application with this client ID."""
        return self.found({app["appId"]: app for app in self.state["applications"]}, client)

    @staticmethod
    def found(among, name):
        """The value, or az's error if there is none."""
        if name not in among:
            raise Refusal(f"(ResourceNotFound) {name} was not found")
        return among[name]


def shown(value, options):
    """A value as printed with `--query Q --output tsv`."""
    if value is None:
        return ""
    value = jmespath.search(options.get("--query", "@"), value)
    if options.get("--output") != "tsv":
        return json.dumps(value)
    lines = value if isinstance(value, list) else [] if value is None else [value]
    return "".join("\t".join(map(cell, line if isinstance(line, list) else [line])) + "\n" for line in lines)


def cell(value):
    """A value in a column."""
    return str(value).lower() if isinstance(value, bool) else str(value)


class Kubectl:
    """The commands of kubectl."""

    def __init__(self, state):
        self.state = state

    def run(self, words):
        """The command's output."""
        command, positional, options, rest = parsed(KUBECTL, words)
        if f"kubectl {command}" in self.state["denied"]:
            raise Refusal("Error from server (Forbidden): serviceaccounts is forbidden")
        if command.split()[0] not in ("get", "wait", "auth", "config"):
            self.state["log"].append(["kubectl", *words])
        return getattr(self, command.split()[0])(positional, options, rest)

    def get(self, positional, options, _rest):
        if options.get("--raw") == "/.well-known/openid-configuration":
            # Before its public issuer is enabled, an AKS cluster names its API server.
            public = all(switched(cluster)[0] for cluster in self.state["clusters"].values())
            named = self.state["issuer"] if public else "https://c.hcp.eastus.azmk8s.io"
            return json.dumps({"issuer": named, "jwks_uri": "https://example.test/jwks"})
        if positional == ["mutatingwebhookconfigurations"]:
            return "".join(f"mutatingwebhookconfiguration/{name}\n" for name in self.state["webhooks"])
        if positional == ["pods"] and "--selector" in options:
            name, values = re.fullmatch(r"(\S+) in \((.*)\)", options["--selector"]).groups()
            pods = [pod for pod in self.state["pods"] if pod["metadata"]["labels"].get(name) in values.split(",")]
            # Without a cluster, kubectl does not process lists.
            return " ".join(selected(pod, options["--output"].replace(".items[*]", "", 1)) for pod in pods)
        if positional == ["pods"]:
            pods = self.pods_of(options)
            if options["--output"] != "name":
                # In the order of their creation.
                return selected(pods[-1], options["--output"].replace(".items[-1:]", "", 1))
            return "".join(f"pod/{pod['metadata']['name']}\n" for pod in pods)
        if positional[0] == "namespace":
            return "namespace/monitoring\n" if positional[1] == "monitoring" else ""
        if "/" in positional[0] and not positional[0].startswith("pod/"):
            return selected(self.owner(positional[0]), options["--output"])
        found = self.object(positional, options["--namespace"])
        if "Statuses'" in options["--output"] and self.state.get("starting", 0) > 0:
            self.state["starting"] -= 1
            return ""
        if found is None:
            if "--ignore-not-found" in options:
                return ""
            raise Refusal("Error from server (NotFound)")
        return "/".join(positional) + "\n" if options["--output"] == "name" else selected(found, options["--output"])

    def pods_of(self, options):
        """The pods of a service account, except those in the phases that the selector excludes."""
        account, *phases = options["--field-selector"].split(",")
        account = account.removeprefix("spec.serviceAccountName=")
        phases = [phase.removeprefix("status.phase!=") for phase in phases]
        pods = [pod for pod in self.state["pods"] if pod["spec"]["serviceAccountName"] == account]
        return [pod for pod in pods if phase_of(pod) not in phases]

    def object(self, positional, namespace):
        """A service account, a ConfigMap or a pod."""
        kind, name = positional if len(positional) == 2 else positional[0].split("/")
        held = {"pod": "pods", "serviceaccount": "accounts", "configmap": "maps"}[kind]
        for one in self.state.get(held, []):
            if one["metadata"]["name"] == name and one["metadata"]["namespace"] == namespace:
                return one
        return None

    def owner(self, name):
        """What creates a pod, with its template."""
        for one in self.state["pods"]:
            if name in [f"{owner['kind']}/{owner['name']}" for owner in one["metadata"].get("ownerReferences", [])]:
                return {"kind": "Any", "apiVersion": "v1", "spec": {"template": one["template"]}}
        raise Refusal("Error from server (NotFound)")

    def config(self, positional, options, _rest):
        """The configuration that KUBECONFIG names in reality; in a pod there is none."""
        if not self.state["server"]:
            raise Refusal("error: current-context must exist in order to minify")
        clusters = [{"name": "c", "cluster": {"server": self.state["server"]}}]
        shown = {"kind": "Any", "apiVersion": "v1", "clusters": clusters, "current-context": "the-context"}
        return selected(shown, options["--output"])

    def auth(self, positional, options, _rest):
        if [*positional, options["--subresource"]] != ["create", "pods", "exec"]:
            raise Refusal("error: you must specify two arguments: verb resource", 1)
        return "no\n" if "kubectl exec" in self.state["denied"] else "yes\n"

    def create(self, positional, options, _rest):
        metadata = {"name": positional[0], "namespace": options["--namespace"], "annotations": {}}
        if metadata["namespace"] != "monitoring":
            raise Refusal(f'Error from server (NotFound): namespaces "{metadata["namespace"]}" not found')
        self.state["accounts"].append({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})

    def annotate(self, positional, options, _rest):
        account = self.object(["serviceaccount", positional[0]], options["--namespace"])
        for pair in positional[1:]:
            key, _, value = pair.partition("=")
            if key in account["metadata"]["annotations"] and "--overwrite" not in options:
                raise Refusal("error: --overwrite is false but found the following declared annotation(s)")
            account["metadata"]["annotations"][key] = value

    def delete(self, positional, options, _rest):
        """Deletes pods: a StatefulSet recreates its pod, a Deployment creates one with another name, and the webhook
        changes it."""
        for name in positional:
            self.replace(self.object([name], options["--namespace"]), options)

    def replace(self, pod, options):
        """Recreates a pod."""
        if pod is None:
            raise Refusal("Error from server (NotFound)")
        self.state["pods"].remove(pod)
        self.state["pods"].append(pod)
        pod["metadata"]["name"] = pod["metadata"].get("generateName", pod["metadata"]["name"])
        template = copy.deepcopy(pod["template"])
        pod["spec"] = template["spec"]
        pod["metadata"]["labels"] = template["metadata"]["labels"]
        account = self.object(["serviceaccount", pod["spec"]["serviceAccountName"]], options["--namespace"])
        client = account["metadata"]["annotations"].get("azure.workload.identity/client-id")
        injected = {"AZURE_CLIENT_ID": client, "AZURE_FEDERATED_TOKEN_FILE": "/token"}
        if pod["metadata"]["labels"].get("azure.workload.identity/use") != "true" or self.state.get("skips"):
            return
        for container in self.containers(pod):
            # It leaves alone what is set, and adds nothing that is empty.
            env = container.setdefault("env", [])
            there = [one["name"] for one in env]
            env += [{"name": name, "value": value} for name, value in injected.items() if value and name not in there]

    def wait(self, positional, options, _rest):
        pods = self.pods_of(options) if positional == ["pods"] else [self.object(positional, options["--namespace"])]
        if options["--for"] not in ("jsonpath={.status.phase}=Running", "condition=Ready") or pods in ([], [None]):
            raise Refusal("error: no matching resources found")
        for pod in pods:
            # Without an identity the sidecar does not run, and a native one keeps its pod pending.
            client = self.client_of(pod)
            works = "Ready" not in options["--for"] or client not in self.state.get("useless", [])
            if phase_of(pod) != "Running" or not (client or self.state.get("skips")) or not works:
                raise Refusal(f"error: timed out waiting for the condition on pods/{pod['metadata']['name']}")
        if self.state.get("late", 0) > 0:
            # The controller has not created the new pods yet.
            self.state["late"] -= 1
            raise Refusal("error: no matching resources found")

    def client_of(self, pod):
        """The AZURE_CLIENT_ID of one of the pod's containers."""
        env = [one for container in self.containers(pod) for one in container.get("env", [])]
        return next((one.get("value", "from elsewhere") for one in env if one["name"] == "AZURE_CLIENT_ID"), None)

    @staticmethod
    def containers(pod):
        """All containers of a pod."""
        return pod["spec"]["containers"] + pod["spec"].get("initContainers", [])

    def exec(self, positional, options, rest):
        pod = self.object(positional, options["--namespace"])
        if options["--container"] not in [one["name"] for one in self.containers(pod)]:
            raise Refusal("error: container not found")
        if self.state.get("starting", 0) > 0:
            raise Refusal("error: unable to upgrade connection: container not found")
        if phase_of(pod) != "Running":
            raise Refusal(f"error: cannot exec into a container in a completed pod; current phase is {phase_of(pod)}")
        if rest[:3] != ["/remora", "check", "--write"]:
            raise Refusal("OCI runtime exec failed", 126)
        status = self.state.get("role", 0) if "--only" in rest else self.state["check"]
        if status != 0:
            raise Refusal("Status check results are ×", status)
        return "Status check results are √\n"


def switched(cluster):
    """Whether a cluster's issuer and webhook are on, from one value or a pair."""
    return cluster if isinstance(cluster, list) else [cluster, cluster]


def phase_of(pod):
    """Pending, Running, Succeeded or Failed."""
    return pod.get("status", {}).get("phase", "Running")


def selected(found, output):
    """The real kubectl's result for `--output jsonpath=…`, without a cluster."""
    return answer_of_kubectl(json.dumps(found, sort_keys=True), output)


@functools.cache
def answer_of_kubectl(found, output):
    """The answer of the real kubectl to a query of an object in JSON."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(found)
        file.flush()
        command = [sys.argv[1], "patch", "--local", "--type=merge", "--patch={}", "--output", output]
        environment = {"KUBECONFIG": os.devnull}
        done = subprocess.run(
            [*command, "--filename", file.name], env=environment, capture_output=True, text=True, check=False
        )
    if done.returncode != 0:
        raise Refusal(done.stderr)
    return done.stdout


def run(path, tool, *words):
    """(exit status, output) of one command on the state in the file."""
    with open(path, encoding="utf-8") as file:
        state = json.load(file)
    try:
        outcome = 0, {"az": Az, "kubectl": Kubectl}[tool](state).run(list(words)) or ""
    except Refusal as refusal:
        outcome = refusal.status, f"ERROR: {refusal}\n"
    with open(path, "w", encoding="utf-8") as file:
        json.dump(state, file)
    return outcome


class Handler(socketserver.StreamRequestHandler):
    """One command."""

    def handle(self):
        status, printed = run(*[self.word() for _ in range(int(self.word()))])
        self.wfile.write(f"{status}\n{printed}".encode(errors="surrogateescape"))

    def word(self):
        """The next word of the request."""
        letters = iter(functools.partial(self.rfile.read, 1), b"\0")
        word = bytearray()
        for letter in letters:
            if not letter:
                raise EOFError("a request ended too early")
            word += letter
        return word.decode(errors="surrogateescape")


def main():
    """Serves until standard input ends."""
    with socketserver.TCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(server.server_address[1], flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
