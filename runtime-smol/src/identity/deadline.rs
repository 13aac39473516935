//! Connections that end with their attempt. ureq gives every read of a proxy's answer to CONNECT the whole time again.

use std::time::{Duration, Instant};

use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, DefaultConnector, NextTimeout, Transport};
use ureq::{Error, Timeout};

/// ureq's own connector for connections that are used no longer than `limit`.
#[derive(Debug)]
pub(super) struct Limited {
    inner: DefaultConnector,
    limit: Duration,
}

impl Limited {
    pub(super) fn new(limit: Duration) -> Self {
        Self { inner: DefaultConnector::new(), limit }
    }
}

impl Connector for Limited {
    type Out = LimitedTransport;

    /// ureq also calls this for the connection to a proxy, before it asks for the tunnel.
    fn connect(&self, details: &ConnectionDetails<'_>, chained: Option<()>) -> Result<Option<Self::Out>, Error> {
        let deadline = Instant::now() + self.limit;
        let connected = self.inner.connect(details, chained)?;
        Ok(connected.map(|inner| LimitedTransport { inner, deadline }))
    }
}

/// A connection that neither reads nor writes after its deadline.
#[derive(Debug)]
pub(super) struct LimitedTransport {
    inner: Box<dyn Transport>,
    deadline: Instant,
}

impl LimitedTransport {
    fn cut(&self, timeout: NextTimeout) -> NextTimeout {
        let left = self.deadline.saturating_duration_since(Instant::now()).into();
        if left < timeout.after { NextTimeout { after: left, reason: Timeout::Global, ..timeout } } else { timeout }
    }
}

impl Transport for LimitedTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let timeout = self.cut(timeout);
        self.inner.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let timeout = self.cut(timeout);
        self.inner.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}
