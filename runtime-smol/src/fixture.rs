//! Hubs for tests, whose notices go nowhere.

use std::iter;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use remora_core::remote_write::Level;
use smol::channel::{self, Receiver};

use crate::config::{Client, Config, Identity, Limits, Listen, TrustSource, WorkloadIdentity};
use crate::endpoint::Endpoint;
use crate::hub::{Hub, Plan};
use crate::notice::{Notice, Observer};
use crate::report::About;
use crate::threads::{Message, Threads, View};
use crate::trust::Trust;

struct Deaf;

impl Observer for Deaf {
    fn notice(&self, _: &Notice<'_>) {}
}

/// Small limits, and a workload identity whose token is in `token_file`.
pub(crate) fn config(ingestion: &str, token_file: &Path) -> Config {
    let ingestion = Endpoint::parse(ingestion).unwrap();
    let identity = WorkloadIdentity {
        client: Client {
            client_id: "client".to_owned(),
            tenant_id: "tenant".to_owned(),
            authority: ingestion.clone(),
            scope: "scope/.default".to_owned(),
        },
        token_file: token_file.to_owned(),
        proxy: None,
    };
    Config {
        listen: Listen { port: 1, admin_port: None, allowed_sources: Vec::new() },
        ingestion,
        identity: Identity::Workload(identity),
        limits: Limits {
            body_memory: 192 << 10,
            max_body_bytes: 1 << 15,
            max_connections: 7,
            max_in_flight: 3,
            threads: NonZeroUsize::MIN,
        },
        upstream_timeout: Duration::from_secs(25),
        refusal_hold: Duration::from_secs(1800),
        pass_rate_limit: false,
        check: Some(Level::Full),
        shutdown_grace: Duration::ZERO,
        trust: TrustSource::BuiltIn,
        proxy: None,
    }
}

pub(crate) fn hub(config: &Config, trust: &Trust) -> &'static Hub {
    hubs(config, trust).remove(0).0
}

/// The hubs of all threads, each with its mailbox.
pub(crate) fn hubs(config: &Config, trust: &Trust) -> Vec<(&'static Hub, Receiver<Message>)> {
    let about = About {
        version: "1.2.3",
        target: "x86".to_owned(),
        tls: "t",
        identity: vec![("azure_client_id", "client".to_owned())],
        settings: vec![("listening_port", "1".to_owned())],
    };
    let plan = Plan::new(config, trust, about, Arc::new(Deaf)).unwrap();
    let (first, others) = Threads::views(config.limits.threads);
    let hub = |(threads, mailbox): View| {
        let hub: &Hub = Box::leak(Box::new(Hub::new(&plan, threads, channel::unbounded().0).unwrap()));
        (hub, mailbox)
    };
    iter::once(first).chain(others).map(hub).collect()
}
