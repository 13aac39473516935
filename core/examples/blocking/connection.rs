//! One sender's connection on blocking sockets: the loop of the crate's README, one operation at a time.
//!
//! A blocking write cannot be abandoned when Azure responds early: such a response is read once the body is sent,
//! writing fails, or the deadline passes. A driver beyond an example would wait for both directions.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::{SystemTime, UNIX_EPOCH};

use remora_core::forward::{Event, Exchange, Gateway, Outgoing, Page, Unavailable, UpstreamHead};
use remora_core::metrics;
use remora_core::snappy::Window;
use remora_core::time::Instant;

use super::azure::{Azure, Tls};

/// Bytes handed over at once: one TLS record.
const RECORD: usize = 16 * 1024;

pub(crate) struct Connection<'m> {
    exchange: Exchange<'m>,
    gateway: &'m Gateway,
    sender: TcpStream,
    /// The response buffer while it is not lent.
    spare: Option<&'m mut [u8]>,
    upstream: Option<Tls>,
    body: Vec<u8>,
}

impl<'m> Connection<'m> {
    pub(crate) fn new(exchange: Exchange<'m>, gateway: &'m Gateway, sender: TcpStream, response: &'m mut [u8]) -> Self {
        Self { exchange, gateway, sender, spare: Some(response), upstream: None, body: Vec::new() }
    }

    /// Serves the sender until the exchange is over.
    pub(crate) fn run(mut self, azure: &mut Azure) {
        while !self.exchange.is_done() {
            while let Some(event) = self.exchange.poll_event() {
                self.handle(event, azure);
            }
            if self.operate(azure).is_err_and(|error| !is_timeout(&error)) {
                self.exchange.client_broken(azure.now());
            }
            self.exchange.wake(azure.now());
        }
        while let Some(event) = self.exchange.poll_event() {
            self.handle(event, azure);
        }
    }

    fn handle(&mut self, event: Event, azure: &mut Azure) {
        match event {
            Event::Reserve(bytes) => {
                self.body.reserve_exact(bytes);
                self.exchange.reserved(azure.now());
            }
            Event::Check => self.check(azure.now()),
            Event::Connect { fresh } => self.connect(fresh, azure),
            Event::Refresh => match azure.refresh(self.exchange.deadline()) {
                Ok(()) => self.exchange.refreshed(azure.now()),
                Err(error) => self.exchange.unrefreshed(azure.now(), Some(&error.to_string())),
            },
            Event::Release { reusable } => {
                self.spare = self.exchange.detach().or(self.spare.take());
                azure.idle = self.upstream.take().filter(|_| reusable);
            }
            Event::Page(page) => self.write_page(page, azure.now()),
            Event::Readiness => self.exchange.readiness_detail(azure.now(), "no token yet"),
            Event::Answered(_) => self.body.clear(),
            // A connection that is already broken need not be shut down.
            Event::HalfClose => drop(self.sender.shutdown(Shutdown::Write)),
            Event::Close => drop(self.sender.shutdown(Shutdown::Both)),
        }
    }

    /// Writes the exchange's own counters; a driver with more to report adds it here.
    fn write_page(&mut self, page: Page, now: Instant) {
        let mut text = String::new();
        if let Page::Metrics(format) = page {
            let mut page = metrics::Exposition::new(format, &mut text);
            self.gateway.counters.report(&mut page);
            // Writing to a `String` cannot fail.
            let _ = page.finish();
        } else {
            text.push_str("{}");
        }
        self.body = text.into_bytes();
        self.exchange.page_ready(now, self.body.len());
    }

