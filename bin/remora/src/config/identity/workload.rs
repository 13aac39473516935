//! Workload identity: the variables that the webhook sets in a pod.

use remora_smol::config::WorkloadIdentity;

use super::{binding, client};
use crate::config::cloud::Cloud;
use crate::config::reader::Reader;
use crate::config::settings::AZURE_FEDERATED_TOKEN_FILE;
use crate::config::{token_file, webhook};

/// Reads the identity and the place of its token exchange.
pub(super) fn read(reader: &mut Reader<'_>, cloud: Option<Cloud>) -> Option<WorkloadIdentity> {
    webhook::report_missing(reader);
    let client = client::read(reader, cloud);
    let token_file = reader.value(&AZURE_FEDERATED_TOKEN_FILE, token_file::check);
    let proxy = binding::read(reader);
    Some(WorkloadIdentity { client: client?, token_file: token_file?, proxy })
}
