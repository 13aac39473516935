//! Everything the endpoints share: one tenant's keys, settings, samples, faults and counters.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;

use crate::archive::Archive;
use crate::certificates;
use crate::cli::RunOptions;
use crate::directory::Directory;
use crate::endpoint::Switch;
use crate::faults::{EndpointName, Faults};
use crate::jwt::SigningKey;
use crate::pass_on::PassOn;
use crate::projected::{self, Wish};
use crate::settings::{Ports, Settings};
use crate::traffic::Traffic;

/// The state. No lock is held while another one is taken.
#[derive(Debug)]
pub(crate) struct Emulator {
    pub(crate) directory: Directory,
    pub(crate) settings: Mutex<Settings>,
    /// The cluster's key, for projected tokens.
    pub(crate) issuer_key: SigningKey,
    /// Entra's key, for access tokens.
    pub(crate) entra_key: SigningKey,
    pub(crate) archive: Mutex<Archive>,
    pub(crate) faults: Mutex<Faults>,
    pub(crate) traffic: Mutex<Traffic>,
    pub(crate) pass_on: Option<PassOn>,
    pub(crate) switches: Switches,
    pub(crate) workload_series: usize,
    pub(crate) verbose: bool,
}

/// The switch of each endpoint that stands in for Azure.
#[derive(Debug)]
pub(crate) struct Switches {
    pub(crate) issuer: Arc<Switch>,
    pub(crate) token: Arc<Switch>,
    pub(crate) ingest: Arc<Switch>,
}

impl Switches {
    /// The switch of one endpoint.
    pub(crate) fn of(&self, endpoint: EndpointName) -> &Arc<Switch> {
        match endpoint {
            EndpointName::Issuer => &self.issuer,
            EndpointName::Token => &self.token,
            EndpointName::Ingest => &self.ingest,
        }
    }

    /// All of them.
    pub(crate) fn all(&self) -> [&Arc<Switch>; 3] {
        [&self.issuer, &self.token, &self.ingest]
    }
}

/// A listener for each endpoint, all bound before anything is served.
#[derive(Debug)]
pub(crate) struct Listeners {
    pub(crate) issuer: TcpListener,
    pub(crate) token: TcpListener,
    pub(crate) ingest: TcpListener,
    pub(crate) control: TcpListener,
}

impl Listeners {
    fn bind(host: IpAddr, ports: Ports) -> io::Result<Self> {
        Ok(Listeners {
            issuer: bind(host, ports.issuer, "issuer")?,
            token: bind(host, ports.token, "token")?,
            ingest: bind(host, ports.ingest, "ingest")?,
            control: bind(host, ports.control, "control")?,
        })
    }

    fn ports(&self) -> io::Result<Ports> {
        let port = |listener: &TcpListener| Ok::<_, io::Error>(listener.local_addr()?.port());
        Ok(Ports {
            issuer: port(&self.issuer)?,
            token: port(&self.token)?,
            ingest: port(&self.ingest)?,
            control: port(&self.control)?,
        })
    }
}

fn bind(host: IpAddr, port: u16, name: &str) -> io::Result<TcpListener> {
    let address = SocketAddr::new(host, port);
    TcpListener::bind(address)
        .map_err(|error| io::Error::new(error.kind(), format!("{name} endpoint: cannot listen on {address}: {error}")))
}

impl Emulator {
    /// Binds every port and reads or makes what the folder holds.
    pub(crate) fn open(options: RunOptions) -> io::Result<(Arc<Self>, Listeners)> {
        let directory = Directory::open(&options.dir)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", options.dir.display())))?;
        let mut settings = Settings::load(&directory, &options)?;
        let listeners = Listeners::bind(options.listen, settings.ports)?;
        settings.ports = listeners.ports()?;
        settings.save(&directory)?;
        let emulator = Emulator {
            issuer_key: SigningKey::load(&directory, "issuer-key")?,
            entra_key: SigningKey::load(&directory, "entra-key")?,
            archive: Mutex::new(Archive::open(&directory)?),
            faults: Mutex::default(),
            traffic: Mutex::default(),
            pass_on: options.pass_on.map(PassOn::start),
            switches: Switches {
                issuer: Switch::new(EndpointName::Issuer, listeners.issuer.local_addr()?),
                token: Switch::new(EndpointName::Token, listeners.token.local_addr()?),
                ingest: Switch::new(EndpointName::Ingest, listeners.ingest.local_addr()?),
            },
            workload_series: options.workload_series,
            verbose: options.verbose,
            settings: Mutex::new(settings),
            directory,
        };
        Ok((Arc::new(emulator), listeners))
    }

    /// Whether anybody could fetch the issuer's keys.
    pub(crate) fn issuer_is_up(&self) -> bool {
        self.switches.issuer.up.load(Ordering::Relaxed)
    }

    /// Changes the settings and keeps them for the next start.
    pub(crate) fn change_settings(&self, change: impl FnOnce(&mut Settings)) -> io::Result<()> {
        let mut settings = self.settings.lock();
        change(&mut settings);
        settings.save(&self.directory)
    }

    /// Mints a projected token and, if wished, puts it in place of the one in the folder.
    pub(crate) fn project_token(&self, wish: &Wish) -> io::Result<String> {
        let settings = self.settings.lock().clone();
        let token = projected::mint(&settings, &self.issuer_key, wish)?;
        if wish.write {
            projected::write(&self.directory, &token)?;
        }
        Ok(token)
    }

    /// Writes `env`: what the sidecar needs to talk to this emulator, one `KEY=value` a line for a shell.
    pub(crate) fn write_env(&self, control: SocketAddr) -> io::Result<()> {
        let settings = self.settings.lock().clone();
        let path = |name| self.directory.path(name).display().to_string();
        let lines = [
            ("INGESTION_URL", settings.ingestion_url()),
            ("IDENTITY_TYPE", "workloadIdentity".to_owned()),
            ("AZURE_AUTHORITY_HOST", settings.authority()),
            ("AZURE_TENANT_ID", settings.tenant),
            ("AZURE_CLIENT_ID", settings.client_id),
            ("AZURE_FEDERATED_TOKEN_FILE", path(projected::FILE)),
            ("SSL_CERT_FILE", path(certificates::AUTHORITY)),
            ("INGESTION_AAD_AUDIENCE", "https://monitor.azure.com/.default".to_owned()),
            ("EMULATOR_CONTROL_URL", format!("http://{control}")),
        ];
        let lines = lines.map(|(name, value)| format!("{name}={}\n", quoted(&value)));
        self.directory.replace("env", lines.concat().as_bytes())
    }
}

/// A shell word; quoted only where the shell would otherwise change it.
fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:?=@%+,".contains(c);
    if value.chars().all(plain) { value.to_owned() } else { format!("'{}'", value.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_shell_reads_every_value_back() {
        assert_eq!(quoted("https://localhost:1/a?b=c"), "https://localhost:1/a?b=c");
        assert_eq!(quoted("/tmp/it's here"), r"'/tmp/it'\''s here'");
    }
}