    fn check(&mut self, now: Instant) {
        // No copy reaches further back than the decoded body is long. The length is a power of two, so it is a window's.
        let mut bytes = vec![0; 32 << 20];
        let Some(window) = Window::new(&mut bytes) else { return };
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let unix_ms = i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX);
        let mut check = self.exchange.frame_check(unix_ms, window);
        check.feed(&self.body);
        let verdict = check.finish();
        self.exchange.checked(now, verdict);
    }

    fn connect(&mut self, fresh: bool, azure: &mut Azure) {
        let authorized = azure.authorize(self.exchange.deadline());
        let idle = azure.take_idle().filter(|_| !fresh);
        let reused = idle.is_some();
        let connected = authorized.map_err(|error| (Unavailable::NoToken, error)).and_then(|()| {
            idle.map_or_else(
                || azure.connect(self.exchange.deadline()).map_err(|error| (Unavailable::Connect, error)),
                Ok,
            )
        });
        match (connected, self.spare.take()) {
            (Ok(upstream), Some(buffer)) => {
                self.upstream = Some(upstream);
                self.exchange.attach(azure.now(), buffer, reused);
            }
            (Err((why, error)), spare) => {
                self.spare = spare;
                self.exchange.refuse(azure.now(), why, &error.to_string());
            }
            (Ok(_), None) => self.exchange.refuse(azure.now(), Unavailable::Capacity, "no response buffer"),
        }
    }

    /// Does the one operation that makes progress, at most until the deadline. Errors are those of the sender's
    /// connection.
    fn operate(&mut self, azure: &Azure) -> io::Result<()> {
        let interest = self.exchange.interest();
        let left = self.exchange.deadline().since(azure.now()).max(core::time::Duration::from_millis(1));
        self.sender.set_read_timeout(Some(left))?;
        self.sender.set_write_timeout(Some(left))?;
        if !self.exchange.body_piece().is_empty() {
            let piece = self.exchange.body_piece();
            let n = piece.len();
            self.body.extend_from_slice(piece);
            self.exchange.body_taken(azure.now(), n);
        } else if interest.client_write {
            let page = self.exchange.page_offset().and_then(|from| self.body.get(from..));
            let n = self.sender.write(page.unwrap_or(self.exchange.client_pending()))?;
            self.exchange.client_drained(azure.now(), n);
        } else if interest.client_read {
            self.read_client(azure)?;
        } else if let Err(error) = self.exchange_with_azure(azure, left)
            && !is_timeout(&error)
        {
            self.exchange.upstream_broken(azure.now(), &error.to_string());
        }
        Ok(())
    }

    fn read_client(&mut self, azure: &Azure) -> io::Result<()> {
        let room = self.exchange.body_room();
        let n = if room > 0 {
            let mut buffer = [0; RECORD];
            let n = self.sender.read(buffer.get_mut(..room.min(RECORD)).unwrap_or_default())?;
            self.body.extend_from_slice(buffer.get(..n).unwrap_or_default());
            n
        } else {
            self.sender.read(self.exchange.client_space())?
        };
        match n {
            0 => self.exchange.client_eof(azure.now()),
            n if room > 0 => self.exchange.body_filled(azure.now(), n),
            n => self.exchange.client_filled(azure.now(), n),
        }
        Ok(())
    }

    /// Sends what is pending, and reads when nothing is. Errors are those of Azure's connection.
    fn exchange_with_azure(&mut self, azure: &Azure, left: core::time::Duration) -> io::Result<()> {
        let Some(upstream) = &mut self.upstream else { return Ok(()) };
        upstream.sock.set_read_timeout(Some(left))?;
        upstream.sock.set_write_timeout(Some(left))?;
        let (now, exchange) = (azure.now(), &mut self.exchange);
        match exchange.outgoing() {
            Outgoing::Head => {
                let mut head = UpstreamHead::new([0; RECORD], &azure.destination()).map_err(io::Error::other)?;
                let length = exchange.encode_head(&mut head).map_err(io::Error::other)?;
                match upstream.write_all(head.as_bytes().get(..length).unwrap_or_default()) {
                    Ok(()) => exchange.head_sent(now),
                    Err(_) => exchange.upstream_unwritable(now),
                }
            }
            Outgoing::Body { from } => {
                let piece = self.body.get(from..).unwrap_or_default();
                let piece = piece.get(..RECORD.min(piece.len())).unwrap_or_default();
                match upstream.write_all(piece) {
                    Ok(()) => exchange.body_sent(now, piece.len()),
                    Err(_) => exchange.upstream_unwritable(now),
                }
            }
            Outgoing::Done => {
                upstream.flush()?;
                exchange.upstream_backlog(upstream.conn.wants_write());
                match upstream.read(exchange.upstream_space())? {
                    0 => exchange.upstream_eof(azure.now()),
                    n => exchange.upstream_filled(azure.now(), n),
                }
            }
        }
        Ok(())
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
