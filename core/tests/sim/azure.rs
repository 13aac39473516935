//! A simulated Azure: it responds late, early, at length, with garbage, or not at all, and records what it received.

use std::collections::VecDeque;

use crate::link::{End, Link, Read, Weather};
use crate::random::Random;
use crate::script::Loss;

/// How the body of a response ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    None,
    Length,
    Chunked,
    Closing,
}

const GARBAGE: &[&[u8]] = &[b"SSH-2.0\r\n", b"\0", b"HTTP/1.1 101 x\r\n\r\n", b"HTTP/1.1 2"];

/// How Azure reacts to one request.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) status: u16,
    pub(crate) ending: Ending,
    pub(crate) text: String,
    pub(crate) interim: usize,
    /// Responds when this many bytes of the body have arrived, instead of all.
    pub(crate) early: Option<usize>,
    pub(crate) delay: u64,
    pub(crate) announces_close: bool,
    /// Closes the connection this many milliseconds after the response, without having announced it.
    pub(crate) closes_idle: Option<u64>,
    /// Sends these bytes instead of a response.
    pub(crate) garbage: Option<&'static [u8]>,
    /// Sends another response directly after its response.
    pub(crate) excess: bool,
    pub(crate) request_lost: Option<(usize, Loss)>,
    pub(crate) response_lost: Option<(usize, Loss)>,
}

impl Plan {
    pub(crate) fn plain(status: u16) -> Self {
        Self {
            status,
            ending: if status == 204 { Ending::None } else { Ending::Length },
            text: String::new(),
            interim: 0,
            early: None,
            delay: 0,
            announces_close: false,
            closes_idle: None,
            garbage: None,
            excess: false,
            request_lost: None,
            response_lost: None,
        }
    }

    pub(crate) fn random(random: &mut Random, calm: bool) -> Self {
        let mut plan = Self::plain(random.pick(&[204, 204, 204, 200, 400, 401, 403, 409, 429, 500, 503, 307]));
        if plan.status != 204 {
            plan.ending = random.pick(&[Ending::Length, Ending::Chunked, Ending::Closing]);
            plan.text = "because ".repeat(random.pick(&[0, 1, 1, 200, 700]));
        }
        plan.interim = random.pick(&[0, 0, 0, 1, 3]);
        plan.delay = random.pick(&[0, 0, 3, 50]);
        plan.announces_close = random.chance(10);
        plan.closes_idle = random.chance(15).then(|| random.range(0, 6) as u64);
        if !calm {
            plan.spoil(random);
        }
        plan
    }

    fn spoil(&mut self, random: &mut Random) {
        match random.range(0, 11) {
            0 => self.early = Some(random.pick(&[0, 1, 1000, 20_000])),
            1 => self.garbage = Some(random.pick(GARBAGE)),
            2 => self.excess = true,
            3 => self.request_lost = Some((random.range(0, 3000), random.pick(&Loss::ALL))),
            4 => self.response_lost = Some((random.range(0, 200), random.pick(&Loss::ALL))),
            _ => {}
        }
        if self.early.is_some() && self.is_success() {
            // It keeps reading: whether it received the body then depends only on the exchange.
            (self.announces_close, self.closes_idle) = (false, None);
            self.ending = if self.ending == Ending::Closing { Ending::Length } else { self.ending };
        }
    }

    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The bytes of the response.
    pub(crate) fn response(&self) -> Vec<u8> {
        if let Some(garbage) = self.garbage {
            return garbage.to_vec();
        }
        let mut bytes = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n".repeat(self.interim);
        let close = if self.announces_close { "Connection: close\r\n" } else { "" };
        let head = format!("HTTP/1.1 {} Reason\r\nSet-Cookie: of-azure\r\n{close}", self.status);
        bytes.extend_from_slice(head.as_bytes());
        let text = &self.text;
        let rest = match self.ending {
            Ending::None => "\r\n".to_owned(),
            Ending::Length => format!("Content-Length: {}\r\n\r\n{text}", text.len()),
            Ending::Chunked if text.is_empty() => "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
            Ending::Chunked => format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{text}\r\n0\r\n\r\n", text.len()),
            Ending::Closing => format!("\r\n{text}"),
        };
        bytes.extend_from_slice(rest.as_bytes());
        bytes
    }
}

/// One request as Azure received it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attempt {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// The body's length as announced.
    pub(crate) length: usize,
    /// All bytes of the request that arrived.
    pub(crate) bytes: usize,
    /// The status of the response, if one was begun.
    pub(crate) answered: Option<u16>,
}

impl Attempt {
    pub(crate) fn is_whole(&self) -> bool {
        !self.head.is_empty() && self.body.len() == self.length
    }

