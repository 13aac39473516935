//! What missing variables reveal about the workload identity webhook.
//!
//! The webhook adds each of its four variables to a container only if it has a value for it and the container does not
//! set it (azure-workload-identity, `pkg/webhook/webhook.go`). The client and tenant IDs may be set by hand, but nobody
//! sets the token file or the authority by hand in a pod: either of them shows that the webhook changed the pod.

use super::fault::Reject;
use super::reader::Reader;
use super::settings::{AZURE_AUTHORITY_HOST, AZURE_CLIENT_ID, AZURE_FEDERATED_TOKEN_FILE, AZURE_TENANT_ID, Setting};
use crate::pages::{ENV_01, ENV_02, ENV_03};

const NO_TOKEN_FILE: &str = "check what the container was given, and do not set the variable by hand:\n\
     kubectl get pod <pod> -n <namespace> -o jsonpath=\"{.spec['containers','initContainers'][*].env}\"";

/// Reports which of the identity's variables are missing: as one fault with one cause if the webhook left no trace,
/// otherwise one by one.
pub(crate) fn report_missing(reader: &mut Reader<'_>) {
    let unset = |reader: &Reader<'_>, setting: &Setting| reader.given(setting).is_none();
    let needed = [
        (&AZURE_CLIENT_ID, ENV_02.repair),
        (&AZURE_TENANT_ID, ENV_03.repair),
        (&AZURE_FEDERATED_TOKEN_FILE, NO_TOKEN_FILE),
    ];
    let missing: Vec<_> = needed.into_iter().filter(|(setting, _)| unset(reader, setting)).collect();
    if missing.is_empty() {
        return;
    }
    if unset(reader, &AZURE_FEDERATED_TOKEN_FILE) && unset(reader, &AZURE_AUTHORITY_HOST) {
        let names: Vec<_> = missing.iter().map(|(setting, _)| setting.name).collect();
        let instead: String = missing.iter().map(|(setting, _)| reader.instead_of(setting)).collect();
        let wrong = format!(
            "not set{instead}, and there is no other trace of the workload identity webhook: it did not change this pod"
        );
        reader.fault(&names.join(", "), None, Reject::new(wrong, ENV_01.repair).on(&ENV_01));
        return;
    }
    for (setting, fix) in missing {
        let instead = reader.instead_of(setting);
        let wrong = format!("is not set{instead}, although the workload identity webhook changed this pod");
        reader.fault(setting.name, None, Reject::new(wrong, fix));
    }
}
