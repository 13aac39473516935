//! The table itself.

use super::Hint;

/// `NAME "word" [codes] "cause" => "repair" or "application";` becomes a constant for each name, and `ALL`. Most have no
/// `or`.
macro_rules! hints {
    ($($(#[$doc:meta])* $name:ident $word:literal [$($code:literal)*] $cause:literal
        => $repair:literal $(or $application:literal)?;)*) => {
        $($(#[$doc])* pub const $name: Hint = Hint {
            word: $word,
            codes: &[$($code),*],
            cause: $cause,
            repair: $repair,
            application: concat!($($application)?),
        };)*
        /// Every hint, in reading order.
        pub const ALL: &[Hint] = &[$($name),*];
    };
}

hints! {
    /// No credential matches the assertion's issuer, subject and audience; Entra's older and more general text.
    FEDERATION "federated-credential" [70_021]
        "no federated credential has the issuer, subject and audience of this pod's token; a new one can take minutes to work"
        => "az identity federated-credential create -n <unused-name> --identity-name <identity> -g <group> --issuer {issuer} --subject {subject} --audiences api://AzureADTokenExchange"
        or r#"az ad app federated-credential create --id {client-id} --parameters '{"name":"<unused-name>","issuer":"{issuer}","subject":"{subject}","audiences":["api://AzureADTokenExchange"]}'"#;
    /// The subject matches no credential.
    SUBJECT "federated-subject" [700_213]
        "no federated credential has the subject of this pod's service account; a new one can take minutes to work"
        => "az identity federated-credential create -n <unused-name> --identity-name <identity> -g <group> --issuer {issuer} --subject {subject} --audiences api://AzureADTokenExchange"
        or r#"az ad app federated-credential create --id {client-id} --parameters '{"name":"<unused-name>","issuer":"{issuer}","subject":"{subject}","audiences":["api://AzureADTokenExchange"]}'"#;
    /// The issuer matches no credential.
    ISSUER "federated-issuer" [700_211]
        "no federated credential has the issuer of this pod's token; a new cluster has a new issuer, and the trailing slash matters"
        => "az identity federated-credential create -n <unused-name> --identity-name <identity> -g <group> --issuer {issuer} --subject {subject} --audiences api://AzureADTokenExchange"
        or r#"az ad app federated-credential create --id {client-id} --parameters '{"name":"<unused-name>","issuer":"{issuer}","subject":"{subject}","audiences":["api://AzureADTokenExchange"]}'"#;
    /// The audience matches no credential.
    AUDIENCE "federated-audience" [700_212]
        "the federated credential has another audience than this pod's token"
        => "az identity federated-credential update -n <credential> --identity-name <identity> -g <group> --issuer {issuer} --subject {subject} --audiences api://AzureADTokenExchange"
        or r#"az ad app federated-credential update --id {client-id} --federated-credential-id <credential> --parameters '{"issuer":"{issuer}","subject":"{subject}","audiences":["api://AzureADTokenExchange"]}'"#;
    /// The subject matches except for letter case.
    SUBJECT_CASE "federated-subject-case" [7_002_138]
        "the federated credential's subject differs from this pod's in letter case"
        => "az identity federated-credential update -n <credential> --identity-name <identity> -g <group> --issuer {issuer} --subject {subject} --audiences api://AzureADTokenExchange"
        or r#"az ad app federated-credential update --id {client-id} --federated-credential-id <credential> --parameters '{"issuer":"{issuer}","subject":"{subject}","audiences":["api://AzureADTokenExchange"]}'"#;
    /// The pod's token is for another audience, most often the cluster's API server.
    TOKEN_AUDIENCE "token-audience" []
        "this pod's token is for another audience than api://AzureADTokenExchange"
        => "project a token for api://AzureADTokenExchange instead of {audience}: label the pod azure.workload.identity/use=true in its template, or set audience in its volume's serviceAccountToken";
    /// The pod has no service account of its own.
    DEFAULT_ACCOUNT "default-account" []
        "this pod uses its namespace's default service account, but a federated credential should name one of its own"
        => "set the pod's serviceAccountName to the account in the federated credential (kube-prometheus-stack: prometheus.serviceAccount.name): az identity federated-credential list --identity-name <identity> -g <group> -o table";
    /// No flexible credential's expression matches.
    SUBJECT_EXPRESSION "federated-expression" [7_002_131]
        "no expression of a flexible federated credential matches this pod's token"
        => "az ad app federated-credential list --id {client-id}";
    /// The tenant restricts federation.
    FEDERATION_POLICY "federation-policy" [7_002_381]
        "a tenant policy does not accept this issuer's tokens"
        => "ask the tenant's administrator to allow the issuer {issuer} for workload identity federation";
    /// An Entra token was used as assertion.
    ASSERTION_OF_ENTRA "assertion-of-entra" [700_222 700_229]
        "the token file holds a token issued by Entra, not by the cluster"
        => "replace the pod, so that the webhook sets AZURE_FEDERATED_TOKEN_FILE (queued samples are lost): kubectl delete pod <pod> -n <namespace>";
    /// An identity binding's token went to Entra itself.
    BINDING_BYPASSED "binding-bypassed" []
        "the pod's token is for an identity binding, but no token proxy is set in AZURE_KUBERNETES_TOKEN_PROXY"
        => "replace the pod, so that the webhook sets it (queued samples are lost): kubectl delete pod <pod> -n {namespace}";
    /// The assertion has expired or is not valid yet.
    ASSERTION_OUTDATED "assertion-outdated" [700_024 500_133]
        "the assertion is outside its validity period: this machine's clock is wrong, or the token file is not being replaced"
        => "set the clock of the machine, in Kubernetes that of the pod's node (remora explain NET-04): timedatectl set-ntp true";
    /// The same for a service account's token.
    TOKEN_OUTDATED "token-outdated" []
        "this pod's projected token has expired or is not valid yet: its file is not being replaced, as with a subPath mount, or the cluster's clock is wrong"
        => "mount the token's folder without subPath, then replace the pod (queued samples are lost): kubectl delete pod <pod> -n {namespace}";
    /// A service account's token is valid by this machine's clock, but not by Entra's.
    CLUSTER_CLOCK "cluster-clock" []
        "the cluster's clock is wrong: this pod's token is valid by it, but by Entra's clock it has expired or is not valid yet"
        => "set the clock on the cluster's machines: timedatectl set-ntp true";
    /// The assertion's signature does not verify.
    SIGNATURE "assertion-signature" [700_027]
        "Entra does not know the signing key: the certificate is not the application's, or the cluster's keys have changed"
        => "az ad app credential reset --id {client-id} --append --cert @<certificate.pem>";
    /// The issuer's keys do not include the one that signed a service account's token.
    ISSUER_KEYS "issuer-keys" [7_000_272]
        "Entra does not know the key that signed this pod's token: the cluster's keys have changed, or another cluster uses this issuer; Entra may take 20 to 30 minutes to notice new keys"
        => "see what {issuer-without-slash}/.well-known/openid-configuration names as jwks_uri; on a cluster of your own, publish these keys there: kubectl get --raw /openid/v1/jwks";
    /// The assertion is not a valid JSON web token.
    ASSERTION_MALFORMED "assertion-malformed" [50_027]
        "the assertion is not a valid JSON web token; its audience must be a single string"
        => "check what is mounted at {file} (a file that was written by hand often holds something else), then replace the pod (queued samples are lost): kubectl delete pod <pod> -n {namespace}";
    /// No such client in the tenant.
    CLIENT "client-unknown" [700_016 700_038]
        "no client with this ID exists in the tenant: it may belong to another tenant, or be too new to have propagated"
        => "if it is new, wait; otherwise (queued samples are lost): kubectl annotate sa {service-account} -n {namespace} --overwrite azure.workload.identity/client-id=<client-id> && kubectl delete pod <pod> -n {namespace}";
    /// The same for an application configured directly.
    APPLICATION "application-unknown" []
        "no application with this ID exists in the tenant: it may belong to another tenant, or be too new to have propagated"
        => "if the application is new, wait; otherwise set AZURE_CLIENT_ID to the output of: az ad app list --display-name <name> --query '[].appId' -o tsv";
    /// The application is registered, but the tenant has no service principal for it, as after `az ad app create` alone.
    PRINCIPAL_MISSING "principal-missing" [7_000_229]
        "the tenant has no service principal for this application"
        => "az ad sp create --id {client-id}";
    /// The client is disabled.
    CLIENT_DISABLED "client-disabled" [7_000_112]
        "the application is disabled in its tenant"
        => "ask first who disabled it and why: it may have been misused; if it may be used again: az ad sp update --id {client-id} --set accountEnabled=true";
    /// No such tenant.
    TENANT "tenant-unknown" [90_002 900_023]
        "no such tenant exists in this cloud"
        => "set AZURE_TENANT_ID to the output of: az account show --query tenantId -o tsv";
    /// The request names no single tenant, and the client belongs to one.
    TENANT_SHARED "tenant-shared" [50_194]
        "AZURE_TENANT_ID is not the tenant of this client, which works only in its own"
        => "set AZURE_TENANT_ID to the output of: az account show --query tenantId -o tsv";
    /// The tenant belongs to another cloud.
    CLOUD "cloud-mismatch" [90_038 900_439 900_382 900_432]
        "the tenant belongs to another cloud than the authority"
        => "set AZURE_AUTHORITY_HOST to the output of: az cloud show --query endpoints.activeDirectory -o tsv";
    /// The resource does not exist in the tenant.
    RESOURCE "resource-unknown" [500_011 50_001]
        "the audience does not exist in this cloud or tenant"
        => "with CLOUD=AZURECUSTOM, set INGESTION_AAD_AUDIENCE to the audience of that cloud's Azure Monitor; otherwise unset it and set CLOUD to the cloud of the workspace";
    /// The same for the audience of Azure Monitor in a cloud that is known.
    MONITOR "monitor-unknown" []
        "this audience is Azure Monitor's, but not in this tenant: the workspace is in another cloud, or the tenant does not have Azure Monitor"
        => "set CLOUD to the cloud of the workspace; if it is right already, the tenant has no service principal for Azure Monitor, and its administrator can add it; to see it: az ad sp show --id {resource}";
    /// The scope is not one resource and `/.default`.
    SCOPE "scope-malformed" [1_002_012 70_011 28_002]
        "the scope is not a single resource"
        => "unset INGESTION_AAD_AUDIENCE, or set it to a single resource such as https://monitor.azure.com/.default";
    /// The secret is wrong.
    SECRET "secret-wrong" [7_000_215]
        "the client secret is wrong; often the secret's ID was used instead of its value"
        => "put the output of this command where AZURE_CLIENT_SECRET_FILE or AZURE_CLIENT_SECRET comes from; for the latter, also replace the pod (queued samples are lost): az ad app credential reset --id {client-id} --append --query password -o tsv";
    /// The secret has expired; for a certificate, see `CERTIFICATE_EXPIRED`.
    SECRET_EXPIRED "secret-expired" [7_000_222]
        "the application's secret has expired"
        => "put the output of this command where AZURE_CLIENT_SECRET_FILE or AZURE_CLIENT_SECRET comes from; for the latter, also replace the pod (queued samples are lost): az ad app credential reset --id {client-id} --append --query password -o tsv";
    /// Neither secret nor assertion reached Entra.
    CREDENTIAL_MISSING "credential-missing" [7_000_218]
        "neither a secret nor an assertion reached Entra; something in between changed the request"
        => "bypass the proxy for the authority: NO_PROXY={authority}";
    /// A Conditional Access policy blocks the client.
    CONDITIONAL_ACCESS "conditional-access" [53_003 530_032 530_035]
        "a Conditional Access policy blocks this client from this address"
        => "add this cluster's outbound address to the policy's named locations";
    /// Entra cannot read the issuer's keys.
    ISSUER_UNREACHABLE "issuer-unreachable" [90_061 50_166 501_661]
        "Entra could not read the cluster's keys; if this persists, the cluster's OIDC issuer is not public"
        => "curl -sS {issuer-without-slash}/.well-known/openid-configuration";
    /// Entra is overloaded or unavailable.
    ENTRA_BUSY "entra-busy" [90_033 90_006 90_024 90_012 90_090 90_041 50_033]
        "Entra is overloaded or unavailable"
        => "nothing to change; Remora retries by itself";
    /// A 429 from any endpoint.
    THROTTLED "throttled" [90_055]
        "too many token requests"
        => "nothing to change; Remora retries after the requested pause";
    /// Too many identical requests.
    LOOP "request-loop" [50_196]
        "this client requested the same token too often; other processes with the same client ID also count"
        => "az ad sp show --id {client-id} --query displayName -o tsv";
    /// The authority is a regional endpoint.
    REGIONAL "regional-authority" [100_007]
        "the authority is regional and does not accept this kind of client"
        => "set AZURE_AUTHORITY_HOST to the output of: az cloud show --query endpoints.activeDirectory -o tsv";
    /// The projected token cannot be read.
    TOKEN_FILE "token-file" []
        "the projected service-account token cannot be read"
        => "if permission is denied, set fsGroup in the pod's securityContext, so that the user of this container may read projected volumes; if {file} does not exist, let the webhook set AZURE_FEDERATED_TOKEN_FILE";
    /// No file or connection can be opened.
    OPEN_FILES "open-files" []
        "this process has as many open files and connections as it may have"
        => "raise the hard limit on open files (ulimit, LimitNOFILE), or lower MAX_CONNECTIONS, MAX_IN_FLIGHT or THREADS";
    /// The secret's file cannot be read.
    SECRET_FILE "secret-file" []
        "the client secret file cannot be read or is empty"
        => "mount the secret at {file} so that this user can read it";
    /// The certificate's file cannot be read.
    CERTIFICATE_FILE "certificate-file" []
        "the certificate file cannot be read"
        => "mount the certificate with its key at {file} so that this user can read it";
    /// The certificate's file is read but cannot be decoded.
    CERTIFICATE_CONTENTS "certificate-contents" []
        "the certificate file is incomplete, or is neither PEM nor PFX in a form that can be used"
        => "put the whole certificate with its key at {file} again; a full disk or an interrupted copy cuts a file short; Key Vault's CSI driver writes a PFX only with objectEncoding base64";
    /// The password does not open the file.
    CERTIFICATE_PASSWORD "certificate-password" []
        "the password does not open the certificate file"
        => "set AZURE_CLIENT_CERTIFICATE_PASSWORD to the password of {file}";
    /// The file does not hold one RSA key with its certificate.
    CERTIFICATE_KEY "certificate-key" []
        "the certificate file does not hold one RSA key of 2048 bits or more with its certificate"
        => "with Key Vault's CSI driver, use objectType secret, because cert has no key; otherwise set AZURE_CLIENT_CERTIFICATE_PATH to a file with both: openssl pkcs12 -export -inkey <key.pem> -in <certificate.pem> -out <new-file.pfx>";
    /// The certificate has expired or is not valid yet.
    CERTIFICATE_EXPIRED "certificate-expired" []
        "the application's certificate is outside its validity period"
        => "replace {file} by the file that this creates: az ad app credential reset --id {client-id} --append --create-cert";
    /// The node's metadata service cannot be reached.
    IMDS_UNREACHABLE "imds-unreachable" []
        "no instance metadata service can be reached: this is not an Azure machine, or something keeps pods from it or answers in its place"
        => "let this pod reach 169.254.169.254 port 80 (check network policies, mesh egress and AKS' IMDS restriction), or use \
            workload identity; in a container on an Azure Arc machine, set IDENTITY_ENDPOINT and IMDS_ENDPOINT";
    /// The host configured in its place does not answer.
    IMDS_STAND_IN "imds-stand-in" []
        "no instance metadata service answers at the address in AZURE_POD_IDENTITY_AUTHORITY_HOST"
        => "let this pod reach {authority}, or correct AZURE_POD_IDENTITY_AUTHORITY_HOST; if unset, it is http://169.254.169.254";
    /// The node has no such identity.
    IDENTITY_MISSING "identity-missing" []
        "no such identity is assigned to this machine"
        => "assign it, by its resource ID or as [system]: az vmss identity assign -g <node-group> -n <scale-set> --identities <identity>";
    /// The node has several identities.
    IDENTITY_AMBIGUOUS "identity-ambiguous" []
        "several identities are assigned to this machine, but none was specified"
        => "set IDENTITY_TYPE=userAssigned and AZURE_CLIENT_ID to the identity's client ID";
    /// The metadata service is being replaced or restarted.
    IMDS_BUSY "imds-busy" []
        "the instance metadata service is starting or being updated, which can take minutes"
        => "nothing to change; Remora retries by itself";
    /// The Arc agent does not answer.
    ARC_UNREACHABLE "arc-unreachable" []
        "the Azure Arc agent does not answer; a container reaches it only on the host's network"
        => "systemctl restart himdsd";
    /// The Arc agent's challenge must not be answered.
    ARC_CHALLENGE "arc-challenge" []
        "the Azure Arc agent's challenge does not name one of its key files; Remora did not answer it"
        => "systemctl restart himdsd";
    /// This user may not read the Arc agent's key file.
    ARC_KEY "arc-key" []
        "this user is not allowed to read the Azure Arc agent's key file"
        => "add the user to the agent's group (in a pod: supplementalGroups): usermod -aG himds <user>";
    /// The Arc agent's key file does not exist.
    ARC_KEY_MISSING "arc-key-missing" []
        "the Azure Arc agent's key file does not exist; a container sees the machine's keys only if they are mounted"
        => "mount the machine's /var/opt/azcmagent/tokens at the same path, for a user in the group himds";
    /// The Arc agent refuses, or is disconnected from Azure.
    ARC_REFUSED "arc-refused" []
        "the Azure Arc agent issues no token: it may be disconnected, or the machine has no identity"
        => "azcmagent show";
    /// App Service does not answer.
    APP_SERVICE_UNREACHABLE "app-service-unreachable" []
        "the platform's identity endpoint does not answer"
        => "let the platform set IDENTITY_ENDPOINT and IDENTITY_HEADER; unset them if there is none";
    /// App Service does not accept the header's value.
    APP_SERVICE_HEADER "app-service-header" []
        "the platform's identity endpoint does not accept the value of IDENTITY_HEADER"
        => "let the platform set IDENTITY_ENDPOINT and IDENTITY_HEADER, and restart the app: both get new values at each start";
    /// App Service refuses.
    APP_SERVICE "app-service-identity" []
        "the app has no such identity, or the audience is wrong"
        => "assign it, by its resource ID or as [system]: az webapp identity assign -g <group> -n <app> --identities <identity>";
    /// Entra does not accept what the token proxy sends for the identity.
    BINDING_MISSING "binding-missing" []
        "the identity has no federated credential for the cluster's token proxy: its identity binding, or the credential aks-identity-binding that comes with one, is missing"
        => "az aks identity-binding create -g <group> --cluster-name <cluster> --name <binding> --managed-identity-resource-id <identity>";
    /// The certificate authority of the token proxy cannot be read.
    BINDING_CA "binding-ca" []
        "the certificate authority of the identity binding's token proxy cannot be read"
        => "replace the pod, so that the webhook mounts it (queued samples are lost): kubectl delete pod <pod> -n <namespace>";
    /// The token proxy's certificate is not trusted or names another host.
    BINDING_UNTRUSTED "binding-untrusted" []
        "the certificate of the identity binding's token proxy is not trusted, or is for another name; SSL_CERT_FILE applies only while AZURE_KUBERNETES_CA_FILE and AZURE_KUBERNETES_CA_DATA are unset"
        => "replace the pod, so that the webhook sets AZURE_KUBERNETES_CA_FILE and AZURE_KUBERNETES_SNI_NAME (queued samples are lost): kubectl delete pod <pod> -n <namespace>";
    /// The token proxy does not answer.
    BINDING_UNREACHABLE "binding-unreachable" []
        "the identity binding's token proxy could not be reached, or did not answer; HTTPS_PROXY does not apply to it"
        => "let this pod reach {authority}; its network policies must also allow that";
    /// The token proxy refuses.
    BINDING_REFUSED "binding-refused" []
        "the cluster's token proxy does not let this service account use the identity"
        => "grant {subject} the verb use-managed-identity on {client-id} in cid.wi.aks.azure.com with a ClusterRole and its binding";
    /// No address is known for the host, or for the proxy.
    UNRESOLVED "name-unresolved" []
        "the host's name, or that of the proxy, has no address: the cluster's DNS does not answer, or does not know the name"
        => "see whether the cluster's DNS runs and resolves {authority}, or the host in HTTPS_PROXY (remora explain NET-01): kubectl get pods -n kube-system -l k8s-app=kube-dns";
    /// The host cannot be reached.
    UNREACHABLE "unreachable" []
        "the host could not be reached, or did not answer"
        => "let this pod reach {authority}, or set HTTPS_PROXY";
    /// The proxy cannot be reached, or refuses to open a tunnel.
    PROXY "proxy" []
        "the proxy could not be reached, refused to tunnel to the host, or passed on no answer"
        => "let this pod reach the proxy, correct HTTPS_PROXY, or bypass the proxy for this host with NO_PROXY: {authority}";
    /// The host's certificate is not trusted.
    UNTRUSTED "untrusted-certificate" []
        "the host's certificate is not trusted; a TLS-inspecting proxy signs with its own CA"
        => "set SSL_CERT_FILE to a PEM file with that CA and those of all other hosts; it replaces the built-in ones";
    /// The host's certificate has expired or is not valid yet.
    CERTIFICATE_TIME "certificate-time" []
        "by this machine's clock, the host's certificate has expired or is not valid yet"
        => "set the clock of the machine, in Kubernetes that of the pod's node (remora explain NET-04): timedatectl set-ntp true";
    /// Another host's certificate, or no TLS.
    OTHER_HOST "other-host" []
        "something other than the expected host answered, with another certificate or without TLS: check DNS, proxies and firewalls"
        => "see what answers: curl -v https://{authority}/";
    /// A 407: the proxy requires a login.
    PROXY_LOGIN "proxy-login" []
        "the proxy requires a login"
        => "set HTTPS_PROXY=http://<user>:<password>@<host>:<port>";
    /// The answer is not the token endpoint's.
    FOREIGN_ANSWER "foreign-answer" []
        "something other than the token endpoint answered; a proxy or firewall may be in between, or Entra may be unavailable"
        => "curl -sS https://{authority}/common/discovery/keys";
    /// The answer is not a token endpoint's on this machine.
    LOCAL_ANSWER "local-answer" []
        "something other than a token endpoint answered on this machine"
        => "see what listens there: curl -sS http://{authority}/";
    /// The token had expired on arrival.
    CLOCK "clock" []
        "the token had already expired by this machine's clock, which may be wrong"
        => "set the clock of the machine, in Kubernetes that of the pod's node (remora explain NET-04): timedatectl set-ntp true";
}