    /// Records all bytes received so far.
    fn read(&mut self, received: &[u8]) {
        self.bytes = received.len();
        if self.head.is_empty() {
            let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") else { return };
            self.head = String::from_utf8(received[..end + 4].to_vec()).expect("a head of text");
            let length = self.head.split_once("Content-Length: ").expect("a length").1;
            self.length = length.split("\r\n").next().unwrap().parse().expect("a length");
        }
        let end = received.len().min(self.head.len() + self.length);
        self.body.extend_from_slice(&received[self.head.len() + self.body.len()..end]);
        self.bytes = end;
    }
}

/// One connection that was opened to Azure.
#[derive(Debug)]
pub(crate) struct Connection {
    /// To Azure.
    pub(crate) up: Link,
    /// From Azure.
    pub(crate) down: Link,
    received: Vec<u8>,
    /// The plan for the current request, and its attempt's number.
    current: Option<(Plan, usize)>,
    gone: bool,
}

#[derive(Debug)]
pub(crate) struct Azure {
    pub(crate) connections: Vec<Connection>,
    pub(crate) attempts: Vec<Attempt>,
    plans: VecDeque<Plan>,
    weather: Weather,
    random: Random,
}

impl Azure {
    pub(crate) fn new(plans: &[Plan], weather: Weather, random: &mut Random) -> Self {
        let random = Random::new(random.next());
        let plans = plans.iter().cloned().collect();
        Self { connections: Vec::new(), attempts: Vec::new(), plans, weather, random }
    }

    /// Opens a connection and returns its number.
    pub(crate) fn open(&mut self) -> usize {
        let up = Link::new(self.weather, &mut self.random);
        let down = Link::new(self.weather, &mut self.random);
        self.connections.push(Connection { up, down, received: Vec::new(), current: None, gone: false });
        self.connections.len() - 1
    }

    /// Reads and responds; true when something was read.
    pub(crate) fn turn(&mut self, now: u64) -> bool {
        let mut progress = false;
        for connection in self.connections.iter_mut().filter(|connection| !connection.gone) {
            let read = connection.up.read_all(now, &mut connection.received);
            progress |= read != Read::Blocked;
            while !connection.gone && connection.serve(now, &mut self.plans, &mut self.attempts) {}
            if matches!(read, Read::End | Read::Reset) {
                connection.leave(now, End::Closed);
            }
        }
        progress
    }

    /// When something arrives at Azure or from it.
    pub(crate) fn next(&self, now: u64) -> Option<u64> {
        let nexts = self.connections.iter().filter(|connection| !connection.gone);
        let ups = nexts.filter_map(|connection| connection.up.next(now));
        ups.chain(self.connections.iter().filter_map(|connection| connection.down.next(now))).min()
    }
}

impl Connection {
    /// Takes what has arrived; true when that completed a request.
    fn serve(&mut self, now: u64, plans: &mut VecDeque<Plan>, attempts: &mut Vec<Attempt>) -> bool {
        if self.received.is_empty() {
            return false;
        }
        if self.current.is_none() {
            attempts.push(Attempt::default());
            self.current = Some((plans.pop_front().unwrap_or_else(|| Plan::plain(204)), attempts.len() - 1));
        }
        let Some((plan, number)) = self.current.clone() else { return false };
        let attempt = &mut attempts[number];
        if let Some((at, loss)) = plan.request_lost
            && self.received.len() >= at
        {
            attempt.read(&self.received[..at]);
            self.lose(now, loss);
            return false;
        }
        // After an early response the rest of the body is still arriving, and the next request may follow it.
        let answered_early = attempt.answered.is_some();
        attempt.read(&self.received);
        let enough = attempt.is_whole() || plan.early.is_some_and(|early| early <= attempt.body.len());
        if enough && !attempt.head.is_empty() && attempt.answered.is_none() {
            attempt.answered = Some(plan.status);
            self.answer(now + plan.delay, &plan);
        }
        let is_whole = attempt.is_whole();
        if is_whole {
            let rest = self.received.split_off(attempt.bytes);
            assert!(rest.is_empty() || answered_early, "bytes behind the body of {}", attempt.head);
            self.received = rest;
            self.current = None;
        }
        is_whole
    }

    fn answer(&mut self, now: u64, plan: &Plan) {
        let response = plan.response();
        if let Some((at, loss)) = plan.response_lost {
            self.down.write_all(now, &response[..at.min(response.len())]);
            return self.lose(now, loss);
        }
        self.down.write_all(now, &response);
        if plan.excess {
            self.down.append(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
        if plan.announces_close || plan.ending == Ending::Closing {
            self.leave(now, End::Closed);
        } else if let Some(after) = plan.closes_idle {
            self.leave(now + after, End::Closed);
        }
    }

    fn lose(&mut self, now: u64, loss: Loss) {
        match loss {
            Loss::Closed => self.leave(now, End::Closed),
            Loss::Reset => self.leave(now, End::Reset),
            Loss::Silent => self.gone = true,
        }
    }

    fn leave(&mut self, now: u64, end: End) {
        self.gone = true;
        self.down.end(now, end);
        self.up.deafen();
    }
}
