//! A separate emulator for each test, and a client that shows the exact bytes of a connection and how it ended.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prost::Message;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;

/// A running emulator in its own folder; dropping this removes both.
pub(crate) struct Emulator {
    process: Child,
    folder: PathBuf,
    flags: Vec<String>,
    pub(crate) env: HashMap<String, String>,
}

impl Emulator {
    pub(crate) fn start(flags: &[&str]) -> Self {
        let folder = new_folder();
        let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        fs::create_dir_all(&folder).unwrap();
        for (name, key) in keys() {
            fs::write(folder.join(name), key).unwrap();
        }
        let process = spawn(&folder, &flags);
        let env = read_env(&folder);
        Emulator { process, folder, flags, env }
    }

    /// Kills the process as `kill -9` does and starts it again in the same folder.
    pub(crate) fn kill_and_start(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.process = spawn(&self.folder, &self.flags);
        self.env = read_env(&self.folder);
    }

    pub(crate) fn process(&mut self) -> &mut Child {
        &mut self.process
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A request to the control interface: status and body.
    pub(crate) fn control(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let address = self.env["EMULATOR_CONTROL_URL"].trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        send(&mut stream, method, path, &[("Host", address)], body.as_bytes()).unwrap();
        let received = receive(&mut stream);
        (received.status(), received.body())
    }

    /// A control request that must succeed.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> String {
        let (status, answer) = self.control(method, path, body);
        assert!(status < 300, "{method} {path}: {status} {answer}");
        answer
    }

    pub(crate) fn stats(&self) -> Value {
        serde_json::from_str(&self.ask("GET", "/stats", "")).unwrap()
    }

    /// The environment file of another identity.
    pub(crate) fn environment(&self, identity: &str) -> HashMap<String, String> {
        read_environment(&self.folder.join(format!("env.{identity}")))
    }

    /// A connection to the endpoint in a URL.
    pub(crate) fn connect(&self, url: &str) -> std::io::Result<Connection> {
        connect_to(url, "localhost", &self.env["SSL_CERT_FILE"])
    }

    /// One request on a new connection.
    pub(crate) fn request(&self, method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Received {
        match self.connect(url) {
            Ok(mut connection) => exchange(&mut connection, method, url, headers, body),
            Err(error) => Received { bytes: Vec::new(), end: End::Broken(error.kind()) },
        }
    }

    /// A token request with the folder's assertion.
    pub(crate) fn request_token(&self, changes: &[(&str, &str)]) -> Received {
        let assertion = fs::read_to_string(&self.env["AZURE_FEDERATED_TOKEN_FILE"]).unwrap();
        let mut fields: HashMap<&str, &str> = HashMap::from([
            ("grant_type", "client_credentials"),
            ("client_id", self.env["AZURE_CLIENT_ID"].as_str()),
            ("scope", "https://monitor.azure.com/.default"),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", assertion.as_str()),
        ]);
        let mut tenant = self.env["AZURE_TENANT_ID"].as_str();
        for (name, value) in changes {
            if *name == "tenant" {
                tenant = value;
            } else {
                fields.insert(name, value);
            }
        }
        let fields: Vec<(&str, &str)> = fields.into_iter().collect();
        let url = format!("{}{tenant}/oauth2/v2.0/token", self.env["AZURE_AUTHORITY_HOST"]);
        self.request("POST", &url, &[FORM], form(&fields).as_bytes())
    }

    /// A token request with exactly these fields besides the client, the scope and the grant type.
    pub(crate) fn post_credential(&self, headers: &[(&str, &str)], credential: &[(&str, &str)]) -> Received {
        let client = ("client_id", self.env["AZURE_CLIENT_ID"].as_str());
        let request = [("grant_type", "client_credentials"), ("scope", "https://monitor.azure.com/.default"), client];
        let url = format!("{}{}/oauth2/v2.0/token", self.env["AZURE_AUTHORITY_HOST"], self.env["AZURE_TENANT_ID"]);
        let headers = [headers, &[FORM]].concat();
        self.request("POST", &url, &headers, form(&[&request, credential].concat()).as_bytes())
    }

    /// An access token from the token endpoint.
    pub(crate) fn token(&self, changes: &[(&str, &str)]) -> String {
        let received = self.request_token(changes);
        assert_eq!(received.status(), 200, "{}", received.body());
        received.json()["access_token"].as_str().unwrap().to_owned()
    }

    /// Posts a remote-write 1.0 body.
    pub(crate) fn write(&self, token: &str, body: &[u8]) -> Received {
        let authorization = format!("Bearer {token}");
        self.request("POST", &self.env["INGESTION_URL"], &v1_headers(&authorization), body)
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
        fs::remove_dir_all(&self.folder).ok();
    }
}

/// The RSA keys of all tests: generating them takes most of the time of a first start.
fn keys() -> &'static [(&'static str, Vec<u8>)] {
    static KEYS: OnceLock<Vec<(&str, Vec<u8>)>> = OnceLock::new();
    KEYS.get_or_init(|| {
        let folder = new_folder();
        let mut process = spawn(&folder, &[]);
        process.kill().unwrap();
        process.wait().unwrap();
        let names = ["issuer-key.der", "entra-key.der", "client-key.der", "client-next-key.der"];
        let keys = names.map(|name| (name, fs::read(folder.join(name)).unwrap()));
        fs::remove_dir_all(&folder).unwrap();
        keys.to_vec()
    })
}

