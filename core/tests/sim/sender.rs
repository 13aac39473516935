//! The sender: follows its script, and reads the responses.

use crate::link::{End, Link, Read, Weather};
use crate::random::Random;
use crate::script::{Gate, Loss, Script};

/// How long a sender waits for `100 Continue`, in milliseconds.
const PATIENCE: u64 = 200;

/// One final response.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) closes: bool,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Sender {
    /// To the exchange.
    pub(crate) up: Link,
    /// From the exchange.
    pub(crate) down: Link,
    script: Script,
    /// Parts of the script, each with its gate: heads and bodies.
    parts: Vec<(Gate, Vec<u8>)>,
    part: usize,
    offset: usize,
    said: usize,
    waiting_since: Option<u64>,
    invited: usize,
    received: Vec<u8>,
    pub(crate) answers: Vec<Answer>,
    silent: bool,
    /// Leaves when it has all its responses; otherwise the exchange has to close the connection.
    leaves: bool,
    pub(crate) ended: bool,
}

impl Sender {
    pub(crate) fn new(script: &Script, weather: Weather, leaves: bool, random: &mut Random) -> Self {
        let parts = script
            .requests
            .iter()
            .flat_map(|request| [(request.head_gate, request.head.clone()), (request.body_gate, request.body.clone())]);
        Self {
            up: Link::new(weather, random),
            down: Link::new(weather, random),
            script: script.clone(),
            parts: parts.collect(),
            part: 0,
            offset: 0,
            said: 0,
            waiting_since: None,
            invited: 0,
            received: Vec::new(),
            answers: Vec::new(),
            silent: false,
            leaves,
            ended: false,
        }
    }

    /// Reads and writes; true when something moved.
    pub(crate) fn turn(&mut self, now: u64) -> bool {
        if self.silent || self.ended {
            return false;
        }
        let read = self.down.read_all(now, &mut self.received);
        while self.take_answer() {}
        let over = self.answers.len() == self.script.requests.len() && self.part == self.parts.len();
        if matches!(read, Read::End | Read::Reset) || (over && self.leaves) {
            self.end(now, End::Closed);
            return true;
        }
        let said = self.say(now);
        said || read != Read::Blocked
    }

    /// When the sender acts by itself or something arrives.
    pub(crate) fn next(&self, now: u64) -> Option<u64> {
        let patience = self.waiting_since.map(|since| since + PATIENCE).filter(|due| *due > now);
        let own = if self.silent || self.ended { None } else { patience.into_iter().chain(self.down.next(now)).min() };
        own.into_iter().chain(self.up.next(now)).min()
    }

    fn end(&mut self, now: u64, end: End) {
        self.ended = true;
        self.up.end(now, end);
        self.down.deafen();
    }

    fn say(&mut self, now: u64) -> bool {
        let mut moved = false;
        while let Some((gate, bytes)) = self.parts.get(self.part) {
            if let Some((at, loss)) = self.script.lost
                && self.said >= at
            {
                self.lose(now, loss);
                return true;
            }
            if self.offset == bytes.len() {
                (self.part, self.offset, self.waiting_since) = (self.part + 1, 0, None);
                continue;
            }
            if self.offset == 0 && !self.is_open(now, *gate) {
                self.waiting_since.get_or_insert(now);
                return moved;
            }
            let until = self.script.lost.map_or(usize::MAX, |(at, _)| at - self.said);
            let rest = &bytes[self.offset..];
            match self.up.write(now, &rest[..rest.len().min(until)]) {
                Some(0) | None => return moved,
                Some(n) => (self.offset, self.said, moved) = (self.offset + n, self.said + n, true),
            }
        }
        moved
    }

    fn is_open(&self, now: u64, gate: Gate) -> bool {
        match gate {
            Gate::Open => true,
            Gate::Answers(count) => self.answers.len() >= count,
            Gate::Invitation => {
                self.invited > 0
                    || self.answers.len() > self.part / 2
                    || self.waiting_since.is_some_and(|since| now >= since + PATIENCE)
            }
        }
    }

    fn lose(&mut self, now: u64, loss: Loss) {
        match loss {
            Loss::Closed => self.end(now, End::Closed),
            Loss::Reset => self.end(now, End::Reset),
            Loss::Silent => self.silent = true,
        }
    }

    /// Takes one complete response off what was received.
    fn take_answer(&mut self) -> bool {
        let Some(end) = self.received.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
        let head = String::from_utf8(self.received[..end + 4].to_vec()).expect("a head of text");
        let status: u16 = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status line");
        if status == 100 {
            self.invited += 1;
            self.received.drain(..end + 4);
            return true;
        }
        let is_head = self.script.requests.get(self.answers.len()).expect("a request for each answer").is_head;
        let length = head.split_once("Content-Length: ").map(|(_, rest)| rest.split("\r\n").next().unwrap());
        let length = length.map_or(0, |length| length.parse().expect("a length"));
        let length: usize = if is_head { 0 } else { length };
        if self.received.len() < end + 4 + length {
            return false;
        }
        let body = self.received[end + 4..end + 4 + length].to_vec();
        self.received.drain(..end + 4 + length);
        self.answers.push(Answer { status, closes: head.contains("Connection: close\r\n"), head, body });
        true
    }
}
