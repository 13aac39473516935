//! An Entra application: its client, and the secret or certificate that it authenticates with.

use std::path::PathBuf;

use remora_smol::cloud::Cloud;
use remora_smol::config::{Application, ApplicationCredential, CertificateFile, SecretSource};

use super::client;
use crate::config::fault::Reject;
use crate::config::logging::parse_bool;
use crate::config::readable::first_byte;
use crate::config::reader::{Reader, in_quotes};
use crate::config::settings::{
    AZURE_CLIENT_CERTIFICATE_PASSWORD, AZURE_CLIENT_CERTIFICATE_PATH, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET,
    AZURE_CLIENT_SECRET_FILE, AZURE_CLIENT_SEND_CERTIFICATE_CHAIN, AZURE_TENANT_ID, Setting,
};

/// Reads the application.
pub(super) fn read(reader: &mut Reader<'_>, cloud: Option<Cloud>) -> Option<Application> {
    report_missing(reader);
    let client = client::read(reader, cloud);
    let credential = credential(reader);
    Some(Application { client: client?, credential: credential? })
}

/// The kind of application credential that is set, although `IDENTITY_TYPE` may name another identity.
pub(super) fn given(reader: &Reader<'_>) -> Option<&'static str> {
    let given = |settings: &[&Setting]| settings.iter().any(|setting| reader.given(setting).is_some());
    if given(&[&AZURE_CLIENT_SECRET, &AZURE_CLIENT_SECRET_FILE]) {
        Some("client secret")
    } else {
        given(&[&AZURE_CLIENT_CERTIFICATE_PATH]).then_some("client certificate")
    }
}

/// Reports which IDs are missing. They are set by hand.
pub(super) fn report_missing(reader: &mut Reader<'_>) {
    let needed = [
        (
            &AZURE_CLIENT_ID,
            "use the application's client ID:\naz ad app list --display-name <name> --query '[].appId' -o tsv",
        ),
        (&AZURE_TENANT_ID, "use the tenant ID:\naz account show --query tenantId -o tsv"),
    ];
    for (setting, fix) in needed {
        if reader.given(setting).is_none() {
            reader.missing(setting, fix);
        }
    }
}

/// Exactly one credential: with two, it would be unclear which one has to be renewed.
fn credential(reader: &mut Reader<'_>) -> Option<ApplicationCredential> {
    let settings = [&AZURE_CLIENT_CERTIFICATE_PATH, &AZURE_CLIENT_SECRET, &AZURE_CLIENT_SECRET_FILE];
    let given: Vec<&Setting> = settings.into_iter().filter(|setting| reader.given(setting).is_some()).collect();
    match given.as_slice() {
        [] => {
            let fix = "use a PEM or PFX file with certificate and key, or set AZURE_CLIENT_SECRET_FILE or AZURE_CLIENT_SECRET";
            reader.missing(&AZURE_CLIENT_CERTIFICATE_PATH, fix);
            None
        }
        [_] => certificate(reader)
            .map(ApplicationCredential::Certificate)
            .or_else(|| secret(reader).map(ApplicationCredential::Secret)),
        [first, second, ..] => {
            let wrong = format!("is set together with {}", second.name);
            reader.fault(first.name, None, Reject::new(wrong, "keep only one of them"));
            None
        }
    }
}

fn certificate(reader: &mut Reader<'_>) -> Option<CertificateFile> {
    let send_chain = reader.value(&AZURE_CLIENT_SEND_CERTIFICATE_CHAIN, parse_bool);
    let path = file(reader, &AZURE_CLIENT_CERTIFICATE_PATH)?;
    let password = reader.secret(&AZURE_CLIENT_CERTIFICATE_PASSWORD);
    Some(CertificateFile { path, password, send_chain: send_chain? })
}

fn secret(reader: &mut Reader<'_>) -> Option<SecretSource> {
    let value = reader.secret(&AZURE_CLIENT_SECRET).map(SecretSource::Value);
    value.or_else(|| file(reader, &AZURE_CLIENT_SECRET_FILE).map(SecretSource::File))
}

/// The file that `setting` names. A refused value that does not look like a path may be the secret itself.
fn file(reader: &mut Reader<'_>, setting: &Setting) -> Option<PathBuf> {
    let text = reader.given(setting)?;
    if is_path(&text) {
        return reader.parsed(setting, &text, mounted);
    }
    let refused = |reject| in_quotes(&text).unwrap_or_else(|| misplaced(setting, &reject));
    mounted(&text).map_err(|reject| reader.fault(setting.name, Some("***"), refused(reject))).ok()
}

fn is_path(text: &str) -> bool {
    ["/", "./"].iter().any(|start| text.starts_with(start)) && !text.contains("-----BEGIN")
}

/// The setting expects a path, and the value looks like the file's content.
fn misplaced(setting: &Setting, reject: &Reject) -> Reject {
    let (what, fix) = if setting.name == AZURE_CLIENT_SECRET_FILE.name {
        ("secret", "use AZURE_CLIENT_SECRET for the secret itself, or use a path that begins with / or ./")
    } else {
        ("certificate", "mount the certificate with its key as a file, and use a path that begins with / or ./")
    };
    Reject::new(format!("looks like the {what} itself, so it is not shown; as a path it {}", reject.wrong), fix)
}

/// A file that is readable now. Its content may be replaced at any time; only the exchange shows whether it is valid.
fn mounted(text: &str) -> Result<PathBuf, Reject> {
    let path = PathBuf::from(text);
    let fix = "mount the file so that this user can read it, or use the path of the one that is mounted";
    match first_byte(&path) {
        Ok(true) => Ok(path),
        Ok(false) => Err(Reject::new("is an empty file", fix).of_file()),
        Err(error) => Err(Reject::new(format!("cannot be read: {error}"), fix).of_file()),
    }
}
