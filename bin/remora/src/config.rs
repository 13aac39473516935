//! Configuration: flags over environment over presets, parsed as a whole. Past this module no value can be wrong in a
//! way that could be detected at startup; whatever needs the network is not checked here.

mod authority;
pub(crate) mod effective;
pub(crate) mod fault;
mod forwarding;
pub(crate) mod identity;
pub(crate) mod ingestion;
mod limits;
mod listen;
mod logging;
mod misspelled;
mod network;
pub(crate) mod one_cloud;
pub(crate) mod quantity;
mod readable;
mod reader;
pub(crate) mod settings;
pub(crate) mod source;
mod token_file;
mod url;
mod webhook;

#[cfg(test)]
mod tests;

use std::fmt;

use remora_smol::Trust;
use remora_smol::cloud::Cloud;
use remora_smol::config::Config;

pub(crate) use self::fault::Fault;
use self::fault::Reject;
use self::forwarding::Forwarding;
pub(crate) use self::identity::Kind;
use self::reader::Reader;
pub(crate) use self::reader::Warning;
use self::settings::Setting;
use self::source::Source;
use crate::log::{Format, Level};

/// A configuration without faults.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// What the process runs with.
    pub(crate) config: Config,
    /// Lowest log level that is written.
    pub(crate) level: Level,
    /// How log lines are written.
    pub(crate) format: Format,
    /// Cloud whose presets were used.
    pub(crate) cloud: Cloud,
    /// Setting that the authority host comes from.
    pub(crate) authority: &'static Setting,
    /// `CLUSTER`, for display.
    pub(crate) cluster: Option<String>,
    /// What is questionable about it.
    pub(crate) warnings: Vec<Warning>,
}

/// All faults of a configuration; exit code 78.
#[derive(Debug)]
pub(crate) struct Faults {
    /// In the order of the settings; at least one.
    pub(crate) faults: Vec<Fault>,
    /// How to report them.
    pub(crate) format: Format,
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.faults.len();
        writeln!(f, "remora: {count} {} in the configuration", if count == 1 { "fault" } else { "faults" })?;
        self.faults.iter().try_for_each(|fault| writeln!(f, "\n{fault}"))
    }
}

/// Reads every setting from `source`.
pub(crate) fn load(source: &dyn Source) -> Result<Loaded, Faults> {
    let mut reader = Reader::new(source);
    let (level, format) = logging::read(&mut reader);
    let cloud = reader.value(&settings::CLOUD, cloud);
    let cluster = reader.text(&settings::CLUSTER);
    let config = read(&mut reader, cloud);
    if let (Some(config), Some(cloud)) = (&config, cloud) {
        one_cloud::judge(&mut reader, cloud, config);
    }
    let authority = authority::setting(&reader, cloud.unwrap_or(Cloud::Public));
    reader.warn_of_misspelled();
    let (faults, warnings) = reader.finish();
    match (config, cloud) {
        (Some(config), Some(cloud)) if faults.is_empty() => {
            Ok(Loaded { config, level, format, cloud, authority, cluster, warnings })
        }
        _ => Err(Faults { faults, format }),
    }
}

/// The result of [`load`], and the certificates that it names. Startup needs both, and reports all faults at once.
pub(crate) fn load_with_trust(source: &dyn Source) -> Result<(Loaded, Trust), Faults> {
    let trust = network::certificates(source);
    match (load(source), trust) {
        (Ok(loaded), Ok(trust)) => Ok((loaded, trust)),
        (Ok(Loaded { format, .. }), Err(fault)) => Err(Faults { faults: vec![fault], format }),
        (Err(faults), Ok(_)) => Err(faults),
        (Err(Faults { mut faults, format }), Err(fault)) => {
            faults.push(fault);
            Err(Faults { faults, format })
        }
    }
}

/// Whether the webhook sets this identity's variables. For other identities the user or the platform sets them.
pub(crate) fn is_workload(source: &dyn Source) -> bool {
    identity::is_workload(&Reader::new(source))
}

/// The kind of identity that `IDENTITY_TYPE` names; None if it names none.
pub(crate) fn identity_kind(source: &dyn Source) -> Option<Kind> {
    identity::named(&mut Reader::new(source))
}

fn cloud(name: &str) -> Result<Cloud, Reject> {
    Cloud::named(name)
        .ok_or_else(|| Reject::new("is not a cloud", "use AZUREPUBLIC, AZUREGOVERNMENT, AZURECHINA or AZURECUSTOM"))
}

/// Reads every part before giving up, so that no fault hides another.
fn read(reader: &mut Reader<'_>, cloud: Option<Cloud>) -> Option<Config> {
    let ingestion = ingestion::read(reader);
    let identity = identity::read(reader, cloud);
    let listen = listen::read(reader);
    let limits = limits::read(reader);
    let forwarding = forwarding::read(reader);
    let proxy = network::proxy(reader);
    let trust = network::trust(reader);
    let Forwarding { upstream_timeout, refusal_hold, pass_rate_limit, check, shutdown_grace } = forwarding?;
    Some(Config {
        listen: listen?,
        ingestion: ingestion?,
        identity: identity?,
        limits: limits?,
        upstream_timeout,
        refusal_hold,
        pass_rate_limit,
        check,
        shutdown_grace,
        trust,
        proxy,
    })
}
