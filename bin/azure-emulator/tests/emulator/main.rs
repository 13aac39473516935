//! The emulator as a program: started in a separate folder, tested over TLS and through its control interface.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod app_service;
mod arc;
mod binding;
mod certificate;
mod failures;
mod faults;
mod imds;
mod ingest;
mod process;
mod secret;
mod support;
mod token;
