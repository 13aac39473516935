//! A listener for each endpoint, all bound before anything is served, and the switches that stop and start the
//! endpoints.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;

use crate::endpoint::Switch;
use crate::faults::EndpointName;
use crate::ports::Ports;

/// The switch of each endpoint that emulates Azure.
#[derive(Debug)]
pub(crate) struct Switches(Vec<Arc<Switch>>);

impl Switches {
    /// The switch of one endpoint.
    pub(crate) fn of(&self, endpoint: EndpointName) -> Option<&Arc<Switch>> {
        self.0.iter().find(|switch| switch.name == endpoint)
    }

    /// All switches.
    pub(crate) fn all(&self) -> &[Arc<Switch>] {
        &self.0
    }
}

/// Every listener with its endpoint.
#[derive(Debug)]
pub(crate) struct Listeners {
    pub(crate) endpoints: Vec<(EndpointName, TcpListener)>,
    pub(crate) control: TcpListener,
}

impl Listeners {
    /// Binds every port; 0 means a free one.
    pub(crate) fn bind(host: IpAddr, mut ports: Ports) -> io::Result<Self> {
        let endpoints = EndpointName::ALL
            .into_iter()
            .map(|name| Ok((name, bind(host, *ports.of(name), name.as_str())?)))
            .collect::<io::Result<_>>()?;
        Ok(Listeners { endpoints, control: bind(host, ports.control, "control")? })
    }

    /// The ports that were bound.
    pub(crate) fn ports(&self) -> io::Result<Ports> {
        let mut ports = Ports { control: self.control.local_addr()?.port(), ..Ports::default() };
        for (name, listener) in &self.endpoints {
            *ports.of(*name) = listener.local_addr()?.port();
        }
        Ok(ports)
    }

    /// A switch for each endpoint, turned on.
    pub(crate) fn switches(&self) -> io::Result<Switches> {
        let switch = |(name, listener): &(EndpointName, TcpListener)| Ok(Switch::new(*name, listener.local_addr()?));
        Ok(Switches(self.endpoints.iter().map(switch).collect::<io::Result<_>>()?))
    }
}

fn bind(host: IpAddr, port: u16, name: &str) -> io::Result<TcpListener> {
    let address = SocketAddr::new(host, port);
    TcpListener::bind(address)
        .map_err(|error| io::Error::new(error.kind(), format!("{name} endpoint: cannot listen on {address}: {error}")))
}
