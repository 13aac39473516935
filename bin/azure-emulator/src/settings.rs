//! The emulated tenant; stored as `settings.json`, and changeable at run time.

use std::io;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::cli::RunOptions;
use crate::directory::Directory;
use crate::managed::ArcChallenge;
use crate::ports::Ports;

const FILE: &str = "settings.json";

/// Lifetimes and skews are capped at ten years, so that every time computed from them can be represented and printed.
const LONGEST_S: u64 = 10 * 365 * 24 * 60 * 60;

/// A federated identity credential of the client; omitted fields are those of the emulator.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct FederatedCredential {
    pub(crate) issuer: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) audience: Option<String>,
}

/// A user-assigned identity of the machine; omitted fields are those of the settings' client.
#[expect(clippy::struct_field_names, reason = "an identity has three ids, and this is what each is called")]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct UserAssigned {
    pub(crate) client_id: Option<String>,
    pub(crate) object_id: Option<String>,
    pub(crate) resource_id: Option<String>,
}

/// The tenant, its single client, its single data collection rule.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    pub(crate) ports: Ports,
    pub(crate) tenant: String,
    pub(crate) client_id: String,
    /// The client's service principal in the tenant: `oid` and `sub` of its tokens.
    pub(crate) object_id: String,
    /// Immutable ID of the data collection rule.
    pub(crate) rule: String,
    /// Whether the client has the role `Monitoring Metrics Publisher` on the rule.
    pub(crate) role_granted: bool,
    pub(crate) subject: String,
    pub(crate) audience: String,
    pub(crate) federated_credentials: Vec<FederatedCredential>,
    pub(crate) client_secret: String,
    /// Seconds since 1970; 0 means never.
    pub(crate) client_secret_expiry_s: u64,
    /// A DNS name: certificates for it are accepted without registration if sent with their chain.
    pub(crate) trusted_subject: Option<String>,
    /// Whether the machine has a system-assigned identity.
    pub(crate) system_assigned: bool,
    pub(crate) user_assigned: Vec<UserAssigned>,
    /// Age of managed identities' tokens when they are issued, because the platform caches them.
    pub(crate) managed_token_age_s: u64,
    /// The value that App Service sets as `IDENTITY_HEADER`.
    pub(crate) identity_header: String,
    /// The kind of Arc's next challenges.
    pub(crate) arc_challenge: ArcChallenge,
    /// Whether the service account may use the identity through the cluster's proxy.
    pub(crate) identity_bound: bool,
    pub(crate) token_life_s: u64,
    /// Sent as `refresh_in` unless 0.
    pub(crate) refresh_in_s: u64,
    pub(crate) assertion_life_s: u64,
    /// How far the clocks of Entra and ingestion are ahead of the machine's.
    pub(crate) clock_skew_s: i64,
    /// Samples further than this from now, in either direction, are dropped as in Azure; 0 accepts all.
    pub(crate) sample_window_s: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            ports: Ports::default(),
            tenant: "7e57c0de-0000-4000-8000-000000000001".to_owned(),
            client_id: "7e57c0de-0000-4000-8000-000000000002".to_owned(),
            object_id: "7e57c0de-0000-4000-8000-000000000003".to_owned(),
            rule: "dcr-7e57c0de000040008000000000000004".to_owned(),
            role_granted: true,
            subject: "system:serviceaccount:monitoring:prometheus".to_owned(),
            audience: "api://AzureADTokenExchange".to_owned(),
            federated_credentials: vec![FederatedCredential::default()],
            client_secret: new_secret(),
            client_secret_expiry_s: 0,
            trusted_subject: None,
            system_assigned: true,
            user_assigned: vec![UserAssigned::default()],
            managed_token_age_s: 0,
            identity_header: Uuid::new_v4().simple().to_string(),
            arc_challenge: ArcChallenge::default(),
            identity_bound: true,
            token_life_s: 86_399,
            refresh_in_s: 0,
            assertion_life_s: 3_600,
            clock_skew_s: 0,
            sample_window_s: 20 * 60,
        }
    }
}

/// The body of `POST /settings`; omitted fields stay unchanged.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Changes {
    client_id: Option<String>,
    federated_credentials: Option<Vec<FederatedCredential>>,
    client_secret: Option<String>,
    client_secret_expiry_s: Option<u64>,
    trusted_subject: Option<String>,
    system_assigned: Option<bool>,
    user_assigned: Option<Vec<UserAssigned>>,
    managed_token_age_s: Option<u64>,
    arc_challenge: Option<ArcChallenge>,
    identity_bound: Option<bool>,
    token_life_s: Option<u64>,
    refresh_in_s: Option<u64>,
    assertion_life_s: Option<u64>,
    clock_skew_s: Option<i64>,
    sample_window_s: Option<u64>,
}