fn new_folder() -> PathBuf {
    std::env::temp_dir().join(format!("azure-emulator-test-{}", uuid::Uuid::new_v4()))
}

fn spawn(folder: &Path, flags: &[String]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_azure-emulator"));
    command.arg("--dir").arg(folder).args(flags).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = command.spawn().unwrap();
    let mut ready = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    assert!(ready.starts_with("azure-emulator ready control=http://127.0.0.1:"), "{ready}");
    process
}

fn read_env(folder: &Path) -> HashMap<String, String> {
    read_environment(&folder.join("env"))
}

/// Reads an environment file, whose values contain no quotes.
fn read_environment(path: &Path) -> HashMap<String, String> {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.trim_matches('\'').to_owned()))
        .collect()
}

pub(crate) type Connection = StreamOwned<ClientConnection, TcpStream>;

/// A GET over plain HTTP on a new connection.
pub(crate) fn get(url: &str, headers: &[(&str, &str)]) -> Received {
    match plain_connection(url) {
        Ok(mut stream) => exchange(&mut stream, "GET", url, headers, b""),
        Err(error) => Received { bytes: Vec::new(), end: End::Broken(error.kind()) },
    }
}

/// The content type of a form.
pub(crate) const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

/// A form's body.
pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// The claims of a token; its signature is not verified.
pub(crate) fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// TLS to the host of a URL, which has to present a certificate for this name from this authority.
pub(crate) fn connect_to(url: &str, name: &str, authority: &str) -> std::io::Result<Connection> {
    connect_with(trust(authority), url, name)
}

/// Like [`connect_to`], but without sending the server name.
pub(crate) fn connect_without_sni(url: &str, name: &str, authority: &str) -> std::io::Result<Connection> {
    let mut config = trust(authority);
    config.enable_sni = false;
    connect_with(config, url, name)
}

fn connect_with(config: ClientConfig, url: &str, name: &str) -> std::io::Result<Connection> {
    let socket = plain_connection(url)?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let client = ClientConnection::new(Arc::new(config), name).unwrap();
    Ok(StreamOwned::new(client, socket))
}

fn plain_connection(url: &str) -> std::io::Result<TcpStream> {
    let address = url.split("://").nth(1).unwrap().split('/').next().unwrap();
    let socket = TcpStream::connect(address.replace("localhost", "127.0.0.1"))?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    Ok(socket)
}

fn trust(authority: &str) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&fs::read(authority).unwrap()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    config.with_root_certificates(roots).with_no_client_auth()
}

/// The headers of a remote-write 1.0 request.
pub(crate) fn v1_headers(authorization: &str) -> [(&str, &str); 3] {
    [("Authorization", authorization), ("Content-Encoding", "snappy"), ("Content-Type", "application/x-protobuf")]
}

