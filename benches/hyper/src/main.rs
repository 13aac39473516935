//! A proxy as one would write it with hyper and rustls in an afternoon: one thread, bodies streamed, an Authorization
//! header set on each request, pooled connections. No checks, and no retries of its own.

use std::convert::Infallible;
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use http_body_util::{Either, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use lexopt::prelude::*;
#[cfg(feature = "aws-lc")]
use rustls::crypto::aws_lc_rs::default_provider;
#[cfg(not(feature = "aws-lc"))]
use rustls::crypto::ring::default_provider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio::net::TcpListener;

const USAGE: &str = "usage: hyper-proxy --port PORT --to PORT --authority FILE --authorization VALUE";

type Failure = Box<dyn Error>;

fn main() -> ExitCode {
    match arguments().and_then(|(port, route)| serve(port, route)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hyper-proxy: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Where requests go, and how.
struct Route {
    to: u16,
    authorization: HeaderValue,
    client: Client<HttpsConnector<HttpConnector>, Incoming>,
}

fn arguments() -> Result<(u16, Route), Failure> {
    let (mut port, mut to, mut authority, mut authorization) = (0, 0, PathBuf::new(), String::new());
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("port") => port = parser.value()?.parse()?,
            Long("to") => to = parser.value()?.parse()?,
            Long("authority") => authority = parser.value()?.into(),
            Long("authorization") => authorization = parser.value()?.string()?,
            _ => return Err(USAGE.into()),
        }
    }
    Ok((port, Route { to, authorization: authorization.parse()?, client: client(&authority)? }))
}

fn client(authority: &Path) -> Result<Client<HttpsConnector<HttpConnector>, Incoming>, Failure> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(authority)? {
        roots.add(certificate?)?;
    }
    let tls = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1().wrap_connector(tcp);
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}

fn serve(port: u16, route: Route) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(listen(port, Arc::new(route)))
}

async fn listen(port: u16, route: Arc<Route>) -> Result<(), Failure> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let route = Arc::clone(&route);
        tokio::spawn(async move {
            let service = service_fn(|request| forward(request, &route));
            if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await {
                eprintln!("hyper-proxy: {error}");
            }
        });
    }
}

/// Passes a request on, and its response back.
async fn forward(
    mut request: Request<Incoming>,
    route: &Route,
) -> Result<Response<Either<Incoming, Empty<Bytes>>>, Infallible> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    if let Ok(uri) = format!("https://localhost:{}{path}", route.to).parse::<Uri>() {
        *request.uri_mut() = uri;
    }
    request.headers_mut().insert(AUTHORIZATION, route.authorization.clone());
    Ok(match route.client.request(request).await {
        Ok(response) => response.map(Either::Left),
        Err(error) => {
            eprintln!("hyper-proxy: {error}");
            let mut response = Response::new(Either::Right(Empty::new()));
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response
        }
    })
}