impl Settings {
    /// The folder's stored settings, overridden by the flags.
    pub(crate) fn load(directory: &Directory, options: &RunOptions) -> io::Result<Self> {
        let mut settings: Settings = match directory.read(FILE)? {
            Some(content) => serde_json::from_slice(&content).map_err(io::Error::other)?,
            None => Settings::default(),
        };
        settings.ports = settings.ports.overridden_by(options.ports);
        replace(&mut settings.tenant, options.tenant.clone());
        replace(&mut settings.client_id, options.client_id.clone());
        replace(&mut settings.subject, options.subject.clone());
        replace(&mut settings.audience, options.audience.clone());
        replace(&mut settings.token_life_s, options.token_life.map(|life| life.as_secs().min(LONGEST_S)));
        replace(&mut settings.assertion_life_s, options.assertion_life.map(|life| life.as_secs().min(LONGEST_S)));
        Ok(settings)
    }

    /// Saves them for the next start.
    pub(crate) fn save(&self, directory: &Directory) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(self).map_err(io::Error::other)?;
        directory.replace(FILE, &text)
    }

    /// Applies a `POST /settings`.
    pub(crate) fn change(&mut self, changes: Changes) {
        replace(&mut self.client_id, changes.client_id);
        replace(&mut self.federated_credentials, changes.federated_credentials);
        replace(&mut self.client_secret, changes.client_secret);
        replace(&mut self.client_secret_expiry_s, changes.client_secret_expiry_s);
        replace(
            &mut self.trusted_subject,
            changes.trusted_subject.map(|name| Some(name).filter(|name| !name.is_empty())),
        );
        replace(&mut self.system_assigned, changes.system_assigned);
        replace(&mut self.user_assigned, changes.user_assigned);
        replace(&mut self.managed_token_age_s, changes.managed_token_age_s.map(|age| age.min(LONGEST_S)));
        replace(&mut self.arc_challenge, changes.arc_challenge);
        replace(&mut self.identity_bound, changes.identity_bound);
        replace(&mut self.token_life_s, changes.token_life_s.map(|life| life.min(LONGEST_S)));
        replace(&mut self.refresh_in_s, changes.refresh_in_s);
        replace(&mut self.assertion_life_s, changes.assertion_life_s.map(|life| life.min(LONGEST_S)));
        replace(&mut self.clock_skew_s, changes.clock_skew_s.map(within_longest));
        replace(&mut self.sample_window_s, changes.sample_window_s);
    }

    /// The issuer of projected tokens; with a trailing slash, as on AKS.
    pub(crate) fn issuer(&self) -> String {
        format!("https://localhost:{}/", self.ports.issuer)
    }

    /// Base URL of the token endpoint, with a trailing slash, as the webhook injects it.
    pub(crate) fn authority(&self) -> String {
        format!("https://localhost:{}/", self.ports.token)
    }

    /// The URL for remote-write bodies.
    pub(crate) fn ingestion_url(&self) -> String {
        let (port, path) = (self.ports.ingest, self.ingestion_path());
        format!("https://localhost:{port}{path}?api-version=2023-04-24")
    }

    /// The only path that accepts samples.
    pub(crate) fn ingestion_path(&self) -> String {
        format!("/dataCollectionRules/{}/streams/Microsoft-PrometheusMetrics/api/v1/write", self.rule)
    }

    /// The time by Azure's clock.
    pub(crate) fn now(&self) -> SystemTime {
        let skew = Duration::from_secs(self.clock_skew_s.unsigned_abs());
        let now = SystemTime::now();
        if self.clock_skew_s < 0 { now - skew } else { now + skew }
    }
}

/// A client secret with every kind of character that a form or shell would change.
fn new_secret() -> String {
    let random = [Uuid::new_v4(), Uuid::new_v4()].map(Uuid::into_bytes).concat();
    format!("emu8Q~{}.-_&+%=", STANDARD_NO_PAD.encode(random))
}

/// Seconds since 1970.
pub(crate) fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Milliseconds since 1970, the unit of sample timestamps.
pub(crate) fn unix_millis(time: SystemTime) -> i64 {
    let millis = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
    i64::try_from(millis).unwrap_or(i64::MAX)
}

/// Seconds in either direction, limited to the range that times can be computed with.
pub(crate) fn within_longest(seconds: i64) -> i64 {
    let longest = i64::try_from(LONGEST_S).unwrap_or(i64::MAX);
    seconds.clamp(-longest, longest)
}

fn replace<T>(own: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *own = given;
    }
}
