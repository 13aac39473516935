//! Workload identity: the variables that the webhook sets in a pod.

use remora_smol::cloud::Cloud;
use remora_smol::config::WorkloadIdentity;

use super::{application, binding, client};
use crate::config::fault::Reject;
use crate::config::reader::Reader;
use crate::config::settings::{AZURE_FEDERATED_TOKEN_FILE, IDENTITY_TYPE};
use crate::config::{token_file, webhook};

/// Reads the identity and the place of its token exchange.
pub(super) fn read(reader: &mut Reader<'_>, cloud: Option<Cloud>) -> Option<WorkloadIdentity> {
    match instead(reader) {
        Some(what) => {
            let wrong = format!("a {what} is set, but IDENTITY_TYPE is workloadIdentity");
            let value = reader.given(&IDENTITY_TYPE);
            reader.fault(IDENTITY_TYPE.name, value.as_deref(), Reject::new(wrong, "set IDENTITY_TYPE=aadApplication"));
            application::report_missing(reader);
        }
        None => webhook::report_missing(reader),
    }
    let client = client::read(reader, cloud);
    let token_file = reader.value(&AZURE_FEDERATED_TOKEN_FILE, token_file::check);
    let proxy = binding::read(reader);
    Some(WorkloadIdentity { client: client?, token_file: token_file?, proxy })
}

/// The kind of application credential that is set while there is no token file, which means that an application is
/// meant.
pub(super) fn instead(reader: &Reader<'_>) -> Option<&'static str> {
    application::given(reader).filter(|_| reader.given(&AZURE_FEDERATED_TOKEN_FILE).is_none())
}
