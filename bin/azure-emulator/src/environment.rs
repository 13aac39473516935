//! The environment files of the folder: one for each kind of identity, with everything a sidecar needs to use it
//! against this emulator, one `KEY=value` per line for a shell. The names are those of Microsoft's clients.

use std::io;
use std::net::SocketAddr;

use crate::binding;
use crate::certificates;
use crate::credentials;
use crate::directory::Directory;
use crate::managed::{APP_SERVICE_PATH, IMDS_PATH};
use crate::projected;
use crate::settings::Settings;

type Lines = Vec<(&'static str, String)>;

/// Writes all files. URLs of plain HTTP endpoints use the same address as `control`.
pub(crate) fn write(directory: &Directory, settings: &Settings, control: SocketAddr) -> io::Result<()> {
    let writer = Writer { directory, settings, control };
    writer.write("env", &writer.workload())?;
    writer.write("env.identity-binding", &writer.identity_binding())?;
    writer.write("env.secret", &writer.secret())?;
    writer.write("env.certificate", &writer.certificate())?;
    writer.write("env.pfx", &writer.pfx())?;
    writer.write("env.imds-system", &writer.imds("systemAssigned"))?;
    let client = ("AZURE_CLIENT_ID", settings.client_id.clone());
    writer.write("env.imds-user", &[writer.imds("userAssigned"), vec![client]].concat())?;
    writer.write("env.arc", &writer.arc())?;
    writer.write("env.app-service", &writer.app_service())
}

struct Writer<'a> {
    directory: &'a Directory,
    settings: &'a Settings,
    control: SocketAddr,
}

impl Writer<'_> {
    fn write(&self, file: &str, lines: &Lines) -> io::Result<()> {
        let common = [
            ("INGESTION_URL", self.settings.ingestion_url()),
            ("INGESTION_AAD_AUDIENCE", "https://monitor.azure.com/.default".to_owned()),
            ("SSL_CERT_FILE", self.path(certificates::AUTHORITY)),
            ("EMULATOR_CONTROL_URL", format!("http://{}", self.control)),
        ];
        let line = |text: String, (name, value): &(&str, String)| text + name + "=" + &quoted(value) + "\n";
        let text = common.iter().chain(lines).fold(String::new(), line);
        self.directory.replace(file, text.as_bytes())
    }

    fn path(&self, name: &str) -> String {
        self.directory.path(name).display().to_string()
    }

    fn plain(&self, port: u16) -> String {
        format!("http://{}", SocketAddr::new(self.control.ip(), port))
    }

    fn client(&self, identity_type: &str) -> Lines {
        vec![
            ("IDENTITY_TYPE", identity_type.to_owned()),
            ("AZURE_AUTHORITY_HOST", self.settings.authority()),
            ("AZURE_TENANT_ID", self.settings.tenant.clone()),
            ("AZURE_CLIENT_ID", self.settings.client_id.clone()),
        ]
    }

    fn workload(&self) -> Lines {
        let file = ("AZURE_FEDERATED_TOKEN_FILE", self.path(projected::FILE));
        [self.client("workloadIdentity"), vec![file]].concat()
    }

    fn identity_binding(&self) -> Lines {
        let port = self.settings.ports.identity_binding;
        let own = vec![
            ("AZURE_FEDERATED_TOKEN_FILE", self.path(projected::BINDING_FILE)),
            ("AZURE_KUBERNETES_TOKEN_PROXY", format!("https://localhost:{port}{}", binding::PATH)),
            ("AZURE_KUBERNETES_SNI_NAME", binding::SERVER_NAME.to_owned()),
            ("AZURE_KUBERNETES_CA_FILE", self.path(binding::AUTHORITY)),
        ];
        [self.client("workloadIdentity"), own].concat()
    }

    fn secret(&self) -> Lines {
        [self.client("aadApplication"), vec![("AZURE_CLIENT_SECRET", self.settings.client_secret.clone())]].concat()
    }

    fn certificate(&self) -> Lines {
        let file = ("AZURE_CLIENT_CERTIFICATE_PATH", self.path(credentials::PEM));
        [self.client("aadApplication"), vec![file]].concat()
    }

    fn pfx(&self) -> Lines {
        let own = vec![
            ("AZURE_CLIENT_CERTIFICATE_PATH", self.path(credentials::PFX)),
            ("AZURE_CLIENT_CERTIFICATE_PASSWORD", credentials::PASSWORD.to_owned()),
        ];
        [self.client("aadApplication"), own].concat()
    }

    fn imds(&self, identity_type: &str) -> Lines {
        let host = self.plain(self.settings.ports.imds);
        vec![("IDENTITY_TYPE", identity_type.to_owned()), ("AZURE_POD_IDENTITY_AUTHORITY_HOST", host)]
    }

    fn arc(&self) -> Lines {
        let host = self.plain(self.settings.ports.arc);
        vec![
            ("IDENTITY_TYPE", "systemAssigned".to_owned()),
            ("IDENTITY_ENDPOINT", format!("{host}{IMDS_PATH}")),
            ("IMDS_ENDPOINT", host),
        ]
    }

    fn app_service(&self) -> Lines {
        let host = self.plain(self.settings.ports.app_service);
        vec![
            ("IDENTITY_TYPE", "systemAssigned".to_owned()),
            ("IDENTITY_ENDPOINT", format!("{host}{APP_SERVICE_PATH}")),
            ("IDENTITY_HEADER", self.settings.identity_header.clone()),
        ]
    }
}

/// A shell word; quoted only if the shell would otherwise change it.
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