/// How a connection ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The response was complete.
    Complete,
    /// It was closed before the response was complete.
    Closed,
    /// Reading or writing failed.
    Broken(ErrorKind),
}

/// What was received.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) bytes: Vec<u8>,
    pub(crate) end: End,
}

impl Received {
    fn split(&self) -> (String, String) {
        let text = String::from_utf8_lossy(&self.bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {self:?}"));
        (head.to_owned(), body.to_owned())
    }

    pub(crate) fn status(&self) -> u16 {
        self.split().0.split(' ').nth(1).unwrap().parse().unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let (head, _) = self.split();
        let fields = head.lines().skip(1).filter_map(|line| line.split_once(": "));
        fields.filter(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).next()
    }

    pub(crate) fn body(&self) -> String {
        self.split().1
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body()).unwrap()
    }

    /// The error numbers of an Entra refusal.
    pub(crate) fn codes(&self) -> Value {
        self.json()["error_codes"].clone()
    }

    /// The claims of the access token in a grant.
    pub(crate) fn claims(&self) -> Value {
        let body = self.json();
        claims(body["access_token"].as_str().unwrap_or_else(|| panic!("no token: {body}")))
    }
}

/// Sends a request and reads its response; the connection stays open.
pub(crate) fn exchange(
    connection: &mut (impl Read + Write),
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Received {
    let (host, path) = url.split("://").nth(1).unwrap().split_once('/').unwrap();
    let headers: Vec<(&str, &str)> = [("Host", host)].into_iter().chain(headers.iter().copied()).collect();
    match send(connection, method, &format!("/{path}"), &headers, body) {
        Ok(()) => receive(connection),
        Err(error) => Received { bytes: Vec::new(), end: End::Broken(error.kind()) },
    }
}

fn send(
    stream: &mut impl Write,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> std::io::Result<()> {
    let fields = headers.iter().fold(String::new(), |fields, (name, value)| format!("{fields}{name}: {value}\r\n"));
    let head = format!("{method} {path} HTTP/1.1\r\nContent-Length: {}\r\n{fields}\r\n", body.len());
    // In one write: a small segment after another would wait for an acknowledgement.
    let request = [head.as_bytes(), body].concat();
    stream.write_all(&request)?;
    stream.flush()
}

/// Reads to the end of one response, determined by its Content-Length or its last chunk.
fn receive(stream: &mut impl Read) -> Received {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    let end = loop {
        if is_complete(&bytes) {
            break End::Complete;
        }
        match read_some(stream, &mut piece) {
            Ok(0) => break End::Closed,
            Ok(length) => bytes.extend_from_slice(&piece[..length]),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => break End::Closed,
            Err(error) => break End::Broken(error.kind()),
        }
    };
    Received { bytes, end }
}

/// Reads once. A read that was interrupted because the process was stopped and continued is repeated: on a socket with
/// a timeout the kernel does not do so (`signal(7)`).
pub(crate) fn read_some(stream: &mut impl Read, into: &mut [u8]) -> std::io::Result<usize> {
    loop {
        match stream.read(into) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

fn is_complete(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    if head.contains("transfer-encoding: chunked") {
        return body.ends_with("0\r\n\r\n");
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
    body.len() >= length
}

#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    series: Vec<Series>,
}

#[derive(Clone, PartialEq, Message)]
struct Series {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Sample {
    /// Bits of the double, so that a negative zero is not treated as the default and omitted.
    #[prost(fixed64, tag = "1")]
    value: u64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

/// Milliseconds since 1970.
pub(crate) fn now() -> i64 {
    i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap()
}

/// A 1.0 body with one series `up` and these samples.
pub(crate) fn frame(samples: &[(i64, f64)]) -> Vec<u8> {
    let labels = vec![Label { name: "__name__".to_owned(), value: "up".to_owned() }];
    let samples =
        samples.iter().map(|(timestamp, value)| Sample { value: value.to_bits(), timestamp: *timestamp }).collect();
    let request = WriteRequest { series: vec![Series { labels, samples }] };
    snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).unwrap()
}
