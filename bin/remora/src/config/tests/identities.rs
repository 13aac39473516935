//! Each kind of identity with the variables that its platform sets.

use super::*;

/// The settings that every identity needs, and `changes`.
fn plain(changes: &[(&'static str, &str)]) -> BTreeMap<&'static str, String> {
    let given = [("INGESTION_URL", INGESTION)];
    given.iter().chain(changes).map(|(name, value)| (*name, (*value).to_owned())).collect()
}

fn identity(changes: &[(&'static str, &str)]) -> Identity {
    load(&plain(changes)).unwrap_or_else(|faults| panic!("{faults}")).config.identity
}

fn names(changes: &[(&'static str, &str)]) -> Vec<String> {
    let faults = load(&plain(changes)).expect_err("a fault").faults;
    faults.into_iter().map(|fault| fault.name).collect()
}

fn managed(changes: &[(&'static str, &str)]) -> ManagedIdentity {
    let Identity::Managed(identity) = identity(changes) else { panic!("a managed identity") };
    identity
}

fn application(changes: &[(&'static str, &str)]) -> Application {
    let client = [("IDENTITY_TYPE", "aadApplication"), ("AZURE_CLIENT_ID", CLIENT), ("AZURE_TENANT_ID", TENANT)];
    let Identity::Application(application) = identity(&[&client, changes].concat()) else { panic!("an application") };
    application
}

const SYSTEM: (&str, &str) = ("IDENTITY_TYPE", "systemAssigned");
const USER: (&str, &str) = ("IDENTITY_TYPE", "userAssigned");
const RESOURCE_ID: &str =
    "/subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i";
const CERTIFICATE: &str = include_str!("../../../../../runtime-smol/src/identity/signer/files/plain.pem");

#[test]
fn a_credential_without_a_token_file_is_an_applications() {
    let ids = [("AZURE_CLIENT_ID", CLIENT), ("AZURE_TENANT_ID", TENANT)];
    for (credential, what) in [
        (("AZURE_CLIENT_SECRET", "hush"), "a client secret is set"),
        (("AZURE_CLIENT_SECRET_FILE", "/nowhere"), "a client secret is set"),
        (("AZURE_CLIENT_CERTIFICATE_PATH", "/nowhere"), "a client certificate is set"),
    ] {
        for kind in [("IDENTITY_TYPE", ""), ("IDENTITY_TYPE", "workloadIdentity")] {
            let faults = load(&plain(&[&ids, [credential, kind].as_slice()].concat())).expect_err("a fault").faults;
            let [fault] = faults.as_slice() else { panic!("{faults:?}") };
            assert_eq!(fault.reject.wrong, format!("{what}, but IDENTITY_TYPE is workloadIdentity"));
            assert_eq!(
                (fault.name.as_str(), fault.reject.fix.as_str()),
                ("IDENTITY_TYPE", "set IDENTITY_TYPE=aadApplication")
            );
        }
    }
    let secret = ("AZURE_CLIENT_SECRET", "hush");
    assert_eq!(names(&[secret]), ["IDENTITY_TYPE", "AZURE_CLIENT_ID", "AZURE_TENANT_ID"]);
    // The webhook's token is there: the secret is a leftover.
    assert!(matches!(
        identity(&[&ids, [secret, ("AZURE_FEDERATED_TOKEN_FILE", TOKEN_FILE)].as_slice()].concat()),
        Identity::Workload(_)
    ));
}

#[test]
fn a_machines_own_identity_needs_nothing_else() {
    let identity = managed(&[SYSTEM]);
    assert_eq!(identity.selection, Selection::System);
    assert_eq!(identity.resource, "https://monitor.azure.com");
    let ManagedEndpoint::Imds(url) = identity.endpoint else { panic!("the metadata service") };
    assert_eq!(url.to_string(), "http://169.254.169.254/");
}

#[test]
fn a_user_assigned_identity_is_named_in_one_of_three_ways() {
    for (name, value, selection) in [
        ("AZURE_CLIENT_ID", CLIENT, Selection::ClientId(CLIENT.to_owned())),
        ("AZURE_MANAGED_IDENTITY_OBJECT_ID", CLIENT, Selection::ObjectId(CLIENT.to_owned())),
        ("AZURE_MANAGED_IDENTITY_RESOURCE_ID", RESOURCE_ID, Selection::ResourceId(RESOURCE_ID.to_owned())),
    ] {
        assert_eq!(managed(&[USER, (name, value)]).selection, selection);
        assert_eq!(names(&[USER, (name, "x")]), [name]);
    }
    assert_eq!(names(&[USER]), ["AZURE_CLIENT_ID"]);
    let two = [("AZURE_CLIENT_ID", CLIENT), ("AZURE_MANAGED_IDENTITY_OBJECT_ID", CLIENT)];
    assert_eq!(names(&[&[USER], two.as_slice()].concat()), ["AZURE_CLIENT_ID"]);
}

#[test]
fn the_platforms_variables_choose_the_endpoint() {
    let url = ("IDENTITY_ENDPOINT", "http://localhost:42356/msi/token");
    let (header, imds) = (("IDENTITY_HEADER", "hush"), ("IMDS_ENDPOINT", "http://localhost:42356"));
    assert!(matches!(managed(&[SYSTEM, url, header]).endpoint, ManagedEndpoint::AppService(..)));
    assert!(matches!(managed(&[SYSTEM, url, header, imds]).endpoint, ManagedEndpoint::AppService(..)));
    assert!(matches!(managed(&[SYSTEM, url, imds]).endpoint, ManagedEndpoint::Arc(..)));
    assert_eq!(names(&[SYSTEM, url]), ["IDENTITY_ENDPOINT"]);
    assert_eq!(names(&[SYSTEM, url, header, ("IDENTITY_SERVER_THUMBPRINT", "x")]), ["IDENTITY_ENDPOINT"]);
}

#[test]
fn an_arc_machine_has_its_own_identity_alone() {
    let arc = [("IDENTITY_ENDPOINT", "http://localhost:40342/token"), ("IMDS_ENDPOINT", "http://localhost:40342")];
    let user = [&[USER, ("AZURE_CLIENT_ID", CLIENT)], arc.as_slice()].concat();
    let faults = load(&plain(&user)).expect_err("a fault").faults;
    let [fault] = faults.as_slice() else { panic!("{faults:?}") };
    assert_eq!(fault.name, "IDENTITY_TYPE");
    // Other clients do send it (azure-identity for Python since 1.26.0).
    assert_eq!(fault.reject.wrong, "is not supported by Remora on an Azure Arc machine");
}

#[test]
fn no_token_of_a_machine_is_asked_for_elsewhere() {
    for name in ["AZURE_POD_IDENTITY_AUTHORITY_HOST", "IDENTITY_ENDPOINT"] {
        for url in ["http://imds.example/", "https://127.0.0.1/", "http://10.0.0.1/"] {
            assert_eq!(names(&[SYSTEM, (name, url), ("IDENTITY_HEADER", "h")]), [name], "{url}");
        }
    }
    let stand_in = managed(&[SYSTEM, ("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:9/")]);
    let ManagedEndpoint::Imds(url) = stand_in.endpoint else { panic!("a metadata service") };
    assert_eq!(url.authority(), "127.0.0.1:9");
}

#[test]
fn a_resource_is_the_scope_without_its_suffix() {
    for (audience, resource) in [
        ("https://monitor.azure.us/.default", "https://monitor.azure.us"),
        ("https://monitor.azure.us/", "https://monitor.azure.us/"),
        ("https://monitor.azure.us//.default", "https://monitor.azure.us/"),
    ] {
        assert_eq!(managed(&[SYSTEM, ("INGESTION_AAD_AUDIENCE", audience)]).resource, resource, "{audience}");
    }
    assert_eq!(managed(&[SYSTEM, ("CLOUD", "AzureChina")]).resource, "https://monitor.azure.cn");
}

#[test]
fn an_application_has_exactly_one_credential() {
    let secret = ("AZURE_CLIENT_SECRET", "hush");
    let file = ("AZURE_CLIENT_SECRET_FILE", TOKEN_FILE);
    let certificate = ("AZURE_CLIENT_CERTIFICATE_PATH", TOKEN_FILE);
    assert!(matches!(application(&[secret]).credential, ApplicationCredential::Secret(SecretSource::Value(_))));
    assert!(matches!(application(&[file]).credential, ApplicationCredential::Secret(SecretSource::File(_))));
    let ApplicationCredential::Certificate(pem) = application(&[certificate]).credential else {
        panic!("a certificate")
    };
    assert!(!pem.send_chain && pem.password.is_none());
    let sealed =
        [certificate, ("AZURE_CLIENT_CERTIFICATE_PASSWORD", "hush"), ("AZURE_CLIENT_SEND_CERTIFICATE_CHAIN", "true")];
    let ApplicationCredential::Certificate(pfx) = application(&sealed).credential else { panic!("a certificate") };
    assert!(pfx.send_chain && pfx.password.is_some());

    let client = [("IDENTITY_TYPE", "aadApplication"), ("AZURE_CLIENT_ID", CLIENT), ("AZURE_TENANT_ID", TENANT)];
    assert_eq!(names(&client), ["AZURE_CLIENT_CERTIFICATE_PATH"]);
    for both in [[secret, file], [certificate, secret]] {
        assert_eq!(names(&[client.as_slice(), &both].concat()).len(), 1, "{both:?}");
    }
    let nothing = ["AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_CERTIFICATE_PATH"];
    assert_eq!(names(&[("IDENTITY_TYPE", "aadApplication")]), nothing);
    assert_eq!(
        names(&[&client, [("AZURE_CLIENT_SECRET_FILE", "/nowhere")].as_slice()].concat()),
        ["AZURE_CLIENT_SECRET_FILE"]
    );
}

#[test]
fn a_pod_with_a_binding_asks_its_cluster() {
    let url = ("AZURE_KUBERNETES_TOKEN_PROXY", "https://10.0.0.1:6443/proxy");
    let (name, file) =
        (("AZURE_KUBERNETES_SNI_NAME", "ib.example"), ("AZURE_KUBERNETES_CA_FILE", "/var/run/secrets/ca.crt"));
    let data = ("AZURE_KUBERNETES_CA_DATA", CERTIFICATE);
    let bound = loaded(&[url, name, file]);
    let proxy = workload(&bound).proxy.as_ref().expect("a token proxy");
    assert_eq!((proxy.endpoint.path(), proxy.server_name.as_deref()), ("/proxy", Some("ib.example")));
    assert!(matches!(proxy.authorities, Authorities::File(_)));
    let authorities = |changes: &[_]| workload(&loaded(changes)).proxy.clone().map(|proxy| proxy.authorities);
    assert!(matches!(authorities(&[url, data]), Some(Authorities::Text(_))));
    assert!(matches!(authorities(&[url]), Some(Authorities::Common)));
    assert!(authorities(&[]).is_none());
}

#[test]
fn a_binding_at_a_public_host_that_anyone_may_certify_is_warned_of() {
    let (url, file) = ("AZURE_KUBERNETES_TOKEN_PROXY", ("AZURE_KUBERNETES_CA_FILE", "/ca.crt"));
    let public = (url, "https://proxy.contoso.com/");
    assert!(warned(&loaded(&[public]), url));
    assert!(!warned(&loaded(&[public, file]), url), "its authorities are the cluster's");
    assert!(!warned(&loaded(&[(url, "https://10.0.0.1:6443/")]), url));
}

#[test]
fn contradictions_about_a_binding_are_refused() {
    let url = ("AZURE_KUBERNETES_TOKEN_PROXY", "https://10.0.0.1:6443");
    let (name, file) = (("AZURE_KUBERNETES_SNI_NAME", "ib.example"), ("AZURE_KUBERNETES_CA_FILE", "/ca.crt"));
    let data = ("AZURE_KUBERNETES_CA_DATA", "-----BEGIN CERTIFICATE-----");
    let empty = ("AZURE_KUBERNETES_CA_DATA", "-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----");
    for (changes, fault) in [
        (vec![name], "AZURE_KUBERNETES_SNI_NAME"),
        (vec![file], "AZURE_KUBERNETES_CA_FILE"),
        (vec![data], "AZURE_KUBERNETES_CA_DATA"),
        (vec![url, file, data], "AZURE_KUBERNETES_CA_FILE"),
        (vec![url, ("AZURE_KUBERNETES_CA_DATA", "x")], "AZURE_KUBERNETES_CA_DATA"),
        (vec![url, ("AZURE_KUBERNETES_CA_DATA", "-----BEGIN CERTIFICATE----- garbage")], "AZURE_KUBERNETES_CA_DATA"),
        (vec![url, empty], "AZURE_KUBERNETES_CA_DATA"),
        (vec![url, ("AZURE_KUBERNETES_SNI_NAME", "a/b")], "AZURE_KUBERNETES_SNI_NAME"),
        (vec![("AZURE_KUBERNETES_TOKEN_PROXY", "http://10.0.0.1/")], "AZURE_KUBERNETES_TOKEN_PROXY"),
        (vec![("AZURE_KUBERNETES_TOKEN_PROXY", "https://10.0.0.1/?a=b")], "AZURE_KUBERNETES_TOKEN_PROXY"),
    ] {
        let found: Vec<_> = faults(&changes).into_iter().map(|fault| fault.name).collect();
        assert_eq!(found, [fault], "{changes:?}");
    }
}

#[test]
fn every_identity_is_shown_under_the_names_of_the_settings() {
    let platform = [("IDENTITY_ENDPOINT", "http://localhost:1/msi/token"), ("IDENTITY_HEADER", "hush")];
    let object = ("AZURE_MANAGED_IDENTITY_OBJECT_ID", CLIENT);
    let client = [("AZURE_CLIENT_ID", CLIENT), ("AZURE_TENANT_ID", TENANT)];
    let application = [[("IDENTITY_TYPE", "aadApplication")].as_slice(), &client].concat();
    let pfx = [
        ("AZURE_CLIENT_CERTIFICATE_PATH", TOKEN_FILE),
        ("AZURE_CLIENT_CERTIFICATE_PASSWORD", "hush"),
        ("AZURE_CLIENT_SEND_CERTIFICATE_CHAIN", "true"),
    ];
    let bound = [
        ("AZURE_FEDERATED_TOKEN_FILE", TOKEN_FILE),
        ("AZURE_KUBERNETES_TOKEN_PROXY", "https://10.0.0.1:6443/proxy"),
        ("AZURE_KUBERNETES_SNI_NAME", "ib.example"),
    ];
    for changes in [
        vec![SYSTEM],
        [[SYSTEM].as_slice(), &platform].concat(),
        vec![USER, ("AZURE_CLIENT_ID", CLIENT)],
        vec![USER, object],
        vec![USER, ("AZURE_MANAGED_IDENTITY_RESOURCE_ID", RESOURCE_ID)],
        [application.as_slice(), &[("AZURE_CLIENT_SECRET", "hush")]].concat(),
        [application.as_slice(), &[("AZURE_CLIENT_SECRET_FILE", TOKEN_FILE)]].concat(),
        [application.as_slice(), &[("AZURE_CLIENT_CERTIFICATE_PATH", TOKEN_FILE)]].concat(),
        [application.as_slice(), &pfx].concat(),
        [client.as_slice(), &bound, &[("AZURE_KUBERNETES_CA_FILE", "/var/run/secrets/ca.crt")]].concat(),
        [client.as_slice(), &bound, &[("AZURE_KUBERNETES_CA_DATA", CERTIFICATE)]].concat(),
    ] {
        let shown = shown_again(&plain(&changes));
        let about = crate::help::about(&shown);
        let is_there = |name: &str| about.identity.iter().any(|(field, _)| field.eq_ignore_ascii_case(name));
        assert!(changes.iter().all(|(name, _)| is_there(name)), "{changes:?}: {:?}", about.identity);
        assert!(shown.iter().all(|(_, value)| !value.contains("hush") && !value.contains("BEGIN")), "{shown:?}");
    }
}

#[test]
fn what_is_logged_at_the_start_shows_no_secret() {
    let url = ("IDENTITY_ENDPOINT", "http://localhost:1/msi/token");
    let client = [("IDENTITY_TYPE", "aadApplication"), ("AZURE_CLIENT_ID", CLIENT), ("AZURE_TENANT_ID", TENANT)];
    for changes in [
        vec![SYSTEM, url, ("IDENTITY_HEADER", "hush")],
        [client.as_slice(), &[("AZURE_CLIENT_SECRET", "hush")]].concat(),
        [
            client.as_slice(),
            &[("AZURE_CLIENT_CERTIFICATE_PATH", TOKEN_FILE), ("AZURE_CLIENT_CERTIFICATE_PASSWORD", "hush")],
        ]
        .concat(),
    ] {
        let loaded = load(&plain(&changes)).unwrap_or_else(|faults| panic!("{faults}"));
        let shown = format!("{:?} {:?}", effective::fields(&loaded), loaded.config);
        assert!(!shown.contains("hush"), "{shown}");
        assert!(shown.contains(loaded.config.identity.kind()), "{shown}");
    }
}

#[test]
fn a_secret_in_place_of_its_path_is_not_shown() {
    let client = [("IDENTITY_TYPE", "aadApplication"), ("AZURE_CLIENT_ID", CLIENT), ("AZURE_TENANT_ID", TENANT)];
    let told = |setting| load(&plain(&[&client, [setting].as_slice()].concat())).expect_err("a fault").to_string();
    let pem = "-----BEGIN PRIVATE KEY-----\nhush\n-----END PRIVATE KEY-----";
    for (name, value, fix) in [
        ("AZURE_CLIENT_SECRET_FILE", "abc8Q~hush", "use AZURE_CLIENT_SECRET "),
        ("AZURE_CLIENT_CERTIFICATE_PATH", pem, "as a file"),
        ("AZURE_CLIENT_CERTIFICATE_PATH", "./-----BEGIN hush", "as a file"),
    ] {
        let told = told((name, value));
        assert!(!told.contains("hush") && told.contains("itself") && told.contains(fix), "{told}");
    }
    for path in ["/nowhere/hush", "./nowhere/hush"] {
        assert!(told(("AZURE_CLIENT_SECRET_FILE", path)).contains(path));
    }
}

#[test]
fn an_id_that_the_machines_own_identity_does_not_use_is_warned_of() {
    for (name, id) in [
        ("AZURE_CLIENT_ID", CLIENT),
        ("AZURE_MANAGED_IDENTITY_OBJECT_ID", CLIENT),
        ("AZURE_MANAGED_IDENTITY_RESOURCE_ID", "/subscriptions/s/resourceGroups/g"),
    ] {
        assert!(warned(&loaded(&[SYSTEM, ("AZURE_CLIENT_ID", ""), (name, id)]), name), "{name}");
    }
    assert!(loaded(&[SYSTEM, ("AZURE_CLIENT_ID", "")]).warnings.is_empty());
}
