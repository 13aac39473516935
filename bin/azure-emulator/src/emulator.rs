//! The state shared by all endpoints: one tenant's keys, settings, samples, faults and counters.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;

use crate::archive::Archive;
use crate::assertions::Assertions;
use crate::binding::ProxyCertificate;
use crate::cli::RunOptions;
use crate::credentials::Registration;
use crate::directory::Directory;
use crate::environment;
use crate::faults::{EndpointName, Faults};
use crate::jwt::SigningKey;
use crate::listeners::{Listeners, Switches};
use crate::managed::Challenges;
use crate::pass_on::PassOn;
use crate::projected::{self, Wish};
use crate::settings::Settings;
use crate::traffic::Traffic;

/// The state. No lock is taken while another one is held.
#[derive(Debug)]
pub(crate) struct Emulator {
    pub(crate) directory: Directory,
    pub(crate) settings: Mutex<Settings>,
    /// The cluster's key, which signs projected tokens.
    pub(crate) issuer_key: SigningKey,
    /// Entra's key, which signs access tokens.
    pub(crate) entra_key: SigningKey,
    /// The application's certificates as registered in Entra.
    pub(crate) registration: Registration,
    pub(crate) assertions: Mutex<Assertions>,
    /// Arc's challenge files.
    pub(crate) challenges: Challenges,
    /// The certificate of the cluster's token proxy.
    pub(crate) proxy_certificate: Arc<ProxyCertificate>,
    pub(crate) archive: Mutex<Archive>,
    pub(crate) faults: Mutex<Faults>,
    pub(crate) traffic: Mutex<Traffic>,
    pub(crate) pass_on: Option<PassOn>,
    pub(crate) switches: Switches,
    /// Address of the control interface.
    pub(crate) control: SocketAddr,
    pub(crate) workload_series: usize,
    pub(crate) verbose: bool,
}

impl Emulator {
    /// Binds every port, and loads or creates the folder's content.
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
            registration: Registration::load(&directory)?,
            assertions: Mutex::default(),
            challenges: Challenges::open(directory.path("arc-tokens"), options.arc_tokens)?,
            proxy_certificate: ProxyCertificate::load(&directory)?,
            archive: Mutex::new(Archive::open(&directory)?),
            faults: Mutex::default(),
            traffic: Mutex::default(),
            pass_on: options.pass_on.map(PassOn::start),
            switches: listeners.switches()?,
            control: listeners.control.local_addr()?,
            workload_series: options.workload_series,
            verbose: options.verbose,
            settings: Mutex::new(settings),
            directory,
        };
        Ok((Arc::new(emulator), listeners))
    }

    /// Whether the issuer's keys could be fetched.
    pub(crate) fn issuer_is_up(&self) -> bool {
        self.switches.of(EndpointName::Issuer).is_some_and(|switch| switch.up.load(Ordering::Relaxed))
    }

    /// Changes the settings, saves them for the next start, and updates the environment files.
    pub(crate) fn change_settings(&self, change: impl FnOnce(&mut Settings)) -> io::Result<()> {
        let mut settings = self.settings.lock();
        change(&mut settings);
        settings.save(&self.directory)?;
        environment::write(&self.directory, &settings, self.control)
    }

    /// Mints a projected token and, if requested, replaces the one in the folder.
    pub(crate) fn project_token(&self, wish: &Wish) -> io::Result<String> {
        let settings = self.settings.lock().clone();
        let token = projected::mint(&settings, &self.issuer_key, wish)?;
        if wish.write {
            projected::write(&self.directory, wish.file(), &token)?;
        }
        Ok(token)
    }

    /// Writes new tokens to both of the kubelet's files.
    pub(crate) fn project_tokens(&self) -> io::Result<()> {
        self.project_token(&Wish::written())?;
        self.project_token(&Wish::written_for_binding()).map(drop)
    }

    /// Writes the environment files, which a sidecar needs to use this emulator.
    pub(crate) fn write_environments(&self) -> io::Result<()> {
        environment::write(&self.directory, &self.settings.lock().clone(), self.control)
    }
}
